"""Stand-ins for the user's objects, classes and modules during a trace.

Attributes are fetched from the real object when the mod reads them; methods
and properties run rebound, with the stand-in as ``self``.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import functools
import sys
import weakref
from collections.abc import Callable
from dis import opname
from types import FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from . import recheck
from .diagnose import frame_error, is_library_file
from .kinds import is_fixed
from .purity import constructs_plainly
from .values import ArrayLike, Traced

if TYPE_CHECKING:
    from .environment import Environment

__all__ = [
    "ClassProxy",
    "LibraryModule",
    "ObjectProxy",
    "TypeOfProxies",
    "class_member",
    "class_member_of",
    "members_of",
    "proxy_class",
    "real_of",
    "super_of",
]

_set = object.__setattr__
_get = object.__getattribute__


_doc = property(lambda self: ObjectProxy.__getattr__(self, "__doc__"))


class ObjectProxy:
    # Stands for a module or an instance; ``isinstance`` sees the real class.

    __doc__ = _doc  # type: ignore[assignment]
    __slots__ = ("__weakref__", "_fv_env", "_fv_label", "_fv_real", "_fv_slot")

    def __init__(self, env: Environment, real: Any, slot: int | None, label: str):
        _set(self, "_fv_env", env)
        _set(self, "_fv_real", real)
        _set(self, "_fv_slot", slot)
        _set(self, "_fv_label", label)

    @property
    def __class__(self) -> Any:
        kind = type(_get(self, "_fv_real"))
        frame = sys._getframe(1)
        # Rebound functions have globals of their own class.
        if _get(self, "_fv_env").region is None or type(frame.f_globals) is dict:
            return kind
        opcode = opname[frame.f_code.co_code[frame.f_lasti]]
        if opcode in ("LOAD_ATTR", "LOAD_METHOD"):
            return class_of(self)
        if "CALL" in opcode:  # getattr, or what wants the real one
            label = _get(self, "_fv_label")
            _get(self, "_fv_env").distrust(f"{label}.__class__")
        return kind

    def __getattr__(self, name: str) -> Any:
        env, real = _get(self, "_fv_env"), _get(self, "_fv_real")
        slot, label = _get(self, "_fv_slot"), _get(self, "_fv_label")
        if env.region is None:
            return getattr(real, name)
        static = _class_attribute(type(real), name)
        if not isinstance(real, ModuleType) and not _shadows(real, name, static):
            bound = _descriptor(self, env, real, slot, name, static)
            if bound is not _NOTHING:
                return bound
        if slot is None:
            return _of_made(env, real, name, static)
        try:
            inner = label if name == "__dict__" else f"{label}.{name}"
            return env.reach(slot, getattr, name, inner)
        except AttributeError:
            path = (slot, recheck.probe_attribute, name)
            env.record_once(path, recheck.is_absent, None)
            raise

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_get(self, "_fv_real"), name, value)
        env, slot = _get(self, "_fv_env"), _get(self, "_fv_slot")
        if slot is not None:
            env._paths[slot, getattr, name] = value

    def __repr__(self) -> str:
        return repr(_get(self, "_fv_real"))

    def __hash__(self) -> int:
        return hash(_get(self, "_fv_real"))

    def __bool__(self) -> bool:
        real = _get(self, "_fv_real")
        kind = type(real)
        if hasattr(kind, "__len__") and not hasattr(kind, "__bool__"):
            return len(self) != 0
        return bool(real)

    def __len__(self) -> int:
        env, slot = _get(self, "_fv_env"), _get(self, "_fv_slot")
        if slot is None:
            return len(_get(self, "_fv_real"))
        return env.reach(
            slot, recheck.get_length, None, f"len({_get(self, '_fv_label')})"
        )

    def __getitem__(self, key: Any) -> Any:
        env, slot = _get(self, "_fv_env"), _get(self, "_fv_slot")
        if slot is None:
            return _get(self, "_fv_real")[key]
        if isinstance(key, Traced):
            key.__index__()
        label = f"{_get(self, '_fv_label')}[{key!r}]"
        try:
            return env.reach(slot, recheck.get_item, key, label)
        except LookupError:
            path = (slot, recheck.probe_subscript, key)
            env.record_once(path, recheck.is_absent, None)
            raise

    def __contains__(self, item: Any) -> bool:
        env, slot = _get(self, "_fv_env"), _get(self, "_fv_slot")
        real = _get(self, "_fv_real")
        if slot is None or not hasattr(type(real), "keys"):
            return any(item is own or item == own for own in self)
        if isinstance(item, Traced):
            item.__hash__()
        label = f"{item!r} in {_get(self, '_fv_label')}"
        return env.reach(slot, recheck.contains, item, label)

    def __iter__(self) -> Any:
        real = _get(self, "_fv_real")
        if isinstance(real, ModuleType) or not hasattr(type(real), "__iter__"):
            raise TypeError(f"{type(real).__name__!r} object is not iterable")
        env, slot = _get(self, "_fv_env"), _get(self, "_fv_slot")
        if slot is None:
            return iter(real)
        if hasattr(type(real), "keys"):
            return iter(
                env.reach(slot, recheck.get_keys, None, _get(self, "_fv_label"))
            )
        return iter([self[number] for number in range(len(self))])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _get(self, "_fv_real")(*args, **kwargs)

    def __copy__(self) -> Any:
        return _copied(self, lambda value: value)

    def __deepcopy__(self, memo: dict) -> Any:
        made = memo[id(self)] = _copied(self, lambda value: copy.deepcopy(value, memo))
        return made


class LibraryModule(ObjectProxy):
    # Stands for a library's module: what it has beside the library's own is compared.

    __doc__ = _doc  # type: ignore[assignment]
    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        value = getattr(_get(self, "_fv_real"), name, _NOTHING)
        if value is not _NOTHING and is_fixed(value):
            return value
        return ObjectProxy.__getattr__(self, name)


class ClassProxy(ObjectProxy):
    # Stands for a class of the user's.

    __doc__ = _doc  # type: ignore[assignment]
    __slots__ = ()

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, _get(self, "_fv_real"))

    def __subclasscheck__(self, other: Any) -> bool:
        if isinstance(other, ObjectProxy):
            other = _get(other, "_fv_real")
        return issubclass(other, _get(self, "_fv_real"))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """An instance made inside the mod, its methods rebound."""
        env, real = _get(self, "_fv_env"), _get(self, "_fv_real")
        made = real(*args, **kwargs)
        if not constructs_plainly(real):
            env.distrust(f"{real.__name__}()")
        if type(made) is not real or isinstance(
            made, (tuple, list, dict, str, int, float)
        ):
            return made
        return proxy_class(real)(env, made, None, real.__name__)


_NOTHING = object()
_HEAP_TYPE = 1 << 9
_CONTAINERS = ("builtins", "collections", "typing")
_OF_NAMED_TUPLES = ("_fields", "_field_defaults", "_make", "_replace", "_asdict")
_TUPLE_FIELD = type(collections.namedtuple("_Named", ["field"]).field)
_COPYING = (
    "__reduce__",
    "__reduce_ex__",
    "__getstate__",
    "__setstate__",
    "__getnewargs__",
    "__getnewargs_ex__",
)


def stand_in_of(proxy: ObjectProxy, made: Any) -> ObjectProxy:
    """A stand-in for an object that was made from the one behind `proxy`."""
    class_of(proxy)  # its methods are found through the class
    kind = type(made)
    return proxy_class(kind)(_get(proxy, "_fv_env"), made, None, kind.__name__)


def _copied(proxy: ObjectProxy, convert: Callable[[Any], Any]) -> Any:
    """A copy whose attributes are what the mod sees; the user's stays as it is."""
    env, real = _get(proxy, "_fv_env"), _get(proxy, "_fv_real")
    if isinstance(real, (ModuleType, type)):
        return proxy
    kind = type(real)
    for name in _COPYING:
        if _is_user_function(_class_attribute(kind, name)):
            raise frame_error(
                env.where,
                f"a copy of a {kind.__name__}, which has a {name} of its own, is not "
                "available in a mod",
                "a copy made outside the mod",
            )
    try:
        made = object.__new__(kind)
    except TypeError:
        raise frame_error(
            env.where,
            f"a copy of a {kind.__name__} is not available in a mod",
            "a copy made outside the mod",
        ) from None
    if hasattr(real, "__dict__"):
        held = ObjectProxy.__getattr__(proxy, "__dict__")
        made.__dict__.update((name, convert(held[name])) for name in held)
    for base in kind.__mro__:
        for name, value in base.__dict__.items():
            if type(value) is MemberDescriptorType:
                with contextlib.suppress(AttributeError):
                    own = ObjectProxy.__getattr__(proxy, name)
                    _set(made, name, convert(own))
    return stand_in_of(proxy, made)


