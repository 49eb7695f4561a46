"""However a mod comes by a value: what changes is seen at the next call."""

from __future__ import annotations

import builtins
import enum
import importlib
import math
import operator
import random
import sys
import types
import warnings

import numpy as np
import pytest
from test_repeats_names import answer, check

import __main__
import fovea
from fovea import _compiler, ops
from fovea.dsl import trace_variant
from fovea.dsl.purity import is_pure

pytestmark = pytest.mark.filterwarnings("ignore:.*each call traces its mods")

weight = 1.0
__gain__ = 1.0
__rows__ = np.arange(8.0)
module = types.ModuleType("ways_module")
module.W = 1.0
module.T = np.arange(8.0)
#: A module of the user's under the name of one of the standard library.
hidden = types.ModuleType("code")
hidden.W = 1.0
this = sys.modules[__name__]


@pytest.fixture(autouse=True)
def restore(monkeypatch):
    """What the tests change, as it was."""
    for owner, names in (
        (module, ("W",)),
        (hidden, ("W",)),
        (this, ("weight", "__gain__")),
        (Base, ("w", "table")),
    ):
        for name in names:
            monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.setattr(__main__, "W", 1.0, raising=False)
    monkeypatch.setattr(builtins, "own_gain", 1.0, raising=False)
    monkeypatch.setattr(math, "own_gain", 1.0, raising=False)
    monkeypatch.setitem(sys.modules, "ways_module", module)
    Base.table[:] = np.arange(8.0)


class Base:
    w = 1.0
    table = np.arange(8.0)

    def by_class(self, s, b, h, m, n):
        return s * 0 + n * self.__class__.w

    def by_getattr(self, s, b, h, m, n):
        return s * 0 + n * getattr(self, "__class__").w  # noqa: B009

    def by_cell(self, s, b, h, m, n):
        return s * 0 + n * __class__.w

    def by_base(self, s, b, h, m, n):
        return s * 0 + n * self.__class__.__mro__[-2].w

    def by_row(self, s, b, h, m, n):
        return s * 0 + n * self.__class__.table[1]

    def by_rows(self, s, b, h, m, n):
        return s * 0 + self.__class__.table[n]

    def plain(self, s, b, h, m, n):
        return s * 0 + n * self.w

    @classmethod
    def of_class(cls, s, b, h, m, n):
        return s * 0 + n * cls.w

    @staticmethod
    def of_none(s, b, h, m, n):
        return s * 0 + n * Base.w


class Derived(Base):
    def by_super(self, s, b, h, m, n):
        return s * 0 + n * super().w

    def by_super_row(self, s, b, h, m, n):
        return s * 0 + n * super().table[1]

    def by_super_rows(self, s, b, h, m, n):
        return s * 0 + super().table[n]

    def by_super_of_two(self, s, b, h, m, n):
        return s * 0 + n * super(Derived, self).w  # noqa: UP008

    def by_super_method(self, s, b, h, m, n):
        return super().by_class(s, b, h, m, n)

    @classmethod
    def of_class(cls, s, b, h, m, n):
        return super().of_class(s, b, h, m, n)

    def by_super_class_method(self, s, b, h, m, n):
        return super().of_class(s, b, h, m, n)

    def by_super_static(self, s, b, h, m, n):
        return super().of_none(s, b, h, m, n)

    def by_getattribute(self, s, b, h, m, n):
        return s * 0 + n * super().__getattribute__("w")


CONSTANT_WAYS = [
    "by_class",
    "by_getattr",
    "by_cell",
    "by_base",
    "by_super",
    "by_super_of_two",
    "by_super_method",
    "by_super_class_method",
    "by_super_static",
    "by_getattribute",
    "of_class",
    "of_none",
]


@pytest.mark.parametrize("way", CONSTANT_WAYS)
def test_constants_of_a_class(way):
    found = check(getattr(Derived(), way), lambda: setattr(Base, "w", -5.0))
    assert found == [answer(lambda s, b, h, m, n: s * 0 + n * x) for x in (1.0, -5.0)]


