"""Globals, builtins and super() of rebound functions."""

from __future__ import annotations

import builtins
import sys
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from . import recheck
from .objects import ObjectProxy, TypeOfProxies, real_of, super_of

if TYPE_CHECKING:
    from .environment import Environment

__all__ = ["LazyGlobals"]

_NOTHING = object()


class LazyGlobals(dict):
    """Globals of rebound functions: names are wrapped when they are read.

    CPython looks names up through ``__getitem__`` where globals are a
    subclass of dict, and stores straight into the dict.
    """

    def __init__(
        self, env: Environment, slot: int, real: dict, function: int = 0
    ) -> None:
        # What C code reads directly: __name__, __package__, ….
        super().__init__((k, v) for k, v in real.items() if _is_special(k))
        self._env: Environment | None = env
        self.slot = slot
        self._function = function  # the slot of one that has these globals
        self._builtins: int | None = None
        self._real = real
        self._known = dict.copy(self)
        dict.__setitem__(self, "__builtins__", LazyBuiltins(self, real))

    def __getitem__(self, name: str) -> Any:
        if dict.__contains__(self, name):
            value = dict.__getitem__(self, name)
            env = self._env
            is_users = self._known.get(name, _NOTHING) is value
            if env is not None and (is_users or type(value) is LazyBuiltins):
                return env.reach(self.slot, recheck.get_item, name, name)
            return value
        if name not in self._real:
            self._note_absence(name)
            raise KeyError(name)
        env = self._env
        if env is None:
            return self._real[name]
        return env.reach(self.slot, recheck.get_item, name, name)

    def __contains__(self, name: object) -> bool:
        return dict.__contains__(self, name) or name in self._real

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def _note_absence(self, name: str) -> None:
        """Of a name that builtins may have; a global of that name would hide it."""
        if self._env is not None:
            path = (self.slot, recheck.probe_item, name)
            self._env.record_once(path, recheck.is_absent, None)

    def builtin(self, name: str, replacement: Any) -> Any:
        """A name of builtins, `replacement` where there is one."""
        env = self._env
        assert env is not None
        if self._builtins is None:
            path = (self._function, getattr, "__builtins__")
            names = env.objects[self._function].__builtins__
            self._builtins = env.record(path, names, recheck.is_anything, None)
        slot = self._builtins
        if replacement is not _NOTHING:
            genuine = env.objects[slot][name]
            path = (slot, recheck.get_item, name)
            env.record_once(path, recheck.is_same, genuine)
            return replacement
        try:
            return env.reach(slot, recheck.get_item, name, name)
        except KeyError:
            path = (slot, recheck.probe_item, name)
            env.record_once(path, recheck.is_absent, None)
            raise

    def close(self) -> None:
        """Hand on what the mod itself assigned to globals."""
        self._env = None
        for name, value in self.items():
            if not _is_special(name):
                self._real[name] = value


def _is_special(name: Any) -> bool:
    return isinstance(name, str) and name.startswith("__") and name.endswith("__")


class LazyBuiltins(dict):
    """The builtins of rebound functions, with an import that yields proxies.

    Class bodies and eval() ask globals without ``__getitem__`` and come here
    next, so globals are looked up first.
    """

    def __init__(self, space: LazyGlobals, real: dict) -> None:
        found = real.get("__builtins__", builtins)
        super().__init__(found if isinstance(found, dict) else vars(found))
        self._space = space
        self._own: dict[str, Any] = {}
        genuine = dict.get(self, "__import__", builtins.__import__)
        self._own["__import__"] = _importer(space, real, genuine)
        if dict.get(self, "super") is super:
            self._own["super"] = _traced_super
        if dict.get(self, "isinstance") is isinstance:
            self._own["isinstance"] = _isinstance
        if dict.get(self, "type") is type:
            self._own["type"] = TypeOfProxies
        self.update(self._own)

    def __getitem__(self, name: str) -> Any:
        space = self._space
        if name in space._real and not _is_special(name):
            return space[name]
        if space._env is None:
            return dict.__getitem__(self, name)
        return space.builtin(name, self._own.get(name, _NOTHING))


def _importer(space: LazyGlobals, real: dict, genuine: Any) -> Any:
    def traced_import(name, globals=None, locals=None, fromlist=(), level=0):
        module = genuine(name, real if level else globals, locals, fromlist, level)
        env = space._env
        if env is None or env.region is None:
            return module
        return env.reach(0, _imported, module.__name__, module.__name__)

    return traced_import


def _imported(roots: tuple, name: str) -> Any:
    return sys.modules[name]


def _isinstance(obj: Any, kinds: Any, /) -> bool:
    """What asks stand-ins for their class from here, where they name the real one."""
    return isinstance(obj, kinds)


def _traced_super(*args: Any) -> Any:
    """super() whose methods are rebound where the object is a stand-in."""
    if not args:
        frame = sys._getframe(1)
        names: Any = frame.f_locals
        if not isinstance(names, (dict, MappingProxyType)):
            names = dict(names)
        owner = names.get("__class__", _NOTHING)
        code = frame.f_code
        if owner is _NOTHING or not code.co_argcount:
            raise RuntimeError("super(): no arguments")
        args = owner, names[code.co_varnames[0]]
    if len(args) == 2 and isinstance(args[1], ObjectProxy):
        return super_of(*args)
    return super(*map(real_of, args))