def _of_made(env: Environment, made: Any, name: str, static: Any) -> Any:
    """An attribute of an object that the mod made: its class may have changed since."""
    if static is not _NOTHING and name not in getattr(made, "__dict__", ()):
        home = env.slot_of(type(made))
        if home is not None and not hasattr(type(static), "__get__"):
            return env.reach(home, getattr, name, f"{type(made).__name__}.{name}")
        if not isinstance(static, MemberDescriptorType):
            env.distrust(f"{type(made).__name__}.{name}")
    return getattr(made, name)


def _class_attribute(kind: type, name: str) -> Any:
    for base in kind.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return _NOTHING


def class_member_of(kind: type, name: str) -> Any:
    """What a class gives by this name, as its or a base's dict has it."""
    found = _class_attribute(kind, name)
    return getattr(kind, name) if found is _NOTHING else found


def class_member(parent: Any, name: str) -> Any:
    return class_member_of(type(parent), name)


def members_of(kind: type) -> list[str]:
    """The names of methods, properties and constants of the user's classes."""
    names: dict[str, None] = {}
    for base in kind.__mro__:
        if not base.__flags__ & _HEAP_TYPE or base.__module__ in _CONTAINERS:
            continue
        for name, value in base.__dict__.items():
            is_special = name.startswith("__") and name.endswith("__")
            if name in _SKIPPED or (is_special and not _is_user_function(value)):
                continue
            if name in _OF_NAMED_TUPLES or type(value) is _TUPLE_FIELD:
                continue
            names[name] = None
    return list(names)


