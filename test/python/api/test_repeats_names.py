"""Names that a mod finds in builtins are compared as globals are."""

from __future__ import annotations

import builtins
import math

import numpy as np
import pytest
from repeat_world import forget

import fovea

Q = np.ones((1, 1, 8, 16), np.float32)
V = np.arange(8, dtype=np.float32)[None, None, :, None] * Q


def answer(mod):
    """A number that tells what the mod does, or the error."""
    try:
        return float(fovea.attention(Q, Q, V, mod)[0, 0, 0, 0])
    except Exception as error:
        return type(error).__name__, str(error)


def check(mod, *changes) -> list:
    """After each change calls answer as they would with nothing remembered."""
    found = []
    for change in (lambda: None, *changes):
        change()
        have = [answer(mod) for _ in range(3)]
        forget()
        assert have == [answer(mod)] * 3
        answer(mod)
        found.append(have[0])
    return found


@pytest.fixture
def set_builtin(monkeypatch):
    return lambda name, value: monkeypatch.setattr(builtins, name, value, raising=False)


def test_a_builtin_of_the_users(set_builtin, monkeypatch):
    def mod(s, b, h, m, n):
        return s * 0 + n * own_weight  # noqa: F821

    found = check(
        mod,
        lambda: set_builtin("own_weight", 1.0),
        lambda: set_builtin("own_weight", -5.0),
        lambda: set_builtin("own_weight", 1),
        lambda: set_builtin("own_weight", np.full((), -2.0)),
        lambda: monkeypatch.delattr(builtins, "own_weight"),
        lambda: set_builtin("own_weight", 1.0),
        lambda: monkeypatch.setitem(mod.__globals__, "own_weight", -5.0),
    )
    assert found[0][0] == found[5][0] == "NameError"
    assert found[1] == found[3] == found[6]
    assert found[2] == found[7] != found[1]


def test_an_array_in_builtins(set_builtin):
    def mod(s, b, h, m, n):
        return s + own_table[n]  # noqa: F821

    table = np.arange(8.0)
    set_builtin("own_table", table)
    found = check(mod, lambda: table.__setitem__(slice(None), -table))
    assert found[0] > found[1]


def test_a_builtin_is_replaced(set_builtin):
    def mod(s, b, h, m, n):
        return s * 0 + abs(n - 7)

    genuine = abs
    found = check(
        mod,
        lambda: set_builtin("abs", lambda x: -genuine(x)),
        lambda: set_builtin("abs", genuine),
    )
    assert found[0] == found[2] != found[1]


@pytest.mark.parametrize("name", ["type", "super"])
def test_a_builtin_that_is_stood_in_for_is_replaced(name, set_builtin):
    class Base:
        def gain(self):
            return 1.0

    class Model(Base):
        def gain(self):
            return super().gain() if type(self).__name__ == "Model" else 3.0

        def score(self, s, b, h, m, n):
            return s * 0 + n * self.gain()

    class Other:
        __name__ = "Other"

        def __init__(self, *arguments):
            pass

        def gain(self):
            return -5.0

    found = check(Model().score, lambda: set_builtin(name, Other))
    assert found[0] != found[1]


def test_a_name_that_is_in_neither(set_builtin, monkeypatch):
    def mod(s, b, h, m, n):
        try:
            return s * 0 + n * own_weight
        except NameError:
            return s * 0

    found = check(
        mod,
        lambda: set_builtin("own_weight", 1.0),
        lambda: monkeypatch.delattr(builtins, "own_weight"),
        lambda: monkeypatch.setitem(mod.__globals__, "own_weight", 1.0),
    )
    assert found[0] == found[2] != found[1] == found[3]


def test_builtins_of_a_namespace():
    names = {"weight": 1.0, "abs": abs}
    space: dict = {"__builtins__": names}
    exec("def score(s, b, h, m, n):\n    return s * 0 + abs(n) * weight", space)
    found = check(
        space["score"],
        lambda: names.__setitem__("weight", -5.0),
        lambda: names.__setitem__("abs", lambda x: x * 2),
        lambda: space.__setitem__("weight", 2.0),
        lambda: space.__setitem__("abs", math.fabs),
    )
    assert len(set(found[:4])) == 4
    assert found[4][0] == "TraceError"


def test_helpers_of_one_namespace():
    """The same name through two functions."""
    names = {"weight": 1.0}
    space: dict = {"__builtins__": names}
    source = (
        "def helper(x):\n    return x * weight\n"
        "def score(s, b, h, m, n):\n    return s * 0 + helper(n) * weight"
    )
    exec(source, space)
    found = check(space["score"], lambda: names.__setitem__("weight", 2.0))
    assert found[0] != found[1]
