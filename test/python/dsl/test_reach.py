"""Arrays are found however a mod reaches them; nothing of the user's changes."""

import array
import collections
import copy
import dataclasses
import functools
import logging
import sys
import types
import warnings

import numpy as np
import pytest
from model import Model

from fovea.dsl import and_masks, mod_kind, trace_variant

module_array = np.arange(8.0)


def score_region(variant):
    return variant.program["score"]["nodes"]


def look_twice(mod):
    """A variant, found again by the second look."""
    variant = trace_variant(mod)
    assert trace_variant(mod).core is variant.core
    return variant


# -- forms ------------------------------------------------------------------------------


def test_partial_methods_and_keyword_captures():
    def mod(s, b, h, q, k, table, *, other):
        return s + table[h] + other[q]

    table, other = np.ones(3), np.ones(4)
    variant = trace_variant(
        functools.partial(mod, table=table), captures={"other": other}
    )
    assert variant.arrays[0] is table and variant.arrays[1] is other
    replaced = np.ones(5)
    again = trace_variant(
        functools.partial(mod, table=replaced), captures={"other": table}
    )
    assert again.core is variant.core and again.arrays[0] is replaced


def test_mods_under_lru_cache():
    table = np.ones(3)

    @functools.lru_cache
    def cached(s, b, h, q, k):
        return s + table[h]

    class Holder:
        @functools.cache  # noqa: B019
        def mask(self, b, h, q, k, *, width):
            return q - k < width[h]

    variant = look_twice(cached)
    assert variant.arrays[0] is table
    variant = look_twice(functools.partial(cached))
    assert variant.arrays[0] is table
    variant = trace_variant(None, Holder().mask, captures={"width": table})
    assert variant.arrays[0] is table
    assert mod_kind(cached) == "score_mod" and mod_kind(Holder().mask) == "mask_mod"
    with pytest.raises(TypeError, match="'cached' must be a mask_mod, taking .b, h, q"):
        and_masks(cached)
    assert cached.cache_info().currsize == 0


def test_zero_dimensional_arrays_are_numbers():
    window, flag = np.array(3), np.array(True)

    def mask(b, h, q, k):
        return (q - k < window) & flag

    variant = trace_variant(None, mask)
    assert [c["rank"] for c in variant.program["captures"]] == [0, 0]
    assert ["read", 0] in variant.program["mask"]["nodes"]
    before = variant.core
    window[...] = 9
    assert trace_variant(None, mask).core is before
    with pytest.raises(TypeError, match="if"):
        trace_variant(lambda s, b, h, q, k: s if window > 2 else 0)


def test_zero_dimensional_arrays_index_and_serve_both_mods():
    start = np.array(2, np.int32)
    table = np.ones(9)
    variant = trace_variant(
        lambda s, b, h, q, k: s + table[q + start] + table[start],
        lambda b, h, q, k: q >= start,
    )
    assert variant.names == ("start", "table")


def test_negative_constants_count_from_the_end():
    table = np.ones((4, 5))
    nodes = score_region(trace_variant(lambda s, b, h, q, k: s + table[-1][-2]))
    assert ["extent", 0, 0] in nodes and ["extent", 0, 1] in nodes
    assert ["const", "i64", -1] in nodes and ["const", "i64", -2] in nodes
    nodes = score_region(trace_variant(lambda s, b, h, q, k: s + table[q - 3, 1]))
    assert not any(n[0] == "extent" for n in nodes), "a computed index never wraps"


def test_hundreds_of_captures():
    arrays = [np.full(4, float(i)) for i in range(300)]

    def mod(s, b, h, q, k):
        for part in arrays:
            s = s + part[h]
        return s

    variant = trace_variant(mod)
    assert len(variant.arrays) == 300 and len(set(variant.names)) == 300
    arrays[7] = np.zeros(4)
    again = trace_variant(mod)
    assert again.core is variant.core and again.arrays[7] is arrays[7]


def test_chains_of_closures_and_recursion():
    def wrap(f, array):
        return lambda x, h: f(x, h) + array[h]

    f = lambda x, h: x
    for _ in range(200):
        f = wrap(f, np.ones(3))
    assert len(trace_variant(lambda s, b, h, q, k: f(s, h)).arrays) == 200

    def power(x, n):
        return x if n == 0 else power(x, n - 1) * module_array[n]

    assert len(score_region(trace_variant(lambda s, b, h, q, k: power(s, 5)))) > 10