def _shadows(real: Any, name: str, static: Any) -> bool:
    """Whether the instance's own dict hides what the class offers."""
    return not isinstance(static, property) and name in getattr(real, "__dict__", ())


def _is_user_function(value: Any) -> bool:
    return type(value) is FunctionType and not is_library_file(
        value.__code__.co_filename
    )


def _descriptor(proxy, env, real, slot, name: str, static: Any) -> Any:
    """A method or property of the user's, rebound to the proxy."""
    if isinstance(real, type):
        return _NOTHING
    if _is_user_function(static):
        return MethodType(_rebound(env, real, slot, name, static, None), proxy)
    getter = getattr(static, "fget" if isinstance(static, property) else "func", None)
    if isinstance(static, (property, functools.cached_property)) and _is_user_function(
        getter
    ):
        part = "fget" if isinstance(static, property) else "func"
        return _rebound(env, real, slot, name, getter, part)(proxy)
    return _NOTHING


def _own_function(kind: type, key: tuple[str, str | None]) -> Any:
    found = _class_attribute(kind, key[0])
    return found if key[1] is None else getattr(found, key[1])


def _class_function(real: Any, key: tuple[str, str | None]) -> Any:
    name, part = key
    own = getattr(real, "__dict__", None)
    if part != "fget" and own and name in own:
        return own[name]
    return _own_function(type(real), key)


def _rebound(env, real, slot, name: str, function, part: str | None) -> Any:
    label = f"{type(real).__name__}.{name}"
    if slot is not None:
        return env.reach(slot, _class_function, (name, part), label)
    # An object made inside the mod: its class is what was reached.
    home = env.slot_of(type(real))
    return (
        function
        if home is None
        else env.reach(home, _own_function, (name, part), label)
    )


class _Super:
    """super() of a stand-in: methods of later classes, rebound."""

    __slots__ = ("_after", "_proxy")

    def __init__(self, after: type, proxy: ObjectProxy) -> None:
        self._after = after
        self._proxy = proxy

    def __getattribute__(self, name: str) -> Any:
        proxy, after = _get(self, "_proxy"), _get(self, "_after")
        env, real = _get(proxy, "_fv_env"), _get(proxy, "_fv_real")
        slot = _get(proxy, "_fv_slot")
        if slot is None:
            env.distrust(f"super().{name}")
            return getattr(super(after, real), name)
        if isinstance(real, type):
            return env.reach(slot, _super_member, (weakref.ref(after), name), name)
        order = type(real).__mro__
        for base in order[order.index(after) + 1 :]:
            found = base.__dict__.get(name, _NOTHING)
            if found is _NOTHING:
                continue
            if _is_user_function(found):
                path = (slot, _super_function, (weakref.ref(after), name, None))
                return MethodType(env.reach(*path, name), proxy)
            if isinstance(found, property):
                path = (slot, _super_function, (weakref.ref(after), name, "fget"))
                return env.reach(*path, name)(proxy)
            break
        return env.reach(slot, _super_member, (weakref.ref(after), name), name)