@pytest.mark.parametrize("way", ["by_row", "by_super_row", "by_rows", "by_super_rows"])
def test_arrays_of_a_class_are_live(way):
    mod = getattr(Derived(), way)
    found = check(mod, lambda: Base.table.__setitem__(slice(None), -Base.table))
    assert found[1] < 1 < found[0]
    compiles = fovea.cache_info().compiles
    Base.table[:] = 0.0
    assert answer(mod) == pytest.approx(3.5)
    Base.table = np.arange(8.0)
    assert answer(mod) == found[0]
    assert fovea.cache_info().compiles == compiles


def test_a_class_of_an_object_is_what_isinstance_takes_it_for():
    other = Derived()

    def mod(s, b, h, m, n):
        same = other.__class__ is Derived and isinstance(other, Base)
        same = same and builtins.isinstance(other, other.__class__)
        same = same and issubclass(other.__class__, Base) and type(other) is Derived
        return s * 0 + n * (1.0 if same else 2.0)

    assert answer(mod) == answer(rising)


def rising(s, b, h, m, n):
    return s * 0 + n * 1.0


def test_an_object_made_in_the_mod(monkeypatch):
    class Reads:
        gain = 1.0

        def __init__(self):
            self.w = weight

    ways = (
        lambda s, b, h, m, n: s * 0 + n * Reads().w,
        lambda s, b, h, m, n: s * 0 + n * (Reads().gain * weight),
        lambda s, b, h, m, n: s * 0 + n * (type(Reads()).gain * weight),
        lambda s, b, h, m, n: s * 0 + n * (Reads().__class__.gain * weight),
    )
    for way in ways:
        monkeypatch.setattr(this, "weight", 1.0)
        Reads.gain = 1.0
        found = check(
            way,
            lambda: setattr(this, "weight", -5.0),
            lambda: setattr(Reads, "gain", -1.0),
        )
        assert found[0] != found[1]
        assert (found[1] != found[2]) is (way is not ways[0])


def imported(s, b, h, m, n):
    import ways_module

    return s * 0 + n * ways_module.W


MODULE_WAYS = {
    "global": (module, lambda s, b, h, m, n: s * 0 + n * module.W),
    "import": (module, imported),
    "import_module": (
        module,
        lambda s, b, h, m, n: s * 0 + n * importlib.import_module("ways_module").W,
    ),
    "modules": (
        module,
        lambda s, b, h, m, n: s * 0 + n * sys.modules["ways_module"].W,
    ),
    "get": (
        module,
        lambda s, b, h, m, n: s * 0 + n * sys.modules.get("ways_module").W,
    ),
    "__main__": (__main__, lambda s, b, h, m, n: s * 0 + n * __main__.W),
    "stdlib's name": (hidden, lambda s, b, h, m, n: s * 0 + n * hidden.W),
    "attrgetter": (
        module,
        lambda s, b, h, m, n: s * 0 + n * operator.attrgetter("W")(module),
    ),
}


@pytest.mark.parametrize("way", MODULE_WAYS)
def test_constants_of_a_module(way):
    owner, mod = MODULE_WAYS[way]
    found = check(mod, lambda: setattr(owner, "W", -5.0))
    assert found == [answer(lambda s, b, h, m, n: s * 0 + n * x) for x in (1.0, -5.0)]


def test_an_array_of_main_is_live(monkeypatch):
    table = np.arange(8.0)
    monkeypatch.setattr(__main__, "ways_table", table, raising=False)
    found = check(
        lambda s, b, h, m, n: s * 0 + __main__.ways_table[n],
        lambda: table.__setitem__(slice(None), -table),
    )
    assert found[1] < 1 < found[0]


def test_what_is_not_seen_through_is_refused_as_an_array():
    error = answer(lambda s, b, h, m, n: s + sys.modules["ways_module"].T[n])
    assert error[0] == "TraceError"


