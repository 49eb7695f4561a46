"""Recipes: what pickles and files of kernels hold. Never machine code.

A file is a zip archive: ``recipe.json`` and one ``.npy`` a capture. bfloat16
captures are widened to float32, which kernels read as the same values.
"""

from __future__ import annotations

import errno
import functools
import io
import json
import os
import stat
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from typing import IO, Any

import numpy as np

from . import _block_mask, _checks, _compiler, _kernel, _tensors
from ._mask_offsets import Offsets
from ._mask_runs import TileRuns
from ._program import ProgramSource, functions
from ._torch import runs_as_it_is

_KEYS = {"fovea_kernel", "given", "labels", "program", "scale", "schedule", "target"}


def freeze(array: Any, name: str) -> np.ndarray:
    """A contiguous copy of a capture."""
    tensor = _tensors.read(array, name, _tensors.ANY, grad_matters=False)
    values = tensor.numpy()
    _checks.fits(name, values.size, 4 if tensor.dtype == "bf16" else values.itemsize)
    if tensor.dtype == "bf16":
        return _tensors.bf16_to_f32(values)
    return np.array(values, order="C", copy=True)


def freeze_mask_mod(mod: Callable | None) -> tuple[str, list[np.ndarray]] | None:
    """A mask_mod as a Program and copies of its captures."""
    if mod is None:
        return None
    from .dsl import trace_variant

    traced = trace_variant(None, mod, "softmax", None, "f32")
    arrays = [
        freeze(array, label)
        for array, label in zip(traced.arrays, traced.labels, strict=True)
    ]
    return traced.program_json(D=1, E=1, dtype="f32"), arrays


def _thaw_mask_mod(frozen: tuple[str, list[np.ndarray]] | None) -> Callable | None:
    if frozen is None:
        return None
    program = json.loads(frozen[0])
    mod = functions(program)["mask_mod"]
    names = [capture["name"] for capture in program["captures"]]
    given = dict(zip(names, frozen[1], strict=True))
    wanted = {name: given[name] for name in sorted(_compiler.keyword_only(mod))}
    return functools.partial(mod, **wanted) if wanted else mod


def freeze_normalizer(normalizer: Any) -> tuple[str, list[np.ndarray]]:
    """A Normalizer as a Program and copies of its captures."""
    from .dsl import trace_variant

    traced = trace_variant(None, None, normalizer, None, "f32")
    arrays = [
        freeze(array, label)
        for array, label in zip(traced.arrays, traced.labels, strict=True)
    ]
    return traced.program_json(D=1, E=1, dtype="f32"), arrays


def rebuild_normalizer(text: str, arrays: Sequence[np.ndarray]) -> Any:
    """What a pickle of a Normalizer calls."""
    from .dsl import Normalizer

    program = json.loads(text)
    made = functions(program)["normalizer"]
    names = [capture["name"] for capture in program["captures"]]
    given = dict(zip(names, arrays, strict=True))
    fields = {}
    for field in ("weight", "denom", "stat", "seed", "seed_value", "finish"):
        part = getattr(made, field)
        if callable(part):
            wanted = {n: given[n] for n in sorted(_compiler.keyword_only(part))}
            part = functools.partial(part, **wanted) if wanted else part
        fields[field] = part
    return Normalizer(**fields)


def rebuild_block_mask(
    runs: tuple[np.ndarray, np.ndarray, tuple[int, int, int, int]],
    extent: tuple[int, int],
    size: tuple[int, int],
    seq_lengths: tuple[int, int],
    mask_mod: tuple[str, list[np.ndarray]] | None,
    offsets: Offsets | None,
    rows_cut: int = 0,
    reads: tuple[bool, bool] = (False, False),
) -> _block_mask.BlockMask:
    """What a pickle of a BlockMask calls."""
    mod = _thaw_mask_mod(mask_mod)
    tiles = TileRuns(*runs, {})
    return _block_mask.BlockMask._make(
        tiles, size, seq_lengths, mod, extent=extent, offsets=offsets,
        rows_cut=rows_cut, reads=reads,
    )  # fmt: skip


def rebuild_kernel(recipe: str, arrays: Sequence[np.ndarray]) -> _kernel.Kernel:
    """What a pickle of a Kernel calls."""
    return _kernel_of(json.loads(recipe), arrays)


def _kernel_of(recipe: dict, arrays: Sequence[np.ndarray]) -> _kernel.Kernel:
    program = recipe["program"]
    given = dict(zip(recipe["given"], arrays, strict=True))
    source = ProgramSource(program, given, recipe["labels"])
    return _kernel.Kernel._make(
        source,
        program["dtype"],
        program["D"][0],
        program["E"],
        recipe["scale"],
        program.get("block_mask", False),
        program.get("return_lse", False),
        _compiler.target_for(recipe["target"], "cpu"),
        recipe["schedule"],
    )