def _super_member(real: Any, key: tuple[weakref.ref, str]) -> Any:
    return getattr(super(key[0](), real), key[1])


def _super_function(real: Any, key: tuple[weakref.ref, str, str | None]) -> Any:
    after, name, part = key
    order = type(real).__mro__
    for base in order[order.index(after()) + 1 :]:
        if name in base.__dict__:
            found = base.__dict__[name]
            return found if part is None else getattr(found, part)
    raise AttributeError(name)


def super_of(after: Any, proxy: ObjectProxy) -> Any:
    """What super(after, proxy) stands for."""
    after, real = real_of(after), _get(proxy, "_fv_real")
    order = (real if isinstance(real, type) else type(real)).__mro__
    return _Super(after, proxy) if after in order else super(after, real)


def real_of(value: Any) -> Any:
    """A class, whether a stand-in for it or the class itself is given."""
    return _get(value, "_fv_real") if isinstance(value, ClassProxy) else value


_SKIPPED = frozenset(
    [
        "__init__",
        "__new__",
        "__del__",
        "__getattribute__",
        "__getattr__",
        "__setattr__",
        "__delattr__",
        "__class__",
        "__init_subclass__",
        "__class_getitem__",
        "__set_name__",
        "__post_init__",
        "__slots__",
        "__reduce__",
        "__reduce_ex__",
        "__getstate__",
        "__setstate__",
        "__dir__",
        "__sizeof__",
    ]
)


class _TypeOfProxies(type):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and not kwargs:
            return class_of(args[0])
        return type(*args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, type)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, type)


class TypeOfProxies(type, metaclass=_TypeOfProxies):
    """The builtin `type` of rebound functions: sees what stand-ins stand for."""


def class_of(value: Any) -> Any:
    """type(value) as the mod is to see it."""
    if isinstance(value, ArrayLike):
        return value.__class__
    if not isinstance(value, ObjectProxy):
        return type(value)
    env, slot = _get(value, "_fv_env"), _get(value, "_fv_slot")
    kind = type(_get(value, "_fv_real"))
    if env.region is None:
        return kind
    if slot is None:
        known = env.stand_in(kind)
        if known is None:
            env.distrust(f"type({kind.__name__}())")
        return known or kind
    return env.reach(slot, recheck.get_class, None, kind.__name__)


_proxy_classes: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def proxy_class(kind: type) -> type[ObjectProxy]:
    """A class of stand-ins that has the special methods of `kind`."""
    known = _proxy_classes.get(kind)
    if known is None:
        known = _proxy_classes[kind] = _make_proxy_class(kind)
    return known


def _make_proxy_class(kind: type) -> type[ObjectProxy]:
    special: dict[str, Any] = {"__slots__": (), "__doc__": _doc}
    for base in reversed(kind.__mro__):
        for name, value in base.__dict__.items():
            if not (name.startswith("__") and name.endswith("__")) or name in _SKIPPED:
                continue
            if _is_user_function(value):
                special[name] = _forwarder(name)
    for name in ("__dataclass_fields__", "__dataclass_params__"):
        if hasattr(kind, name):
            special[name] = _OfClass(kind, name)
    if "__eq__" in special and "__hash__" not in special:
        special["__hash__"] = ObjectProxy.__hash__
    return type("ObjectProxy", (ObjectProxy,), special)


class _OfClass:
    """An attribute of the class that a stand-in's class must not keep alive."""

    def __init__(self, kind: type, name: str) -> None:
        self._kind = weakref.ref(kind)
        self._name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        return getattr(self._kind(), self._name)


def _forwarder(name: str) -> Any:
    def forward(self: ObjectProxy, *args: Any, **kwargs: Any) -> Any:
        return ObjectProxy.__getattr__(self, name)(*args, **kwargs)

    forward.__name__ = name
    return forward
