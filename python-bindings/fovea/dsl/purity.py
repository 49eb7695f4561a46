"""Which functions answer from their arguments alone.

What a mod gets from others may change without its trace's being compared with
anything, so that the next call has to trace again.
"""

from __future__ import annotations

import functools
import sys
from types import (
    ClassMethodDescriptorType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

import numpy as np

from .diagnose import is_library_file

__all__ = [
    "constructs_plainly",
    "is_plain_class",
    "is_plain_member",
    "is_pure",
    "stays",
]

#: Modules whose functions look at what they are given and nowhere else.
_PURE = frozenset(
    [
        "abc",
        "array",
        "base64",
        "binascii",
        "bisect",
        "builtins",
        "cmath",
        "collections",
        "contextlib",
        "copy",
        "dataclasses",
        "enum",
        "fovea",
        "fractions",
        "functools",
        "hashlib",
        "heapq",
        "itertools",
        "jax",
        "jaxlib",
        "json",
        "math",
        "ml_dtypes",
        "numbers",
        "numpy",
        "operator",
        "re",
        "statistics",
        "string",
        "struct",
        "textwrap",
        "torch",
        "types",
        "typing",
        "zlib",
        "_abc",
        "_bisect",
        "_collections",
        "_collections_abc",
        "_functools",
        "_heapq",
        "_json",
        "_operator",
        "_sre",
        "_statistics",
        "_string",
        "_struct",
    ]
)
#: Those of them that read files or what a user types.
_READING = frozenset(
    [
        "fromfile",
        "genfromtxt",
        "input",
        "load",
        "loadtxt",
        "memmap",
        "open",
        "open_memmap",
    ]
)
_NOT_PURE = ("numpy.random", "torch.random", "torch.cuda", "jax.config")
#: Functions of torch that look at its generators or settings begin like this, or
#: give memory as it is.
_OF_TORCH_STATE = (
    "alpha_dropout",
    "are_",
    "bernoulli",
    "dropout",
    "empty",
    "feature_",
    "get_",
    "gumbel",
    "initial_seed",
    "is_anomaly",
    "is_autocast",
    "is_deterministic",
    "is_grad",
    "is_inference_mode",
    "is_warn",
    "multinomial",
    "normal",
    "poisson",
    "rand",
    "rrelu",
    "seed",
)


def _is_pure_module(name: Any) -> bool:
    if not isinstance(name, str) or name.startswith(_NOT_PURE):
        return False
    return name.partition(".")[0] in _PURE


def _is_of_torch(function: Any) -> bool:
    name = getattr(function, "__module__", None)
    return isinstance(name, str) and name.partition(".")[0] == "torch"


def is_pure(function: Any) -> bool:
    """Whether what a library's function gives depends on its arguments alone."""
    if isinstance(function, np.ufunc):
        # One of np.frompyfunc calls a function of the user's.
        return getattr(np, function.__name__, None) is function
    name = getattr(function, "__name__", None)
    if name in _READING or (
        _is_of_torch(function) and name.startswith(_OF_TORCH_STATE)
    ):
        return False
    owner = getattr(function, "__self__", None)
    if isinstance(function, FunctionType):
        home = function.__globals__.get("__name__")
        # Methods of os.environ read what they are given, a stand-in for it.
        return _is_pure_module(home) or (
            home == "os" and function.__qualname__.startswith("_Environ.")
        )
    if owner is None or isinstance(owner, type):
        return _is_pure_module(getattr(owner or function, "__module__", None))
    if isinstance(owner, ModuleType):
        return _is_pure_module(owner.__name__)
    return _is_constant(owner)


def _is_constant(value: Any) -> bool:
    """Whether a value is one that cannot change."""
    if isinstance(value, tuple):
        return all(map(_is_constant, value))
    return not isinstance(value, bytearray) and (
        value is None
        or value is Ellipsis
        or isinstance(value, (int, float, complex, str, bytes, range, np.generic))
    )


# -- classes and functions of the user's that run as they are ------------------------


def _reads_elsewhere(code: CodeType, names: dict) -> bool:
    """Whether code may read a global or import something."""
    return any(
        name in names or name in sys.modules or name == "__class__"
        for name in code.co_names
    ) or any(
        _reads_elsewhere(part, names)
        for part in code.co_consts
        if isinstance(part, CodeType)
    )


def _is_closed(function: FunctionType) -> bool:
    """Whether a function reads nothing but its arguments and constants."""
    code = function.__code__
    if is_library_file(code.co_filename):
        return is_pure(function)
    defaults = (function.__defaults__ or (), *(function.__kwdefaults__ or {}).values())
    return (
        function.__closure__ is None
        and _is_constant(defaults)
        and not _reads_elsewhere(code, function.__globals__)
    )


_OF_PROPERTIES = ("fget", "fset", "fdel")
_DESCRIPTORS = (
    ClassMethodDescriptorType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    WrapperDescriptorType,
)


def stays(value: Any) -> bool:
    """Whether a member of a class does the same for the same arguments."""
    if _is_constant(value):
        return True
    if isinstance(value, property):
        parts = [getattr(value, name) for name in _OF_PROPERTIES]
        return all(part is None or stays(part) for part in parts)
    if isinstance(value, (classmethod, staticmethod)):
        return stays(value.__func__)
    if type(value) is FunctionType:
        return _is_closed(value)
    if isinstance(value, functools.cached_property):
        return stays(value.func)
    return isinstance(value, _DESCRIPTORS)


def _own_members(kind: type) -> list[tuple[str, Any]]:
    return [
        (name, value)
        for base in kind.__mro__
        if base.__flags__ & _HEAP_TYPE
        and not is_library_file(
            getattr(sys.modules.get(base.__module__), "__file__", None) or "<string>"
        )
        for name, value in base.__dict__.items()
    ]


_HEAP_TYPE = 1 << 9


def _is_special(name: str) -> bool:
    return name.startswith("_") and name.endswith("_")


def is_plain_class(kind: type) -> bool:
    """Whether an enumeration or exception of the user's has nothing that changes."""
    members = getattr(kind, "__members__", {})
    for name, value in _own_members(kind):
        if name in members:
            continue
        if type(value) is not FunctionType and _is_special(name):
            continue
        if _is_constant(value) or not stays(value):
            return False
    return all(map(is_plain_member, members.values()))


_OF_MEMBERS = frozenset(("_value_", "_name_", "__objclass__", "_sort_order_"))


def is_plain_member(member: Any) -> bool:
    """Whether a member of an enumeration is but a name and a constant."""
    own = getattr(member, "__dict__", {})
    return _OF_MEMBERS.issuperset(own) and _is_constant(own.get("_value_"))


def constructs_plainly(kind: type) -> bool:
    """Whether making an object of a class runs nothing that reads elsewhere."""
    if type(kind).__flags__ & _HEAP_TYPE and type(kind).__module__ not in _PURE:
        return False
    for name, value in _own_members(kind):
        if name in ("__init__", "__new__", "__post_init__") and not (
            stays(value) or _is_generated(kind, value)
        ):
            return False
    return True


def _is_generated(kind: type, function: Any) -> bool:
    """Whether dataclasses wrote an __init__, whose cells nothing rebinds."""
    if type(function) is not FunctionType or "__dataclass_fields__" not in vars(kind):
        return False
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    defaults = function.__defaults__ or ()
    return function.__code__.co_filename == "<string>" and all(
        isinstance(value, type) or _is_constant(value) or _is_missing(value)
        for value in (*cells, *defaults)
    )


def _is_missing(value: Any) -> bool:
    return type(value).__module__ == "dataclasses"
