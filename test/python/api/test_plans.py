"""Comparing in the compiled module is what `fovea.dsl.recheck` says it is."""

from __future__ import annotations

import functools
import gc
import itertools
import types
import weakref

import numpy as np
import pytest

from fovea._lib import native
from fovea.dsl import recheck
from fovea.dsl.builtins_ import LazyGlobals


@pytest.fixture(autouse=True)
def _needs_the_compiled_module(native_is_real):
    if not native_is_real:
        pytest.skip("the stand-in compares by recheck itself")


def outcome(run) -> tuple:
    """What comparing gives; identities of what it found, or the kind of its error."""
    try:
        found = run()
    except BaseException as error:
        return "raised", type(error)
    return None if found is None else tuple(map(id, found))


def agree(steps: list[tuple], roots: tuple) -> tuple | None:
    slots = tuple(range(len(steps) + 1))
    plan = native().Plan(tuple(steps), slots)
    have = outcome(lambda: plan.arrays(roots))
    want = outcome(lambda: recheck.run_plan(steps, roots))
    # Of objects made by a getter identities say nothing.
    if have is not None and want is not None and have[0] != "raised":
        assert len(have) == len(want)
    else:
        assert have == want, steps
    return want


def function(a, b=1, *, c=2):
    return a


def plain(a):
    return a


def _closed(value):
    return lambda: value


class Odd:
    """Whose every comparison raises."""

    def __eq__(self, other):
        raise ZeroDivisionError

    __hash__ = object.__hash__

    def __len__(self):
        raise KeyboardInterrupt

    @property
    def dtype(self):
        raise ValueError


def _gone():
    """A weak reference to a class that is no more."""
    reference = weakref.ref(type("Gone", (), {}))
    gc.collect()
    assert reference() is None
    return reference


VALUES = [
    None, True, False, 0, 1, 2**70, 1.0, 0.0, -0.0, float("nan"), 1j, "softmax", "sink",
    b"x", ..., np.float32(1), np.float64(0.0), np.int64(1), (), (1, 2), [1, 2], {},
    {"a": 1}, {1: 2}, np.zeros(3), np.zeros(3, np.float32), np.zeros((2, 2)),
    np.zeros(3, ">f8"), np.ma.zeros(3), function, plain, _closed(3), len, Odd(), Odd,
    types.SimpleNamespace(name="softmax"), types.SimpleNamespace(dtype=None, ndim=1),
    functools.partial(plain, 1), range(3), slice(1), types,
]  # fmt: skip

TESTS = [
    (recheck.is_same, VALUES),
    (recheck.is_referent, [weakref.ref(x) for x in (function, Odd, types)]),
    (recheck.is_anything, [None]),
    (recheck.is_never, [None]),
    (recheck.is_absent, [None]),
    (recheck.is_equal, [(type(v), v) for v in VALUES]),
    (recheck.is_zero, [(float, 1.0), (float, -1.0), (np.float64, 1.0)]),
    (recheck.is_nan, [(float, None)]),
    (recheck.has_type, [int, bool, float, np.ndarray, types.FunctionType, Odd]),
    (recheck.has_type, [recheck.held(Odd), weakref.ref(int), _gone(), None]),
    (
        recheck.has_code,
        [
            (f.__code__, defaults, keywords)
            for f in (function, plain, VALUES[31])
            for defaults in (True, False)
            for keywords in (True, False)
        ],
    ),
    (
        recheck.is_array_like,
        [
            (kind, np.dtype(dtype), rank)
            for kind in (np.ndarray, np.ma.MaskedArray, types.SimpleNamespace, Odd)
            for dtype in ("f4", "f8", ">f8")
            for rank in (1, 2)
        ],
    ),
    (recheck.has_length, [(tuple, 2), (list, 2), (dict, 1), (str, 4), (Odd, 1)]),
    (recheck.is_softmax, [None]),
]  # fmt: skip


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test[0].__name__)
def test_tests(test):
    compare, expectations = test
    outcomes = [
        agree([(recheck.get_item, 0, 0, compare, expected)], (value,))
        for value, expected in itertools.product(VALUES, expectations)
    ]
    assert None in outcomes or compare is recheck.is_anything
    assert any(found for found in outcomes) or compare in (
        recheck.is_never,
        recheck.is_absent,
    )


def test_what_is_gone_is_nothing():
    """Not even None, which a dead reference gives."""
    for compare in (recheck.has_type, recheck.is_referent):
        steps = [(recheck.get_item, 0, 0, compare, _gone())]
        assert all(agree(steps, (value,)) is None for value in VALUES)


PARENTS = [
    (1, 2), [1, 2], {"a": 1, 0: 5}, {}, function, plain, _closed(3), np.zeros(3), None,
    _closed(3).__closure__[0], types.CellType(), types.SimpleNamespace(a=1), np, 5,
    LazyGlobals(None, 0, {"a": 1}), "text",
]  # fmt: skip
GETTERS = [
    (recheck.get_item, [0, 1, 2, -1, -3, 2**70, "a", "b", True, 1.5, ()]),
    (recheck.probe_item, ["a", "b", 0, []]),
    (recheck.get_cell, [0, 1]),
    (recheck.get_contents, [None]),
    (recheck.get_class, [None]),
    (recheck.get_length, [None]),
    (getattr, ["a", "__globals__", "__defaults__", "__kwdefaults__", "dtype", "pi"]),
    (recheck.probe_attribute, ["a", "b"]),
]


@pytest.mark.parametrize("getter", GETTERS, ids=lambda getter: getter[0].__name__)
def test_getters(getter):
    get, keys = getter
    first = (recheck.get_item, 0, 0, recheck.is_anything, None)
    found = [
        agree([first, (get, 1, key, recheck.is_anything, None)], (parent,))
        for parent, key in itertools.product(PARENTS, keys)
    ]
    assert any(found)


def test_absence_and_slots():
    anything = recheck.is_anything
    space = {"a": function}
    steps = [
        (recheck.get_item, 0, 0, anything, None),
        (recheck.probe_item, 1, "b", recheck.is_absent, None),
        (recheck.get_item, 1, "a", anything, None),
        (recheck.get_item, 0, 1, None, 3),
    ]
    assert agree(steps, (space, function))
    assert agree(steps, (space, plain)) is None
    assert agree(steps, (space | {"b": None}, function)) is None


def test_many_steps():
    steps = [(recheck.get_item, 0, 0, recheck.is_anything, None)]
    steps += [(recheck.get_item, i, 0, recheck.has_type, tuple) for i in range(1, 200)]
    nested: tuple = ()
    for _ in range(200):
        nested = (nested,)
    assert len(agree(steps, nested)) == 201
    assert agree(steps, nested[0]) is None


@pytest.mark.parametrize(
    ("steps", "slots"),
    [
        (((recheck.get_item, 1, 0, recheck.is_anything, None),), ()),
        (((recheck.get_item, -1, 0, recheck.is_anything, None),), ()),
        (((recheck.get_item, 0, 0, None, 5),), ()),
        (((recheck.get_item, 0, 0, recheck.is_anything),), ()),
        ((), (1,)),
        ((), (-1,)),
        ((), ("x",)),
    ],
)
def test_wrong_plans_are_refused(steps, slots):
    with pytest.raises((TypeError, ValueError)):
        native().Plan(steps, slots)
