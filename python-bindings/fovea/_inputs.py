"""What a call gets: q, k and v, captures, offsets and lengths, checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _checks, _cuda, _pages, _tensors
from ._pages import Pages
from ._program import check_dims
from ._tensors import Tensor, TensorTuple

_ndarray = np.ndarray
_geometries: dict[tuple, _checks.Geometry] = {}
_captures_seen: dict[tuple, tuple[str, tuple[int, ...], tuple[int, ...]]] = {}
_LIMIT = 4096


class Inputs:
    """q, k and v of one call, checked."""

    __slots__ = ("geometry", "k", "keep", "like", "q", "table", "v")

    def __init__(self, geometry, q, k, v, like, keep, table=None):
        self.geometry: _checks.Geometry = geometry
        self.q: TensorTuple = q
        self.k: TensorTuple = k
        self.v: TensorTuple = v
        self.like: Tensor | None = like
        self.keep = keep
        #: The page table where k and v are pools of pages.
        self.table: TensorTuple | None = table

    @property
    def arrays(self) -> tuple:
        """q, k and v as they were given."""
        if self.like is None:
            return self.keep
        return tuple(tensor.obj for tensor in self.keep)


def _remember(memo: dict, key: tuple, value: Any) -> None:
    if len(memo) >= _LIMIT:
        memo.clear()
    memo[key] = value


def read_inputs(q: Any, k: Any, v: Any) -> Inputs:
    """Check q, k, v; a repeated (shape, strides, dtype) is checked by a look-up."""
    key: tuple
    plain = type(q) is _ndarray and type(k) is _ndarray and type(v) is _ndarray
    if plain:
        key = (
            q.shape, q.strides, q.dtype,
            k.shape, k.strides, k.dtype,
            v.shape, v.strides, v.dtype,
        )  # fmt: skip
        found = _geometries.get(key)
        if found is not None:
            address = _tensors.address
            a, b, c = address(q), address(k), address(v)
            if not (a | b | c) & found.misaligned:
                return Inputs(
                    found, (a, *found.q), (b, *found.k), (c, *found.v), None, (q, k, v)
                )
    if isinstance(k, Pages) or isinstance(v, Pages):
        return Inputs(*_pages.read(q, k, v))
    tq = _tensors.read(q, "q")
    tk = _tensors.read(k, "k")
    tv = _tensors.read(v, "v")
    if plain:
        found = _checks.geometry(tq, tk, tv)
        _remember(_geometries, key, found)
    else:
        key = (
            tq.library, tq.device, tq.dtype, tq.shape, tq.strides,
            tk.library, tk.device, tk.dtype, tk.shape, tk.strides,
            tv.library, tv.device, tv.dtype, tv.shape, tv.strides,
        )  # fmt: skip
        found = _geometries.get(key)
        if found is None:
            found = _checks.geometry(tq, tk, tv)
            _remember(_geometries, key, found)
    return Inputs(found, tq.tuple, tk.tuple, tv.tuple, tq, (tq, tk, tv))


def _read_capture(array: Any, label: str, home: str) -> Tensor:
    try:
        return _tensors.read(array, label, _tensors.ANY)
    except (TypeError, ValueError) as error:
        if not home:
            raise
        rule = str(error).removeprefix(f"{label}: ")
        raise type(error)(f"{home}: captured array {label!r}: {rule}") from None


def capture_error(error: Exception, traced: Any) -> Exception:
    """An error of the compiled module with the user's own names.

    A Program's names are identifiers that mean nothing else: "t_" for "t".
    """
    text = str(error)
    for name, label, home in zip(
        traced.names, traced.labels, traced.homes or (), strict=False
    ):
        if text.startswith(f"{name}: "):
            rule = text.removeprefix(f"{name}: ")
            return type(error)(f"{home}: captured array {label!r}: {rule}")
        if f" of capture {name!r} " in text:
            own = text.replace(f" of capture {name!r} ", f" of capture {label!r} ")
            return type(error)(f"{home}: {own}")
    if text.startswith("page_table: "):
        return type(error)(text.removeprefix("page_"))  # as `Pages` calls it
    return error


def capture_tuples(
    arrays: list,
    labels: tuple[str, ...],
    device: str,
    keep: list,
    library: str = "numpy",
    homes: tuple[str, ...] = (),
) -> list[TensorTuple]:
    """Read the captures of one call; what must stay alive goes to `keep`.

    `homes` are the mods that they belong to, for messages.
    """
    result = []
    if device != "cpu":
        arrays = [_cuda.upload(array, library, device) for array in arrays]
    for index, array in enumerate(arrays):
        if type(array) is _ndarray:
            key = (array.dtype, array.shape, array.strides)
            found = _captures_seen.get(key)
            if found is not None:
                address = _tensors.address(array)
                if not address % array.itemsize:
                    result.append((address, *found))
                    continue
        tensor = _read_capture(array, labels[index], homes[index] if homes else "")
        if tensor.device != device:
            raise ValueError(
                f"{labels[index]}: a capture must be where q is ({device}),"
                f" got {tensor.device}"
            )
        keep.append(tensor)
        if type(array) is _ndarray:
            _remember(_captures_seen, key, (tensor.dtype, tensor.shape, tensor.strides))
        result.append(tensor.tuple)
    return result


def check_elements(
    captures: list[TensorTuple], traced: Any, pairs: int, features: int
) -> None:
    """Refuse captures without elements, unless there is nothing that would read them.

    That is where there is no (query, key) pair, or no feature of a seed's value.
    """
    if not pairs:
        return
    declared = traced.program["captures"]
    homes = traced.homes or ("",) * len(captures)
    for label, home, (_, _, shape, _), known in zip(
        traced.labels, homes, captures, declared, strict=True
    ):
        if 0 in shape and (features or "E" not in known.get("dims", ())):
            name = f"{home}: captured array {label!r}: must"
            raise ValueError(
                f"{name if home else f'{label}: a capture must'} have at least one"
                f" element, got shape {shape}"
            )


# What a mask's captures without elements are replaced by where nothing reads them.
_one_element = np.zeros(1, np.float64)


def without_empty(captures: list[TensorTuple]) -> list[TensorTuple]:
    """Give captures without elements one, a zero, each."""
    address = _tensors.address(_one_element)
    return [
        capture
        if 0 not in capture[2]
        else (
            address,
            capture[1],
            tuple(max(extent, 1) for extent in capture[2]),
            (0,) * len(capture[2]),
        )
        for capture in captures
    ]


NOWHERE = (None, None, None, None)


def are_default(q_offset: Any, kv_offset: Any, q_lengths: Any, kv_lengths: Any) -> bool:
    """Whether offsets are the number 0 and lengths are not given."""
    return (
        q_lengths is None
        and kv_lengths is None
        and type(q_offset) is int
        and type(kv_offset) is int
        and q_offset == 0 == kv_offset
    )


def read_positions(
    g: _checks.Geometry, q_offset: Any, kv_offset: Any, q_lengths: Any, kv_lengths: Any
) -> tuple:
    """Check offsets and lengths; None stands for zeros and for whole lengths."""
    if are_default(q_offset, kv_offset, q_lengths, kv_lengths):
        return NOWHERE
    return (
        _checks.offset(q_offset, "q_offset", g.B),
        _checks.offset(kv_offset, "kv_offset", g.B),
        _checks.lengths(q_lengths, "q_lengths", g.B, g.M),
        _checks.lengths(kv_lengths, "kv_lengths", g.B, g.N),
    )


def read_captures(traced: Any, g: _checks.Geometry, keep: list) -> list[TensorTuple]:
    """Read the captures of one call and check them against its sizes."""
    if not traced.arrays:
        return []
    captures = capture_tuples(
        traced.arrays, traced.labels, g.device, keep, g.library, traced.homes
    )
    if traced.has_dims:
        check_dims(traced.program["captures"], captures, g)
    for capture in captures:
        if 0 in capture[2]:
            check_elements(captures, traced, g.B * g.M * g.N, g.E)
            break
    return captures