@pytest.mark.parametrize(
    ("owner", "mod"),
    [
        (builtins, lambda s, b, h, m, n: s * 0 + n * builtins.own_gain),
        (builtins, lambda s, b, h, m, n: s * 0 + n * own_gain),  # noqa: F821
        (math, lambda s, b, h, m, n: s * 0 + n * math.own_gain),
    ],
)
def test_what_users_add_to_the_librarys_modules(owner, mod):
    found = check(mod, lambda: setattr(owner, "own_gain", -5.0))
    assert found[0] != found[1]


def test_what_a_librarys_module_gets_later(monkeypatch):
    found = check(
        lambda s, b, h, m, n: s * 0 + n * getattr(math, "later_gain", 1.0),
        lambda: monkeypatch.setattr(math, "later_gain", -5.0, raising=False),
    )
    assert found[0] != found[1]


def test_globals_between_underscores():
    found = check(
        lambda s, b, h, m, n: s * 0 + n * __gain__,
        lambda: setattr(this, "__gain__", -5.0),
    )
    assert found[0] != found[1]
    found = check(
        lambda s, b, h, m, n: s * 0 + __rows__[n],
        lambda: __rows__.__setitem__(slice(None), -__rows__),
    )
    assert found[1] < 1 < found[0]


def named():
    """1.0"""


@pytest.mark.parametrize("name", ["__name__", "__qualname__", "__doc__"])
def test_what_a_function_says_of_itself(name, monkeypatch):
    monkeypatch.setattr(named, name, "1.0")
    found = check(
        lambda s, b, h, m, n: s * 0 + n * float(getattr(named, name)),
        lambda: setattr(named, name, "-5.0"),
    )
    assert found[0] != found[1]
    if name == "__doc__":
        found = check(
            lambda s, b, h, m, n: s * 0 + n * float(named.__doc__),
            lambda: setattr(named, name, "1.0"),
        )
        assert found[0] != found[1]


def test_annotations(monkeypatch):
    monkeypatch.setattr(named, "__annotations__", {"w": 1.0})
    found = check(
        lambda s, b, h, m, n: s * 0 + n * named.__annotations__["w"],
        lambda: named.__annotations__.update(w=-5.0),
    )
    assert found[0] != found[1]


class Holder:
    """1.0"""

    w = 1.0


def test_the_doc_of_an_object(monkeypatch):
    holder = Holder()
    found = check(
        lambda s, b, h, m, n: s * 0 + n * float(holder.__doc__),
        lambda: monkeypatch.setattr(Holder, "__doc__", "-5.0"),
    )
    assert found[0] != found[1]


class Mode(enum.Enum):
    A = 1

    def gain(self):
        return weight

    def twice(self):
        return self.value * 2.0


class Plain(enum.Enum):
    A = 1.0


class Listed(list):
    def gain(self):
        return weight

    shared = [1.0]  # noqa: RUF012


def bound_methods():
    table, names = {"w": 1.0}, {"w": 1.0}
    get, holder = table.get, Holder()
    holder.w = 1.0
    held, listed = {holder}, Listed()
    update = lambda where: lambda: where.update(w=-5.0)
    lower = lambda: setattr(this, "weight", -5.0)
    frompy = np.frompyfunc(lambda x: x * weight, 1, 1)
    yield "get", lambda s, b, h, m, n: s * 0 + n * get("w"), update(table)
    view = types.MappingProxyType(names)
    yield "view", lambda s, b, h, m, n: s * 0 + n * view.get("w"), update(names)
    yield (
        "set",
        lambda s, b, h, m, n: s * 0 + n * min(x.w for x in held),
        (lambda: setattr(holder, "w", -5.0)),
    )
    yield "enum", lambda s, b, h, m, n: s * 0 + n * Mode.A.gain(), lower
    yield "list", lambda s, b, h, m, n: s * 0 + n * listed.gain(), lower
    yield "ufunc", lambda s, b, h, m, n: s * 0 + n * frompy(1.0), lower
    yield (
        "shared",
        lambda s, b, h, m, n: s * 0 + n * listed.shared[0],
        (lambda: listed.shared.__setitem__(0, -5.0)),
    )


