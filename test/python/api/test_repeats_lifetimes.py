"""What calls met goes when its owner lets go of it: nothing is remembered by force."""

from __future__ import annotations

import collections
import dataclasses
import functools
import gc
import types
import weakref

import numpy as np
import pytest
from repeat_world import forget

import fovea

Q = np.ones((1, 1, 8, 16), np.float32)


class Table(np.ndarray):
    """An array that can be watched."""


def table() -> np.ndarray:
    return np.arange(8.0, dtype=np.float32).view(Table)


def object_with_call():
    values = table()

    class Bias:
        def __call__(self, s, b, h, m, n):
            return s + values[n]

    return Bias(), [Bias, values]


def bound_method():
    values = table()

    class Model:
        w = 2.0

        def score(self, s, b, h, m, n):
            return s * self.w + values[n]

    model = Model()
    return model.score, [Model, values, model]


def attribute_holder():
    class Config:
        pass

    config = Config()
    config.w, config.table = 2.0, table()
    held = [Config, config, config.table]
    return (lambda s, b, h, m, n: s * config.w + config.table[n]), held


def namespace():
    space = {"__name__": "made", "table": table()}
    exec("def score(s, b, h, m, n):\n    return s + table[n]", space)
    return space["score"], [space["score"], space["table"]]


def module():
    config = types.ModuleType("config")
    config.w, config.table = 2.0, table()
    held = [config, config.table]
    return (lambda s, b, h, m, n: s * config.w + config.table[n]), held


def class_attribute():
    class Config:
        w = 2.0
        table = np.zeros(3).view(Table)

    return (lambda s, b, h, m, n: s * Config.w), [Config, Config.table]


def named_tuple():
    kind = collections.namedtuple("Config", ["w"])
    config = kind(2.0)
    return (lambda s, b, h, m, n: s * config.w), [kind]


def made_dataclass():
    values = table()
    field = "w", float, dataclasses.field(default_factory=lambda: values)
    kind = dataclasses.make_dataclass("Config", [field])
    config = kind(2.0)
    mod = lambda s, b, h, m, n: s * dataclasses.replace(config, w=3.0).w
    return mod, [kind, config, values]


def unread_element():
    class Odd:
        pass

    both = {"w": 2.0, "odd": Odd()}
    return (lambda s, b, h, m, n: s * both["w"]), [Odd, both["odd"]]


def keys_of_a_dict():
    class Odd:
        pass

    odd = Odd()
    weights = {odd: 3.0, Odd: table(), "w": 2.0}
    return (lambda s, b, h, m, n: s * weights["w"]), [Odd, odd, weights[Odd]]


def subclass_of_ndarray():
    class Own(np.ndarray):
        pass

    values = np.ones(8).view(Own)
    return (lambda s, b, h, m, n: s + values[n]), [Own, values]


def subclass_of_float():
    class Number(float):
        pass

    number = Number(2)
    number.table = table()
    return (lambda s, b, h, m, n: s * number), [Number, number.table]


def constants_of_own_classes():
    kinds = [
        type("Own", (base,), {}) for base in (int, str, bytes, complex, np.float32)
    ]
    held = [kind(*([b"1"] if kind.__base__ is bytes else [1])) for kind in kinds]
    return (lambda s, b, h, m, n: s * len(held)), kinds


def inherited_method():
    class Base:
        def score(self, s, b, h, m, n):
            return s * 2

    class Model(Base):
        def score(self, s, b, h, m, n):
            return super().score(s, b, h, m, n)

    return Model().score, [Base, Model]


def dispatching():
    class Kind:
        pass

    @functools.singledispatch
    def gain(x):
        return 1.0

    gain.register(Kind, lambda x: 2.0)
    kind = Kind()
    return (lambda s, b, h, m, n: s * gain(kind)), [Kind, gain]


def mutable_of_the_library():
    values = collections.deque([table()])
    return (lambda s, b, h, m, n: s * len(values)), [values, values[0]]


FORMS = [
    object_with_call, bound_method, attribute_holder, namespace, module,
    class_attribute, named_tuple, made_dataclass, unread_element, keys_of_a_dict,
    subclass_of_ndarray, subclass_of_float, constants_of_own_classes, inherited_method,
    dispatching, mutable_of_the_library,
]  # fmt: skip


def attention(mod):
    for _ in range(3):
        fovea.attention(Q, Q, Q, mod)


def kernel(mod):
    compiled = fovea.compile(mod, D=16)
    for _ in range(3):
        compiled(Q, Q, Q)


def mask(mod):
    fovea.create_mask(mod, 1, 1, 8, 8)


@pytest.mark.parametrize("use", [attention, kernel, mask], ids=lambda f: f.__name__)
@pytest.mark.parametrize("form", FORMS, ids=lambda f: f.__name__)
def test_what_mods_reach_goes_with_them(form, use):
    mod, held = form()
    use(mod)
    references = [weakref.ref(x) for x in held]
    del mod, held
    gc.collect()
    assert [reference() for reference in references if reference() is not None] == []


def test_one_code_in_several_namespaces():
    """Globals are compared name by name, the module's own names among them."""
    code = compile(
        "def helper(x):\n    return x * gain\n"
        "def score(s, b, h, m, n):\n"
        "    return helper(s) * n + (5.0 if __name__ == 'other' else 0.0) * n",
        "<made>",
        "exec",
    )
    spaces = [{"__name__": "made", "gain": 1.0} for _ in range(2)]
    spaces += [{"__name__": "made", "gain": 2.0}, {"__name__": "other", "gain": 1.0}]
    v = np.arange(8, dtype=np.float32)[None, None, :, None] * Q
    found = []
    for _ in range(2):
        for space in spaces:
            exec(code, space)
            found.append(float(fovea.attention(Q, Q, v, space["score"])[0, 0, 0, 0]))
    assert found[:4] == found[4:]
    assert found[0] == found[1]
    assert len(set(found)) == 3


def test_functions_of_one_namespace_may_come_from_two():
    """A helper whose namespace was the mod's is replaced by one of another."""
    code = compile("def helper(x, n):\n    return x + gain * n", "<made>", "exec")
    space: dict = {"gain": 1.0}
    exec(code, space)
    exec("def score(s, b, h, m, n):\n    return helper(s, n) * gain", space)
    v = np.arange(8, dtype=np.float32)[None, None, :, None] * Q
    first = fovea.attention(Q, Q, v, space["score"])
    other: dict = {"gain": -5.0}
    exec(code, other)
    space["helper"] = other["helper"]
    second = fovea.attention(Q, Q, v, space["score"])
    forget()
    assert not np.array_equal(first, second)
    assert np.array_equal(second, fovea.attention(Q, Q, v, space["score"]))
