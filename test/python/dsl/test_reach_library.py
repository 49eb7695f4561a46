"""What a mod gets through the standard library: seen and compared all the same."""

import collections
import contextlib
import copy
import dataclasses
import functools
import os

import numpy as np
import pytest

from fovea.dsl import trace_variant


class Own(collections.UserDict):
    pass


def _constants(variant):
    nodes = variant.program["score"]["nodes"]
    return [float.fromhex(n[2]).hex() for n in nodes if n[:2] == ["const", "f"]]


def _look_twice(mod):
    """A variant, found again by the second look."""
    variant = trace_variant(mod)
    assert trace_variant(mod).core is variant.core
    return variant


def changes(mod, change):
    """Whether a change makes another variant; without one the same is found."""
    before = _look_twice(mod)
    change()
    return trace_variant(mod).program != before.program


@pytest.mark.parametrize("kind", [collections.UserDict, Own])
def test_a_key_that_appears_later_is_seen(kind):
    table, chain = kind(), collections.ChainMap({}, {"w": 2.0})
    assert changes(
        lambda s, b, h, q, k: s * table.get("w", 1.0),
        lambda: table.update(w=3.0),
    )
    assert changes(
        lambda s, b, h, q, k: s * (2.0 if "x" in table else 1.0),
        lambda: table.update(x=3.0),
    )
    assert changes(
        lambda s, b, h, q, k: s * chain.get("z", 1.0), lambda: chain.update(z=3.0)
    )
    with pytest.raises(TypeError, match="hashing"):
        trace_variant(lambda s, b, h, q, k: s if h in table else 0.0)


def by_import(s, b, h, q, k):
    import os

    return s * float(os.environ["FOVEA_TEST_W"])


ENVIRONMENT = [
    lambda s, b, h, q, k: s * float(os.environ["FOVEA_TEST_W"]),
    lambda s, b, h, q, k: s * float(os.environ.get("FOVEA_TEST_W", "7")),
    lambda s, b, h, q, k: s * float(os.getenv("FOVEA_TEST_W")),
    lambda s, b, h, q, k: s * float(os.environ.copy()["FOVEA_TEST_W"]),
    by_import,
]
ABSENT = [
    lambda s, b, h, q, k: s * float(os.environ.get("FOVEA_TEST_W", "7")),
    lambda s, b, h, q, k: s * float(os.getenv("FOVEA_TEST_W", "7")),
    lambda s, b, h, q, k: s * (2.0 if "FOVEA_TEST_W" in os.environ else 1.0),
]


@pytest.mark.parametrize("mod", ENVIRONMENT)
def test_environment_variables_are_compared(mod, monkeypatch):
    monkeypatch.setenv("FOVEA_TEST_W", "1")
    assert changes(mod, lambda: monkeypatch.setenv("FOVEA_TEST_W", "3"))


@pytest.mark.parametrize("mod", ABSENT)
def test_environment_variables_that_appear_are_seen(mod, monkeypatch):
    monkeypatch.delenv("FOVEA_TEST_W", raising=False)
    assert changes(mod, lambda: monkeypatch.setenv("FOVEA_TEST_W", "3"))


factor = 2.0


@dataclasses.dataclass
class Settings:
    w: float = 1.0
    table: object = None

    def scaled(self):
        return self.w * factor


@dataclasses.dataclass(frozen=True, slots=True)
class FrozenSettings:
    w: float = 1.0
    table: object = None

    def scaled(self):
        return self.w * factor


@pytest.mark.parametrize("kind", [Settings, FrozenSettings])
def test_dataclasses_and_copies_of_captured_objects(kind, monkeypatch):
    settings = kind(2.0, np.ones(4))

    def replaced(s, b, h, q, k):
        other = dataclasses.replace(settings, w=5.0)
        return s * other.scaled() + other.table[h]

    def copied(s, b, h, q, k):
        other = copy.copy(settings)
        return s * other.scaled() + copy.deepcopy(settings).table[h]

    def as_dict(s, b, h, q, k):
        assert dataclasses.is_dataclass(settings)
        parts = dataclasses.asdict(settings)
        return s * parts["w"] + parts["table"][h]

    for mod, scale in ((replaced, 10.0), (copied, 4.0), (as_dict, 2.0)):
        variant = _look_twice(mod)
        assert variant.arrays == [settings.table]
        assert scale.hex() in _constants(variant)
    for mod, value in ((replaced, 3.0), (copied, 4.0)):
        assert changes(mod, lambda v=value: monkeypatch.setitem(globals(), "factor", v))


def test_a_copy_changes_alone():
    settings = Settings(2.0)

    def mod(s, b, h, q, k):
        other = copy.copy(settings)
        other.w = 9.0
        return s * other.w

    assert (9.0).hex() in _constants(_look_twice(mod))
    assert settings.w == 2.0


class Reduced:
    def __reduce__(self):
        return Reduced, ()


@pytest.mark.parametrize(
    "value, text",
    [
        (
            collections.deque([np.ones(2)]),
            "a copy of a deque is not available in a mod",
        ),
        (Reduced(), "a copy of a Reduced, which has a __reduce__ of its own, is not"),
    ],
)
def test_copies_that_cannot_be_made_are_refused(value, text):
    with pytest.raises(TypeError, match=text):
        trace_variant(lambda s, b, h, q, k: s * copy.copy(value)[0])


def test_functions_that_the_library_decorated(monkeypatch):
    settings = Settings(2.0)

    @functools.singledispatch
    def weight(x):
        return 1.0

    def mod(s, b, h, q, k):
        return s * weight(settings)

    assert changes(mod, lambda: weight.register(Settings)(lambda x: x.w * factor))
    assert changes(mod, lambda: monkeypatch.setitem(globals(), "factor", 7.0))

    @contextlib.contextmanager
    def context():
        yield factor

    def managed(s, b, h, q, k):
        with context() as value:
            return s * value

    assert changes(managed, lambda: monkeypatch.setitem(globals(), "factor", 8.0))