def _check_recipe(recipe: Any) -> None:
    """Refuse a recipe that is none; what the Program says is for the compiler."""
    if not isinstance(recipe, dict) or recipe.get("fovea_kernel") != 1:
        raise ValueError("no recipe of version 1")
    if recipe.keys() != _KEYS:
        raise ValueError("an incomplete recipe")
    program = recipe["program"]
    captures = program["captures"]
    names = [capture["name"] for capture in captures]
    good = (
        all(isinstance(name, str) and name.isidentifier() for name in names)
        and all(capture["dtype"] in _tensors.NAMES for capture in captures)
        and all(type(capture["rank"]) is int for capture in captures)
        and set(recipe["given"]) <= set(names)
        and len(recipe["labels"]) == len(names)
        and all(isinstance(label, str) for label in recipe["labels"])
        and program["dtype"] in _tensors.FLOATS
        and type(program["D"][0]) is int
        and type(program["E"]) is int
    )
    if not good:
        raise ValueError("a recipe that contradicts itself")


def _path(path: object) -> str:
    place = _checks.path(path)
    if not place:
        raise ValueError("path: must name a file, got an empty one")
    return place


def _write(file: IO[bytes], recipe: dict, copies: Sequence[np.ndarray]) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("recipe.json", json.dumps(recipe, sort_keys=True))
        for index, copy in enumerate(copies):
            buffer = io.BytesIO()
            np.save(buffer, copy, allow_pickle=False)
            archive.writestr(f"captures/{index}.npy", buffer.getvalue())


def _leads_to_open_file(place: str) -> bool:
    """Whether a link of the system stands for what some process has open."""
    while os.path.islink(place):
        folder = os.path.realpath(os.path.dirname(os.path.abspath(place)))
        if folder.startswith("/proc/"):
            return True
        place = os.path.join(folder, os.readlink(place))
    return False


def _destination(place: str) -> tuple[str | None, int]:
    """The file to replace, links followed, and its mode.

    None where there is something to write into: a pipe, a device, an open file.
    """
    try:
        status = os.stat(place)
    except FileNotFoundError:
        return os.path.realpath(place), 0o644
    if not stat.S_ISREG(status.st_mode) or _leads_to_open_file(place):
        return None, 0
    as_effective = os.access in os.supports_effective_ids
    if not os.access(place, os.W_OK, effective_ids=as_effective):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), place)
    return os.path.realpath(place), stat.S_IMODE(status.st_mode)


def save(kernel: _kernel.Kernel, path: Any) -> None:
    """Write a kernel's recipe; a file appears whole or not at all."""
    place = _path(path)
    recipe, arrays = kernel._recipe()
    copies = [freeze(array, name) for name, array in arrays.items()]
    real, mode = _destination(place)
    if real is None:
        with open(place, "wb") as stream:
            _write(stream, recipe, copies)
        return
    try:
        handle, temporary = tempfile.mkstemp(
            prefix=".fovea-", dir=os.path.dirname(real)
        )
    except OSError as error:
        raise OSError(error.errno, error.strerror, place) from None
    try:
        with os.fdopen(handle, "wb") as file:
            _write(file, recipe, copies)
        os.chmod(temporary, mode)
        os.replace(temporary, real)
    except BaseException:
        os.unlink(temporary)
        raise


@runs_as_it_is
def load_kernel(path: Any) -> _kernel.Kernel:
    """Compile (or look up) the kernel that `Kernel.save` wrote.

    Parameters
    ----------
    path : str or path
        A file that `Kernel.save` wrote.

    Returns
    -------
    Kernel
        With the captures as they were saved.

    Raises
    ------
    ValueError
        If the file is damaged or something else.
    OSError
        If it cannot be read.
    """
    place = _path(path)
    try:
        with zipfile.ZipFile(place) as archive:
            recipe = json.loads(archive.read("recipe.json"))
            _check_recipe(recipe)
            arrays = [
                np.load(
                    io.BytesIO(archive.read(f"captures/{i}.npy")), allow_pickle=False
                )
                for i in range(len(recipe["given"]))
            ]
    except MemoryError:
        raise
    except Exception as error:
        # A seek to where a damaged directory points is an OSError of no file.
        if isinstance(error, OSError) and error.filename is not None:
            raise
        raise ValueError(
            f"{_checks.shown_path(place)}: must be a file that Kernel.save wrote, got"
            f" {type(error).__name__}: {error}"
        ) from error
    return _kernel_of(recipe, arrays)