@pytest.mark.parametrize("name", [case[0] for case in bound_methods()])
def test_functions_that_look_elsewhere(name):
    mod, change = next(case[1:] for case in bound_methods() if case[0] == name)
    found = check(mod, change)
    Listed.shared[0] = 1.0
    assert found == [answer(lambda s, b, h, m, n: s * 0 + n * x) for x in (1.0, -5.0)]


def test_each_call_asks_for_a_random_number_anew():
    mod = lambda s, b, h, m, n: s * 0 + n * random.random()
    assert len({answer(mod) for _ in range(3)}) == 3


def test_the_common_ways_are_remembered():
    """What they use compares itself, and no call traces anew."""
    pair, holder = Plain.A, Derived()

    def mod(s, b, h, m, n):
        gain = Plain.A.value if pair is Plain.A else Mode.A.twice()
        gain = gain * math.exp(0.0) * np.float32(1.0) * min(1.0, 2.0) * abs(1)
        gain = gain * holder.__class__.w * math.pi / np.pi * getattr(holder, "w", 2.0)
        return ops.where(isinstance(holder, Base) & (n > 0), s * 0 + n * gain, 0.0)

    for way in (mod, holder.by_class, holder.by_super, holder.by_cell):
        assert trace_variant(way).core is trace_variant(way).core


def library_function(name, module="torch.functional"):
    scope = {"__name__": module}
    exec(f"def {name}(x): return x", scope)
    return scope[name]


def test_functions_of_torch_answer_from_their_arguments():
    """But for those that ask its generators and settings"""
    assert is_pure(library_function("tanh"))
    assert is_pure(library_function("where", "torch"))
    for name in ("rand", "randn_like", "normal", "dropout", "get_default_dtype"):
        assert not is_pure(library_function(name)), name
    assert not is_pure(library_function("tanh", "torches"))


def test_torch_in_mods_is_remembered():
    torch = pytest.importorskip("torch")

    def mod(s, b, h, m, n):
        return torch.where(m >= n, torch.tanh(s), torch.sigmoid(s))

    assert trace_variant(mod).core is trace_variant(mod).core


def test_struct_sequences():
    def mod(s, b, h, m, n):
        newer = sys.version_info >= (3, 8) and sys.flags.optimize >= 0
        return s * 0 + n * (2.0 if newer and sys.float_info.dig == 15 else 1.0)

    assert answer(mod) == answer(lambda s, b, h, m, n: s * 0 + n * 2.0)
    assert trace_variant(mod).core is trace_variant(mod).core


def by_chance(s, b, h, m, n):
    return s * (random.random() < 2)


def by_modules(s, b, h, m, n):
    return s * len(sys.modules)


@pytest.mark.parametrize(
    ("mod", "name"), [(by_chance, "random.random"), (by_modules, "sys.modules")]
)
def test_tracing_at_each_call_is_told_once(mod, name, monkeypatch):
    monkeypatch.setattr(_compiler, "_warned", set())
    q = np.ones((1, 1, 2, 4), np.float32)
    note = f"each call traces its mods: nothing compares {name}"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(3):
            fovea.attention(q, q, q, mod)
    assert [(w.category, str(w.message)) for w in told] == [
        (fovea.PerformanceWarning, f"{mod.__name__}: {note}")
    ]
    assert f"  slow: {note}\n" in fovea.compile(mod, D=4).explain()


@pytest.mark.filterwarnings("error")
def test_remembered_mods_are_not_told_of(monkeypatch):
    monkeypatch.setattr(_compiler, "_warned", set())
    q = np.ones((1, 1, 2, 4), np.float32)
    fovea.attention(q, q, q, Base().by_class)
    assert "slow:" not in fovea.compile(Base().by_class, D=4).explain()
