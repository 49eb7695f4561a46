"""Classes of the user's that derive from the library's containers and partial."""

from __future__ import annotations

import functools
from typing import NamedTuple

import pytest
from test_repeats_names import answer, check


def by_missing(kind):
    table = kind()
    return lambda s, b, h, m, n: s * 0 + n * table["w"]


class Missing(dict):
    def __missing__(self, key):
        return 1.0


class Method(dict):
    def gain(self):
        return 1.0


class Listed(list):
    gain = 1.0


class Field(NamedTuple):
    w: float

    def gain(self):
        return self.w


def test_missing_keys(monkeypatch):
    found = check(
        by_missing(Missing),
        lambda: monkeypatch.setattr(Missing, "__missing__", lambda self, key: -5.0),
    )
    assert found[0] != found[1]


@pytest.mark.parametrize("value", [Method(a=1), Field(1.0)], ids=["dict", "tuple"])
def test_methods(value, monkeypatch):
    found = check(
        lambda s, b, h, m, n: s * 0 + n * value.gain(),
        lambda: monkeypatch.setattr(type(value), "gain", lambda self: -5.0),
    )
    assert found[0] != found[1]


def test_constants_of_a_class(monkeypatch):
    value = Listed([1])
    found = check(
        lambda s, b, h, m, n: s * 0 + n * value.gain,
        lambda: monkeypatch.setattr(Listed, "gain", -5.0),
        lambda: monkeypatch.setattr(Listed, "gain", 1),
    )
    assert found[0] == found[2] != found[1]


class Negated(functools.partial):
    def __call__(self, s, b, h, m, n):
        return s * 0 - self.func(s, b, h, m, n)


def rising(s, b, h, m, n):
    return s * 0 + n * 1.0


def falling(s, b, h, m, n):
    return s * 0 - n * 1.0


def test_a_partial_that_calls_its_own_way(monkeypatch):
    assert answer(Negated(rising)) == answer(falling) != answer(rising)
    found = check(
        Negated(rising), lambda: monkeypatch.setattr(Negated, "__call__", rising_of)
    )
    assert found == [answer(falling), answer(rising)]


def rising_of(self, s, b, h, m, n):
    return rising(s, b, h, m, n)


def test_a_partial_that_takes_other_parameters():
    class Bound(functools.partial):
        def __call__(self, s, b, h, m, n):
            return self.func(s, n)

    assert answer(Bound(lambda s, n: s * 0 + n * 1.0)) == answer(rising)
    wrong = type("Wrong", (functools.partial,), {"__call__": lambda self, s: s})
    assert answer(wrong(rising))[0] == "TypeError"


def test_a_partial_gets_its_own_call(monkeypatch):
    plain = type("Plain", (functools.partial,), {})
    found = check(
        plain(rising),
        lambda: monkeypatch.setattr(plain, "__call__", rising_back, raising=False),
    )
    assert found == [answer(rising), answer(falling)]


def rising_back(self, s, b, h, m, n):
    return falling(s, b, h, m, n)