def test_cyclic_containers():
    ring = [np.ones(3), 2.0]
    ring.append(ring)
    box = {"me": None, "a": np.ones(3)}
    box["me"] = box

    def mod(s, b, h, q, k):
        return s + ring[2][2][0][h] * ring[1] + box["me"]["me"]["a"][h]

    variant = trace_variant(mod)
    assert variant.arrays[0] is ring[0] and variant.arrays[1] is box["a"]
    assert trace_variant(mod).core is variant.core


def test_imports_inside_the_mod(tmp_path, monkeypatch):
    (tmp_path / "settings_of_a_test.py").write_text(
        "import numpy as np\nT = np.ones(3)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def mod(s, b, h, q, k):
        import settings_of_a_test as settings

        from fovea.ops import exp

        return exp(s) + settings.T[h]

    try:
        variant = trace_variant(mod)
        assert variant.arrays[0] is sys.modules["settings_of_a_test"].T
        assert trace_variant(mod).core is variant.core
    finally:
        sys.modules.pop("settings_of_a_test", None)


def test_decorated_and_cached_helpers():
    table = np.ones(3)

    def logged(f):
        @functools.wraps(f)
        def wrapper(*args, **kwargs):
            return f(*args, **kwargs)

        return wrapper

    @logged
    def mod(s, b, h, q, k):
        return s + cached(h)

    @functools.lru_cache
    def cached(h):
        return table[h]

    assert trace_variant(mod).arrays[0] is table


@pytest.mark.parametrize("nameless", [False, True])
def test_modules_that_answer_every_name(nameless):
    module = types.ModuleType("answering")
    module.__getattr__ = lambda name: 16.0
    if nameless:
        del module.__name__

    def mod(s, b, h, q, k):
        return s * module.width

    assert ["const", "f", (16.0).hex()] in score_region(look_twice(mod))
    module.width = 3.0
    assert ["const", "f", (3.0).hex()] in score_region(look_twice(mod))


def test_objects_made_inside_the_mod():
    table = np.ones(9)

    class Point:
        def __init__(self, i):
            self.x, self.y = i // 3, i % 3

        def distance(self, other):
            return (self.x - other.x) ** 2 + (self.y - other.y) ** 2 + table[self.x]

    def mod(s, b, h, q, k):
        assert isinstance(Point(q), Point)
        return s + Point(q).distance(Point(k))

    assert trace_variant(mod).arrays[0] is table


def test_the_users_objects_are_not_changed():
    array = np.arange(3.0)
    items = [array, {"a": array}]
    model = Model()
    before = copy.deepcopy(vars(model))

    def mod(s, b, h, q, k, extra=items):
        return model.score(s, b, h, q, k) + items[0][h] + extra[1]["a"][h]

    code, closure, defaults = mod.__code__, mod.__closure__, mod.__defaults__
    contents = [cell.cell_contents for cell in closure]
    trace_variant(mod)
    assert mod.__code__ is code and mod.__closure__ == closure
    assert mod.__defaults__ is defaults and defaults[0] is items
    assert all(a is c.cell_contents for a, c in zip(contents, closure, strict=True))
    assert items[0] is array and items[1]["a"] is array and type(items) is list
    assert vars(model).keys() == before.keys() and type(model.bias) is np.ndarray
    assert type(globals()["module_array"]) is np.ndarray
    np.testing.assert_array_equal(array, np.arange(3.0))


def test_what_the_mod_writes_itself_is_written():
    calls, seen = 0, []

    def mod(s, b, h, q, k):
        nonlocal calls
        global module_calls
        calls += 1
        module_calls = calls
        seen.append(calls)
        return s + module_array[q]

    trace_variant(mod)
    assert calls == 1 and seen == [1]
    assert globals().pop("module_calls") == 1


# -- kinds of objects -----------------------------------------------------------------


class AttributeDict(dict):
    __getattr__ = dict.__getitem__


class Named(collections.namedtuple("Named", "table width")):
    pass


class Listed(list):
    def first(self):
        return self[0]


@dataclasses.dataclass(frozen=True)
class Frozen:
    table: object
    width: int = 3


CONTAINERS = {
    "dict with attributes": (AttributeDict(t=module_array, w=2), lambda c, h: c.t[h] * c.w),
    "defaultdict": (
        collections.defaultdict(list, t=module_array), lambda c, h: c["t"][h],
    ),
    "OrderedDict": (
        collections.OrderedDict(t=module_array),
        lambda c, h: sum(v[h] for v in c.values()) if isinstance(c, dict) else None,
    ),
    "deque": (
        collections.deque([module_array, 2.0]), lambda c, h: c[0][h] * c[1] * len(c),
    ),
    "deque iterated": (
        collections.deque([module_array]), lambda c, h: sum(v[h] for v in c),
    ),
    "mappingproxy": (types.MappingProxyType({"t": module_array}), lambda c, h: c["t"][h]),
    "UserDict": (collections.UserDict(t=module_array), lambda c, h: c["t"][h]),
    "namedtuple": (Named(module_array, 3), lambda c, h: c.table[h] * c.width),
    "list": (Listed([module_array]), lambda c, h: c.first()[h]),
    "dataclass": (Frozen(module_array), lambda c, h: c.table[h] * c.width),
    "vars": (Frozen(module_array), lambda c, h: vars(c)["table"][h]),
    "getattr": (Frozen(module_array), lambda c, h: getattr(c, "table")[h]),  # noqa: B009
    "map": ([module_array], lambda c, h: sum(map(lambda x: x[h], c))),  # noqa: C417
    "unpacking": ([module_array, 2], lambda c, h: (lambda a, b: a[h] * b)(*c)),
    "dict items": ({"t": module_array}, lambda c, h: sum(v[h] for _, v in c.items())),
}  # fmt: skip


def test_a_missing_key_of_a_defaultdict():
    """The factory is asked; the user's own dict gets no key from a trace."""
    weights = collections.defaultdict(lambda: module_array[1] * 2, t=module_array)
    variant = look_twice(lambda s, b, h, q, k: s * weights["t"][h] + weights["none"])
    assert all(found is module_array for found in variant.arrays)
    assert list(weights) == ["t"]
    counts = collections.defaultdict(int, t=module_array)
    look_twice(lambda s, b, h, q, k: s + counts["t"][h] + counts["none"])
    assert list(counts) == ["t"]


def test_a_missing_key_of_a_dict_is_the_users_error():
    """What a mod raises passes unchanged, with a note."""
    with pytest.raises(KeyError) as caught:
        trace_variant(lambda s, b, h, q, k: s + {"t": module_array}["none"])
    assert caught.value.args == ("none",)
    assert "raised while tracing score_mod" in caught.value.__notes__[0]


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers(name):
    container, use = CONTAINERS[name]
    variant = look_twice(lambda s, b, h, q, k: s + use(container, h))
    assert len(variant.arrays) == 1 and variant.arrays[0] is module_array
    assert use(container, 2) >= module_array[2], "by hand"


@pytest.mark.parametrize(
    ("value", "change"),
    [
        (array.array("i", [4]), lambda v: v.__setitem__(0, 5)),
        (bytearray(b"a"), lambda v: v.__setitem__(0, 5)),
        (collections.deque([4]), lambda v: v.__setitem__(0, 5)),
        (collections.Counter({0: 4}), lambda v: v.__setitem__(0, 5)),
        (memoryview(bytearray(b"a")), lambda v: v.__setitem__(0, 5)),
    ],
)
def test_mutable_objects_of_the_library_are_not_taken_for_constants(value, change):
    mod = lambda s, b, h, q, k: s * value[0]
    before = trace_variant(mod)
    change(value)
    assert trace_variant(mod).key != before.key


class Base:
    def __init__(self):
        self.t = np.ones(3)

    @property
    def width(self):
        return self.t[0] + module_array[1]

    def part(self, s, h):
        return s + self.t[h] + module_array[h]


class Derived(Base):
    @property
    def width(self):
        return super().width * 2

    def part(self, s, h):
        return super().part(s, h) * self.width

    def __call__(self, s, b, h, q, k):
        return Derived.part(self, s, h) + super().part(s, h)


def test_super():
    mod = Derived()
    variant = look_twice(mod)
    assert variant.labels == ("Derived.t", "module_array")
    want = (0.5 + 1 + module_array[2]) * 2 * (1 + 1) + (0.5 + 1 + module_array[2])
    assert mod(0.5, 0, 2, 0, 0) == want


def test_type():
    class Config:
        table = module_array

        def read(self, h):
            return type(self).table[h]

    config = Config()

    def mod(s, b, h, q, k):
        assert type(config) is Config and isinstance(Config, type)
        assert type(module_array) is np.ndarray and int is int
        made = type("Made", (), {"x": 2})
        return s + config.read(h) * made.x

    assert look_twice(mod).names == ("Config_table",)


def test_truth_and_iteration_of_objects_are_compared():
    queue = collections.deque([module_array])
    user = collections.UserDict(a=module_array)

    def mod(s, b, h, q, k):
        for key in user:
            s = s + user[key][h]
        return s + 1 if queue else s

    before = trace_variant(mod)
    queue.clear()
    after = trace_variant(mod)
    assert len(score_region(after)) < len(score_region(before))
    user["b"] = np.ones(3)
    assert len(trace_variant(mod).arrays) == 2


def test_keys_of_different_types_are_different():
    table = {1: module_array}

    def mod(s, b, h, q, k):
        for key, value in table.items():
            s = s + value[h] * (q // key)
        return s

    before = trace_variant(mod)
    table = {1.0: module_array}
    assert trace_variant(mod).key != before.key


def test_class_bodies_eval_and_globals():
    def mod(s, b, h, q, k):
        class Inside:
            table = module_array

        found = globals()["module_array"][h] + globals().get("module_array")[q]
        return s + Inside.table[h] + eval("module_array")[k] + found

    assert look_twice(mod).names == ("module_array",)


def test_operators_of_the_users_objects():
    class Gate:
        def __init__(self, table):
            self.table = table

        def __radd__(self, other):
            return other + self.table[0]

        def __add__(self, other):
            return self.table[1] * other

    gate = Gate(np.ones(3))
    variant = look_twice(lambda s, b, h, q, k: (s + gate) + (gate + s))
    assert variant.labels == ("gate.table",)


def test_objects_that_answer_every_name():
    class Anything:
        def __getattr__(self, name):
            return None

    thing = Anything()
    look_twice(lambda s, b, h, q, k: s if thing.anything is None else 0)


def test_side_effects_work(capsys, caplog):
    def mod(s, b, h, q, k):
        print(f"{q - k}")
        logging.getLogger("a test").warning("%s", q)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.warn("hello", stacklevel=1)
        assert len(caught) == 1
        return s

    trace_variant(mod)
    assert capsys.readouterr().out == "q - k\n"
    assert caplog.messages == ["q"]


def test_numpy_scalars_on_the_left():
    f, i, t, d = np.float32(2), np.int64(3), np.bool_(True), np.float64(1.5)

    def mod(s, b, h, q, k):
        score = f * s + (i - q) + (d < s) * 1 + d % (s + 9) + i // (q + 1)
        return score + (t & (q > k)) * d**2 + (i == q) + (f >= s)

    kinds = {node[0] for node in score_region(look_twice(mod))}
    assert {"fmul", "isub", "fmod", "floordiv", "ieq"} <= kinds


def test_functions_that_ran_by_hand_before():
    """CPython's inline caches of the original do not reach the copy."""

    def mod(s, b, h, q, k):
        return s + module_array[h] * len(module_array.shape)

    for _ in range(200):
        mod(1.0, 0, 0, 0, 0)
    assert look_twice(mod).names == ("module_array",)
    assert mod(1.0, 0, 2, 0, 0) == 3.0


# -- other libraries, recognised and never imported -------------------------------------


def torch_like(name):
    def function(*args, **kwargs):
        for arg in args:
            if hasattr(type(arg), "__torch_function__"):
                return type(arg).__torch_function__(function, (), args, kwargs)
        raise AssertionError("no override")

    function.__name__ = name
    return function


def jax_like(name):
    def function(*args, **kwargs):
        raise TypeError("not a valid JAX type")

    function.__name__, function.__module__ = name, "jax.numpy"
    return function


@pytest.mark.parametrize("make", [torch_like, jax_like])
def test_functions_of_torch_and_jax(make):
    names = [
        "where",
        "tanh",
        "exp",
        "abs",
        "minimum",
        "clip",
        "relu",
        "logical_and",
        "sigmoid",
        "sinh",
        "sum",
    ]
    lib = types.SimpleNamespace(**{name: make(name) for name in names})

    def mod(s, b, h, q, k):
        s = lib.where(lib.logical_and(q >= k, h > 2), lib.tanh(s), -1.0)
        return (
            lib.minimum(lib.abs(s), 3)
            + lib.clip(s, min=-1)
            + lib.relu(s)
            + lib.sigmoid(s)
        )

    kinds = {node[0] for node in score_region(trace_variant(mod))}
    assert {"select", "tanh", "fmin", "fmax", "fabs", "sigmoid", "band"} <= kinds
    for use in (lambda s, *i: lib.sinh(s), lambda s, *i: lib.sum(s)):
        with pytest.raises(TypeError, match=r"torch\.s|not a valid JAX type"):
            trace_variant(use)
