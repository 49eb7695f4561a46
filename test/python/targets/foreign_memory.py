"""The memory of one call of a kernel as a file, laid out as KernelABI.h says."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from dtypes import NUMPY

#: As in run_kernel.c.
BASE, PAGE = 0x1000000000, 1 << 16

#: As the native module takes them: address, dtype, shape, strides in elements.
Tensor = tuple[int, str, Sequence[int], Sequence[int]]


def extent(tensor: Tensor) -> tuple[int, int]:
    """Bytes before and after the address up to where elements lie."""
    _, dtype, shape, strides = tensor
    if 0 in shape:
        return 0, 0
    size = NUMPY[dtype].itemsize
    reach = [(n - 1) * s * size for n, s in zip(shape, strides, strict=True)]
    return -sum(min(x, 0) for x in reach), sum(max(x, 0) for x in reach) + size


def view(tensor: Tensor) -> np.ndarray:
    """The tensor as an array, without a copy."""
    address, dtype, shape, strides = tensor
    dtype = NUMPY[dtype]
    if 0 in shape:
        return np.empty(shape, dtype)
    before, after = extent(tensor)
    raw = (ctypes.c_char * (before + after)).from_address(address - before)
    steps = [s * dtype.itemsize for s in strides]
    return np.ndarray(shape, dtype, raw, before, steps)


class Image:
    """Blocks of memory, each in pages of its own with a hole on either side.

    The first page is the request's. Blocks end where a hole begins, every
    second one begins where one ends.
    """

    def __init__(self) -> None:
        self.blocks: list[tuple[int, bytes]] = []
        self.holes: list[int] = []
        self.end = PAGE

    def add(self, data: bytes) -> int:
        """The address of a new block; of a hole where it is empty."""
        self.holes.append(BASE + self.end)
        pages = -(-len(data) // PAGE) * PAGE
        at = self.end + PAGE
        if len(self.blocks) % 2:
            at += pages - len(data)
        self.end += PAGE + pages
        self.blocks.append((at, data))
        return BASE + at if data else self.holes[-1]

    def add_words(self, words: Iterable[int]) -> int:
        return self.add(np.asarray(list(words), np.int64).tobytes())

    def add_tensor(self, tensor: Tensor) -> int:
        """The address of the element that all indices 0 name."""
        before, after = extent(tensor)
        return self.add(ctypes.string_at(tensor[0] - before, before + after)) + before

    def save(self, path: Path, request: Sequence[int]) -> None:
        """Write the file; `request` is what follows the number of bytes and the
        holes in run_kernel.c."""
        # This list lies between two more.
        all_holes = [*self.holes, BASE + self.end, BASE + self.end + 2 * PAGE]
        words = [0, self.add_words(all_holes), len(all_holes), *request]
        words[0] = self.end + PAGE
        with path.open("wb") as file:
            file.truncate(self.end + PAGE)
            for at, data in [(0, np.asarray(words, np.int64).tobytes()), *self.blocks]:
                file.seek(at)
                file.write(data)


@dataclass
class Pages:
    """Entries [batch, pages] and the rows of a page."""

    table: np.ndarray
    length: int


@dataclass
class Call:
    """A call as kernels see it."""

    sizes: tuple[int, int, int, int, int]  # batch, heads, key heads, M, N
    queries: Sequence[Tensor]
    keys: Sequence[Tensor]
    value: Tensor
    out: Tensor
    lse: Tensor | None
    captures: Sequence[Tensor]
    scales: Sequence[float]
    q_offset: Sequence[int]
    kv_offset: Sequence[int]
    q_lengths: Sequence[int]
    kv_lengths: Sequence[int]
    classes: np.ndarray | None
    tile: tuple[int, int] | None
    pages: Pages | None

    def write(self, image: Image) -> tuple[list[int], dict[str, int]]:
        """The words of fovea_cpu_args, and where the results lie."""
        places = {"out": image.add_tensor(self.out)}
        if self.lse:
            places["lse"] = image.add_tensor(self.lse)
        lse_strides = [*self.lse[3], 0] if self.lse else [0] * 4
        table, stride, length = self._write_pages(image)
        words = [
            *self.sizes,
            image.add_words(self._inputs(image, self.queries)),
            image.add_words(self._inputs(image, self.keys)),
            image.add(np.asarray(self.scales, np.float64).tobytes()),
            *self._inputs(image, [self.value]),
            *(places["out"], *self.out[3]),
            *(places.get("lse", 0), *lse_strides),
            image.add_words(self._write_captures(image)),
            image.add_words(self.q_offset),
            image.add_words(self.kv_offset),
            image.add_words(self.q_lengths),
            image.add_words(self.kv_lengths),
            max(self.kv_lengths, default=0),
            self._write_runs(image),
            *(table, stride, length),
            0,
        ]
        return words, places

    def _inputs(self, image: Image, tensors: Sequence[Tensor]) -> list[int]:
        """Those of one batch, or of pages in its place, are shared."""
        words = []
        for tensor in tensors:
            strides = list(tensor[3])
            if tensor[2][0] == 1 and not self.pages:
                strides[0] = 0
            words += [image.add_tensor(tensor), *strides]
        return words

    def _write_captures(self, image: Image) -> list[int]:
        words = []
        for tensor in self.captures:
            data = image.add_tensor(tensor)
            words += [data, image.add_words(tensor[2]), image.add_words(tensor[3])]
        return words

    def _write_pages(self, image: Image) -> tuple[int, int, int]:
        """The address, the stride and the rows; entries in use alone."""
        if not self.pages:
            return 0, 0, 0
        used = [-(-n // self.pages.length) for n in self.kv_lengths]
        width = max([*used, 1])
        table = np.zeros((len(used), width), np.int64)
        for b, n in enumerate(used):
            table[b, :n] = self.pages.table[b, :n]
        return image.add_words(table.ravel()), width, self.pages.length

    def _write_runs(self, image: Image) -> int:
        if self.classes is None:
            return 0
        batches, heads, tiles, across = self.classes.shape
        offsets, runs = [0], []
        for row in self.classes.reshape(batches * heads * tiles, across):
            ends = np.flatnonzero(np.diff(row, append=-1)) + 1
            runs += [4 * end + row[end - 1] for end in ends]
            offsets.append(len(runs))
        words = [
            image.add_words(offsets),
            image.add(np.asarray(runs, np.int32).tobytes()),
            0 if batches == 1 else heads * tiles,
            0 if heads == 1 else tiles,
            *self.tile,
        ]
        return image.add_words(words)


def gather(call: Call) -> None:
    """Put keys and values in one piece."""

    def whole(pool: np.ndarray) -> np.ndarray:
        rows = max(call.kv_lengths)
        shape = (len(call.kv_lengths), pool.shape[1], rows, pool.shape[3])
        result = np.zeros(shape, pool.dtype)
        for b, length in enumerate(call.kv_lengths):
            for n in range(length):
                page = call.pages.table[b, n // call.pages.length]
                result[b, :, n] = pool[page, :, n % call.pages.length]
        return result

    call.gathered = [whole(view(x)) for x in [*call.keys, call.value]]
    *call.keys, call.value = [describe(x) for x in call.gathered]
    call.pages = None


def describe(array: np.ndarray) -> Tensor:
    """An array as the native module takes it."""
    names = {dtype: name for name, dtype in NUMPY.items()}
    strides = tuple(stride // array.itemsize for stride in array.strides)
    address = array.__array_interface__["data"][0]
    return address, names[array.dtype], array.shape, strides
