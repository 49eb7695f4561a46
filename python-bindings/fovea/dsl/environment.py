"""Everything a mod reaches, rebound so that arrays become captures.

``ndarray[traced]`` calls no hook of ours, so functions are called through
copies whose globals, closure cells, defaults and attributes yield proxies
where the originals hold arrays. The user's objects are never changed. Every
object reached is recorded as a step of a plan (recheck.py), by which the next
call sees in microseconds whether the same trace holds.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import sys
from collections.abc import Callable
from types import (
    CellType,
    CodeType,
    FunctionType,
    MethodType,
    ModuleType,
)
from typing import Any

from ..errors import TraceError
from . import recheck
from .builtins_ import LazyGlobals
from .captures import (
    CaptureArray,
    CaptureScalar,
    UnreadableArray,
    array_dtype,
    array_rank,
    is_array,
    is_other_array,
)
from .diagnose import is_library_file, is_package_file, plain_error
from .graph import Capture, Region
from .kinds import empty_like, is_immutable, is_partial, passes_as_it_is, put_item
from .library import is_rebound, stand_in_for
from .numpy_api import foreign_function
from .objects import (
    ClassProxy,
    LibraryModule,
    ObjectProxy,
    class_member,
    class_member_of,
    members_of,
    proxy_class,
)
from .purity import is_pure, stays
from .values import ArrayLike, Traced

__all__ = ["Environment"]

_DEEPEST = 100

#: What a function says of itself, which no step compares unless a mod may read it.
_SAID = ("__name__", "__qualname__", "__doc__", "__module__", "__annotations__")
_READING = ("getattr", "attrgetter", "getmembers")


class Size:
    """A size of the call ("N"), for regions that the package itself writes."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class SizeValue(Traced):
    """A traced `Size`, valid in whichever region runs."""

    __slots__ = ("_env", "_name")

    def __init__(self, env: Environment, name: str) -> None:
        self._env = env
        self._name = name

    @property
    def _region(self) -> Region:  # type: ignore[override]
        return self._env.current_region(self._name)

    @property
    def _id(self) -> int:  # type: ignore[override]
        return self._region.size(self._name)


