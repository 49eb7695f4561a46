"""What kinds of objects a mod may reach, by what can be behind them."""

from __future__ import annotations

import collections
import functools
import re
import sys
import types
from types import BuiltinFunctionType, MappingProxyType, ModuleType
from typing import Any

import numpy as np

from .diagnose import is_library_file
from .purity import is_plain_class, is_plain_member, is_pure

__all__ = [
    "empty_like",
    "is_fixed",
    "is_immutable",
    "is_partial",
    "passes_as_it_is",
    "put_item",
]

_VIEWS = (collections.deque, MappingProxyType)
_IMMUTABLE = (
    np.dtype,
    slice,
    re.Pattern,
    types.CodeType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    type(NotImplemented),
)
#: Classes of torch whose objects never change.
_FIXED_OF_TORCH = frozenset(
    ("device", "dtype", "finfo", "iinfo", "layout", "memory_format")
)
_CALLED = (BuiltinFunctionType, types.MethodWrapperType, np.ufunc, type(np.where))

# Modules of which library.py replaces a part, or that hold what the user sets.
_FOLLOWED = frozenset(("copy", "dataclasses", "functools", "os"))


def is_immutable(value: Any) -> bool:
    """Whether an object that passes as it is stays what it is.

    So that it leads a mod to nothing that changes unseen: a function that answers
    from elsewhere than its arguments does not.
    """
    if isinstance(value, _CALLED):
        return is_pure(value)
    if isinstance(value, type):
        return _is_library_class(value) or is_plain_class(value)
    if hasattr(type(value), "__members__"):
        return is_plain_class(type(value)) and is_plain_member(value)
    return isinstance(value, _IMMUTABLE) or _is_fixed_of_torch(type(value))


def _is_fixed_of_torch(kind: type) -> bool:
    name = kind.__name__
    if kind.__module__ != "torch" or name not in _FIXED_OF_TORCH:
        return False
    return getattr(sys.modules.get("torch"), name, None) is kind


def is_fixed(value: Any) -> bool:
    """Whether what a library's module offers is the library's own and compares itself.

    Functions and classes, which a mod gets without anything being recorded.
    """
    if type(value) is types.FunctionType:
        is_own = is_library_file(value.__code__.co_filename) and is_pure(value)
        return is_own and value.__closure__ is None and not vars(value)
    if isinstance(value, ModuleType):
        return False
    return passes_as_it_is(value) and is_immutable(value)


def is_partial(value: Any) -> bool:
    """Whether calling an object calls what functools.partial wraps."""
    return (
        isinstance(value, functools.partial)
        and type(value).__call__ is functools.partial.__call__
    )


def passes_as_it_is(value: Any) -> bool:
    """Whether nothing behind this object can be a capture."""
    if isinstance(value, (BuiltinFunctionType, np.ufunc, BaseException)):
        return True
    if isinstance(value, ModuleType):
        name = vars(value).get("__name__")
        return name not in _FOLLOWED and _is_library_module(name, value)
    if isinstance(value, type):
        return (
            issubclass(value, BaseException)
            or hasattr(value, "__members__")
            or _is_library_class(value)
            or _is_fixed_of_torch(value)
        )
    kind = type(value)
    if kind in _VIEWS or hasattr(value, "__dict__"):
        return hasattr(kind, "__members__") or _is_root(kind.__module__, "numpy")
    heap_type = kind.__flags__ & (1 << 9)
    return not heap_type or _is_library_class(kind)


def _is_root(module: str | None, name: str) -> bool:
    return module is not None and module.partition(".")[0] == name


def _is_library_module(name: object, module: object) -> bool:
    # Read past a __getattr__ of the module, which may answer with anything.
    file = vars(module).get("__file__") if isinstance(module, ModuleType) else None
    if not isinstance(name, str) or name == "__main__":
        return False
    if not isinstance(file, str):
        is_listed = name.partition(".")[0] in sys.stdlib_module_names
        return is_listed and sys.modules.get(name) is module
    return is_library_file(file) or name == "fovea" or _is_root(name, "ml_dtypes")


def _is_library_class(kind: type) -> bool:
    module = sys.modules.get(kind.__module__)
    if module is None or kind.__module__ == "__main__":
        return False
    return _is_library_module(kind.__module__, module)


def empty_like(kind: type) -> Any:
    """An empty dict of the class `kind`, no code of the user's run."""
    if issubclass(kind, collections.OrderedDict):
        return collections.OrderedDict.__new__(kind)
    return dict.__new__(kind)


def put_item(result: dict, key: Any, item: Any) -> None:
    """Store into what `empty_like` made."""
    if isinstance(result, collections.OrderedDict):
        collections.OrderedDict.__setitem__(result, key, item)
    else:
        dict.__setitem__(result, key, item)