class Environment:
    """The reach of one trace.

    Parameters
    ----------
    roots : tuple
        The objects that every path starts from.
    """

    def __init__(self, roots: tuple) -> None:
        self.objects: list[Any] = [roots]
        self.plan: list[recheck.Step] = []
        self.captures: list[Capture] = []
        self.region: Region | None = None
        self.where = "captures"
        self._paths: dict[tuple, Any] = {}
        self._holders: dict[int, tuple[int, Any]] = {}
        self._globals: dict[int, LazyGlobals] = {}
        self._cells: dict[int, tuple[int, CellType]] = {}
        self._functions: list[tuple[int, FunctionType]] = []
        #: The first thing that the mods use and nothing compares, by its name.
        self.uncompared = ""
        self._todo: collections.deque[Callable[[], None]] = collections.deque()
        self._busy = False
        self._depth = 0

    def current_region(self, label: str) -> Region:
        region = self.region
        if region is None:
            raise TraceError(
                f"{self.where}: the captured array {label!r} was used after its call; "
                "it can be read only while the mod runs"
            )
        return region

    def close(self) -> None:
        """End the trace: proxies become invalid and hold nothing alive."""
        self.region = None
        for space in self._globals.values():
            space.close()
        self.objects = []
        self._paths.clear()
        self._holders.clear()
        self._cells.clear()

    # -- paths -----------------------------------------------------------------

    def reach(self, parent: int, getter: Callable, key: Any, label: str) -> Any:
        """What stands for one element, attribute or variable of an object."""
        path = (parent, getter, key)
        if path in self._paths:
            return self._paths[path]
        value = getter(self.objects[parent], key)
        if self._depth > _DEEPEST:
            short = label if len(label) <= 60 else f"{label[:59]}…"
            raise plain_error(self.where, "", f"{short!r} is nested too deeply")
        self._depth += 1
        try:
            result = self._wrap(value, path, label)
        finally:
            self._depth -= 1
        self._paths[path] = result
        self._drain()
        return result

    def record(
        self, path: tuple, value: Any, test: Callable | None, expected: Any
    ) -> int:
        """One step of the plan; the slot of its object."""
        parent, getter, key = path
        if test is recheck.is_same:
            test, expected = recheck.sameness(expected)
        elif test is recheck.has_type:
            expected = recheck.held(expected)
        self.objects.append(value)
        self.plan.append((getter, parent, key, test, expected))
        return len(self.objects) - 1

    def record_once(self, path: tuple, test: Callable, expected: Any) -> None:
        """A step about something that is not there."""
        if path not in self._paths:
            self._paths[path] = None
            self.record(path, None, test, expected)

    def distrust(self, label: str) -> None:
        """The mod came by something that nothing compares: every call traces again."""
        self.uncompared = self.uncompared or label
        self.record_once((0, recheck.get_length, None), recheck.is_never, None)

    def _record_uncompared(self, path: tuple, value: Any, label: str) -> None:
        self.uncompared = self.uncompared or label
        self.record(path, value, recheck.is_never, None)

    def note_what_functions_say(self) -> None:
        """Names, docs and the like, where a mod may read them: no steps elsewhere."""
        codes = [function.__code__ for _, function in self._functions]
        is_any_read = any(_mentions(code, _READING) for code in codes)
        for name in _SAID:
            is_read = any(_mentions(code, (name,)) for code in codes)
            if not is_read and not is_any_read:
                continue
            for slot, function in self._functions:
                frozen = recheck.freeze(getattr(function, name))
                if frozen is not None:
                    self.record_once((slot, getattr, name), recheck.is_frozen, frozen)
                elif is_read:
                    self.distrust(f"{function.__name__}.{name}")

    def _drain(self) -> None:
        # Functions are filled here and not where they are met: chains of
        # closures may be as deep as Python's own stack.
        if self._busy:
            return
        self._busy = True
        depth, self._depth = self._depth, 0
        try:
            while self._todo:
                self._todo.popleft()()
        finally:
            self._busy = False
            self._depth = depth

    def slot_of(self, holder: Any) -> int | None:
        """Where an object that was reached before is found."""
        held = self._holders.get(id(holder))
        return held[0] if held is not None else None

    def stand_in(self, holder: Any) -> Any:
        """What stands for an object that was reached before."""
        held = self._holders.get(id(holder))
        return held[1] if held is not None else None

    # -- kinds of objects --------------------------------------------------------

    def _wrap(self, value: Any, path: tuple, label: str) -> Any:
        test = recheck.constant_test(value)
        if test is not None:
            self.record(path, value, *test)
            return value
        if isinstance(value, (Traced, ArrayLike, ObjectProxy)):  # kept from a trace
            self.record(path, value, recheck.is_same, value)
            return value
        kind = type(value)
        if is_array(value) or is_other_array(value):
            return self._array(value, path, label)
        held = self._holders.get(id(value))
        if held is not None:
            self.record(path, value, None, held[0])
            return held[1]
        foreign = foreign_function(value)
        if foreign is not None:
            self.record(path, value, recheck.is_same, value)
            return foreign
        other = stand_in_for(self, value, path, label)
        if other is not None:
            return other
        if kind is FunctionType:
            return self._function(value, path, label)
        if kind is staticmethod:
            slot = self.record(path, value, recheck.has_type, kind)
            return self.reach(slot, getattr, "__func__", label)
        if kind is MethodType:
            return self._method(value, path, label)
        if is_partial(value):
            return self._partial(value, path, label)
        if isinstance(value, (list, tuple, dict, set, frozenset)):
            return self._container(value, path, label)
        if kind is Size:
            self.record(path, value, recheck.is_same, value)
            return SizeValue(self, value.name)
        if hasattr(kind, "cache_clear") and hasattr(kind, "__get__"):
            slot = self.record(path, value, recheck.has_type, kind)
            return self.reach(slot, getattr, "__wrapped__", label)
        if passes_as_it_is(value):
            if isinstance(value, ModuleType):
                return self._object(value, path, label)
            if is_immutable(value):
                self.record(path, value, recheck.is_same, value)
            else:
                self._record_uncompared(path, value, label)
            return value
        return self._object(value, path, label)

    def _array(self, value: Any, path: tuple, label: str) -> Any:
        try:
            dtype, why = array_dtype(value), ""
        except TypeError as error:
            dtype, why = "f64", str(error)
        has_looks = is_array(value) and all(
            getattr(value, name, None) is not None for name in ("dtype", "ndim")
        )
        if has_looks:
            rank = array_rank(value)
            expected = (recheck.held(type(value)), value.dtype, rank)
            slot = self.record(path, value, recheck.is_array_like, expected)
        else:
            rank = array_rank(value) if not why else 0
            test = recheck.has_type if why else _looks_like
            kind = recheck.held(type(value))
            expected = type(value) if why else (kind, dtype, rank)
            slot = self.record(path, value, test, expected)
        capture = Capture(slot, label, dtype, rank, self.where)
        self.captures.append(capture)
        if why:
            return UnreadableArray(self, capture, why)
        return CaptureArray(self, capture) if rank else CaptureScalar(self, capture)

    def _function(self, function: FunctionType, path: tuple, label: str) -> Any:
        code = function.__code__
        if is_library_file(code.co_filename) and not is_rebound(function):
            if is_pure(function):
                self.record(path, function, recheck.is_same, function)
            else:
                self._record_uncompared(path, function, label)
            return function
        expected = (
            code,
            function.__defaults__ is None,
            function.__kwdefaults__ is None,
        )
        slot = self.record(path, function, recheck.has_code, expected)
        cells: list[CellType] = []
        todo: list[tuple] = []
        for number, name in enumerate(code.co_freevars):
            cells.append(
                self._cell(slot, number, function.__closure__[number], name, todo)
            )
        copy = FunctionType(
            code, self._space(slot, function), function.__name__, None, tuple(cells)
        )
        copy.__qualname__ = function.__qualname__
        copy.__module__ = function.__module__
        copy.__doc__ = function.__doc__
        with contextlib.suppress(Exception):  # evaluated when they are read
            copy.__annotations__ = function.__annotations__
        self._functions.append((slot, function))
        self._holders[id(function)] = slot, copy
        self._todo.append(
            functools.partial(self._fill, function, copy, slot, label, todo)
        )
        return copy

    def _cell(
        self, slot: int, number: int, cell: CellType, name: str, todo: list
    ) -> CellType:
        path = (slot, recheck.get_cell, number)
        known = self._cells.get(id(cell))
        if known is not None:
            self.record(path, cell, None, known[0])
            return known[1]
        here = self.record(path, cell, recheck.is_anything, None)
        try:
            value = cell.cell_contents
        except ValueError:  # not bound yet; the mod will say NameError itself
            self._cells[id(cell)] = here, cell
            return cell
        if recheck.constant_test(value) is not None:
            # The original cell, so that `nonlocal` counters count.
            copy = cell
            self.reach(here, recheck.get_contents, None, name)
        else:
            copy = CellType()
            todo.append((copy, here, name))
        self._cells[id(cell)] = here, copy
        return copy

    def _fill(
        self,
        function: FunctionType,
        copy: FunctionType,
        slot: int,
        label: str,
        todo: list,
    ) -> None:
        for cell, here, name in todo:
            cell.cell_contents = self.reach(here, recheck.get_contents, None, name)
        if function.__defaults__ is not None:
            copy.__defaults__ = self._defaults(function, slot)
        if function.__kwdefaults__ is not None:
            here = self._part(slot, function, "__kwdefaults__")
            copy.__kwdefaults__ = {
                name: self.reach(here, recheck.get_item, name, name)
                for name in function.__kwdefaults__
            }
        # What the package's own functions say of how they are called follows from
        # what they hold.
        unread = {"__wrapped__"}
        if is_package_file(function.__code__.co_filename):
            unread.add("__signature__")
        for name in function.__dict__:
            if name not in unread:
                copy.__dict__[name] = self.reach(slot, getattr, name, f"{label}.{name}")

    def _defaults(self, function: FunctionType, slot: int) -> tuple:
        code = function.__code__
        names = code.co_varnames[: code.co_argcount][-len(function.__defaults__) :]
        here = self._part(slot, function, "__defaults__")
        return tuple(
            self.reach(here, recheck.get_item, number, name)
            for number, name in enumerate(names)
        )

    def _part(self, slot: int, value: Any, name: str) -> int:
        part = getattr(value, name)
        if isinstance(part, dict):
            test, expected = recheck.keys_test(part)
        else:
            test, expected = recheck.has_length, (tuple, len(part))
        return self.record((slot, getattr, name), part, test, expected)

    def _space(self, slot: int, function: FunctionType) -> LazyGlobals:
        real = function.__globals__
        space = self._globals.get(id(real))
        path = (slot, getattr, "__globals__")
        if space is None:
            here = self.record(path, real, recheck.is_anything, None)
            space = self._globals[id(real)] = LazyGlobals(self, here, real, slot)
        else:
            self.record(path, real, None, space.slot)
        return space

    def _method(self, method: MethodType, path: tuple, label: str) -> Any:
        slot = self.record(path, method, recheck.has_type, MethodType)
        function = self.reach(slot, getattr, "__func__", label)
        owner = self.reach(slot, getattr, "__self__", "self")
        return MethodType(function, owner)

    def _partial(self, value: functools.partial, path: tuple, label: str) -> Any:
        slot = self.record(path, value, recheck.has_type, type(value))
        if type(value) is not functools.partial:
            own = (slot, class_member, "__call__")
            self.record(own, None, recheck.is_same, functools.partial.__call__)
        function = self.reach(slot, getattr, "func", label)
        args = self._part(slot, value, "args")
        keywords = self._part(slot, value, "keywords")
        return functools.partial(
            function,
            *(
                self.reach(args, recheck.get_item, i, f"{label}.args[{i}]")
                for i in range(len(value.args))
            ),
            **{
                name: self.reach(keywords, recheck.get_item, name, name)
                for name in value.keywords
            },
        )

    def _container(self, value: Any, path: tuple, label: str) -> Any:
        kind = type(value)
        frozen = recheck.freeze(value)
        if frozen is not None:
            self.record(path, value, recheck.is_frozen, frozen)
            return value
        if isinstance(value, (set, frozenset)) or value is sys.modules:
            # The elements come as they are, and what is behind them changes.
            self._record_uncompared(path, value, label)
            return value
        if isinstance(value, tuple):
            return self._tuple(value, path, label)
        if isinstance(value, dict):
            test, expected = recheck.keys_test(value)
            slot = self.record(path, value, test, expected)
            result: Any = empty_like(kind)
            self._holders[id(value)] = slot, result
            by_number = test is recheck.has_held_keys
            for number, key in enumerate(tuple(value)):
                how = (recheck.get_at, number) if by_number else (recheck.get_item, key)
                item = self.reach(slot, *how, f"{label}[{key!r}]")
                put_item(result, key, item)
            if isinstance(value, collections.defaultdict):
                # A missing key goes into the copy, never into the user's.
                factory = f"{label}.default_factory"
                result.default_factory = self.reach(
                    slot, getattr, "default_factory", factory
                )
        else:
            slot = self.record(
                path, value, recheck.has_length, (recheck.held(kind), len(value))
            )
            result = list.__new__(kind)
            self._holders[id(value)] = slot, result
            for number in range(len(value)):
                item = self.reach(slot, recheck.get_item, number, f"{label}[{number}]")
                list.append(result, item)
        self._members(slot, kind)
        for name in getattr(value, "__dict__", ()):
            result.__dict__[name] = self.reach(slot, getattr, name, f"{label}.{name}")
        return result

    def _tuple(self, value: tuple, path: tuple, label: str) -> Any:
        kind = type(value)
        slot = self.record(
            path, value, recheck.has_length, (recheck.held(kind), len(value))
        )
        names = getattr(kind, "_fields", None)
        items = [
            self.reach(
                slot,
                recheck.get_item,
                number,
                f"{label}.{names[number]}" if names else f"{label}[{number}]",
            )
            for number in range(len(value))
        ]
        self._members(slot, kind)
        if hasattr(kind, "n_sequence_fields"):  # sys.version_info and its like
            return value
        return tuple.__new__(kind, items)

    def _members(self, slot: int, kind: type) -> None:
        """Compare what the class of a container gives: its copy has the real one."""
        for name in members_of(kind):
            value = class_member_of(kind, name)
            path = slot, class_member, name
            test = recheck.constant_test(value)
            if test is None and not stays(value):
                self._record_uncompared(path, value, f"{kind.__name__}.{name}")
                continue
            self.record(path, value, *(test or (recheck.is_same, value)))

    def _object(self, value: Any, path: tuple, label: str) -> Any:
        if isinstance(value, ModuleType):
            slot = self.record(path, value, recheck.is_same, value)
            is_library = passes_as_it_is(value)
            kind = LibraryModule if is_library else ObjectProxy
            proxy: Any = kind(self, value, slot, label)
        elif isinstance(value, type):
            slot = self.record(path, value, recheck.is_same, value)
            proxy = ClassProxy(self, value, slot, label)
        else:
            slot = self.record(path, value, recheck.has_type, type(value))
            proxy = proxy_class(type(value))(self, value, slot, label)
        self._holders[id(value)] = slot, proxy
        return proxy


def _mentions(code: CodeType, names: tuple[str, ...]) -> bool:
    """Whether code reads attributes of these names, or has a name as a string."""
    return any(name in code.co_names or name in code.co_consts for name in names) or (
        any(_mentions(part, names) for part in code.co_consts if type(part) is CodeType)
    )


def _looks_like(value: Any, expected: tuple[Any, str, int]) -> bool:
    """`recheck.is_array_like` for objects that have only ``__dlpack__``."""
    kind, dtype, rank = expected
    return (
        recheck.is_kind(type(value), kind)
        and array_dtype(value) == dtype
        and array_rank(value) == rank
    )
