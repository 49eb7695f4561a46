"""Checks of arguments, before any work.

Every message has the form ``k: head dim must be that of q (64), got 32``:
argument, rule, given. A wrong kind is a TypeError, a wrong value a ValueError.
"""

from __future__ import annotations

import contextlib
import math
import numbers
import os
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from . import _tensors
from ._tensors import INTEGERS, ITEMSIZE, NAMES, SHORT, type_name

MAX_HEAD_DIM = 512
#: Offsets lie within this on either side: sums of positions are then int64.
_FARTHEST = 1 << 56
_LARGEST = 1 << 62
#: Of a schedule's names and numbers: longer ones are no settings at all.
_LONGEST_SETTING = 32
_F32_MAX = float(np.finfo(np.float32).max)


def boolean(value: object, name: str) -> bool:
    """Accept True, False and numpy.bool."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise TypeError(f"{name}: must be a bool, got {type_name(value)}")


def path(value: object) -> str:
    """Accept a str or a path that can name a file."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"path: must be a str or a path, got {type_name(value)}")
    place = os.fsdecode(value)
    if "\0" in place:
        raise ValueError(f"path: must be without NUL, got {place!r}")
    return place


def shown_path(place: str) -> str:
    """A path in a message, which must be printable whatever the path holds."""
    try:
        return os.fsencode(place).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # no file's name
        return place.encode("utf-8", "backslashreplace").decode()


def integer(value: object, name: str, low: int, high: int | None = None) -> int:
    """Accept an int (or NumPy integer, not a bool) in [low, high]."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}: must be an int, got {type_name(value)}")
    number = int(value)
    if number < low or (high is not None and number > high):
        rule = f"at least {low}" if high is None else f"in {low}...{high}"
        raise ValueError(f"{name}: must be {rule}, got {number}")
    return number


def _is_real(value: object) -> bool:
    """Whether a value is a real number, a 0-d array of one included."""
    if isinstance(value, numbers.Real):
        return True
    if isinstance(value, (np.generic, np.ndarray)):
        # ml_dtypes' bfloat16 is no numbers.Real.
        is_real = value.dtype.kind in "fiu" or _tensors.numpy_dtype(value.dtype)
        return value.ndim == 0 and is_real not in (False, None, "i1")
    if not _tensors.is_tensor(value):
        return False
    tensor = _tensors.read(value, "scale", _tensors.ANY, grad_matters=False)
    return tensor.shape == () and tensor.dtype != "i1"


def scale(value: object, dtype: str) -> float | None:
    """Accept None or a real number that is finite in the score type."""
    if value is None:
        return None
    if isinstance(value, (bool, np.bool_)) or not _is_real(value):
        raise TypeError(f"scale: must be a real number, got {type_name(value)}")
    try:
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        is_beyond = isinstance(value, numbers.Real) and not isinstance(value, float)
        given = "a number beyond float64" if is_beyond else number
        raise ValueError(f"scale: must be finite, got {given}")
    if dtype != "f64" and abs(number) > _F32_MAX:
        raise ValueError(f"scale: must be finite in float32, got {number}")
    return number


def dtype(value: object, name: str = "dtype") -> str:
    """Accept the name or the object of a floating dtype of any library."""
    text = None
    if isinstance(value, str):
        text = value
    elif isinstance(value, np.dtype):
        text = value.name if value.isnative else value.str
    elif isinstance(value, type):
        text = value.__name__
        if value is float:
            text = "float64"
    elif type(value).__name__ == "dtype":
        text = str(value).removeprefix("torch.")
    if text is None:
        raise TypeError(f"{name}: must be the name of a dtype, got {type_name(value)}")
    short = text if text in _tensors.FLOATS else SHORT.get(text)
    if short not in _tensors.FLOATS:
        raise ValueError(
            f"{name}: must be float16, bfloat16, float32 or float64, got {text!r}"
        )
    return short


def head_dim(value: object, name: str, low: int) -> int:
    """Accept a head dim, D from 1 and E from 0 to 512."""
    return integer(value, name, low, MAX_HEAD_DIM)


def targets() -> list[str]:
    """The targets that this machine and this build have."""
    from ._lib import config

    known = config().get("targets") or []
    return [
        "cpu",
        "interpreter",
        *(t for t in known if t not in ("cpu", "interpreter")),
    ]


_checked_targets: set[str] = {"cpu", "interpreter"}


def target(value: object) -> str | None:
    """Accept None or a target that is on this machine."""
    if value is None or (type(value) is str and value in _checked_targets):
        return value  # type: ignore[return-value]
    if not isinstance(value, str):
        raise TypeError(f"target: must be a str or None, got {type_name(value)}")
    known = targets()
    if value.partition("+")[0] not in known:
        raise ValueError(f"target: must be one of {', '.join(known)}, got {value!r}")
    _checked_targets.add(value)
    return value


def schedule(value: object) -> str | None:
    """Accept None, "m=192,n=256" or a mapping of such settings.

    Returns the text that the compiled module takes; which settings a target
    knows and which values it can hold is for the schedule's own verifier.
    """
    if value is None:
        return None
    if isinstance(value, str):
        items: list[tuple[Any, Any]] = []
        for part in value.split(","):
            key, sign, number = part.strip().partition("=")
            items.append((key.strip(), number.strip() if sign else None))
    elif isinstance(value, Mapping):
        items = [(key, _setting(key, entry)) for key, entry in value.items()]
    else:
        raise TypeError(
            f"schedule: must be a str, a mapping or None, got {type_name(value)}"
        )
    parts = []
    for key, number in items:
        digits = (number or "0").removeprefix("-")
        if (
            not key.isidentifier()
            or not digits.isascii()
            or not digits.isalnum()
            or max(len(key), len(digits)) > _LONGEST_SETTING
        ):
            raise ValueError(
                "schedule: settings must look like m=192,n=256, got"
                f" {reprlib.repr(value)}"
            )
        parts.append(key if number is None else f"{key}={number}")
    return ",".join(parts)


def _setting(key: object, value: object) -> str:
    """One value of a mapping as the text has it."""
    if not isinstance(key, str):
        raise TypeError(f"schedule: names must be str, got {type_name(key)}")
    if isinstance(value, str):
        return value
    name = f"schedule: {reprlib.repr(key)[1:-1]}"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}: must be an int, got {type_name(value)}")
    number = int(value)
    if abs(number) > _LARGEST:
        raise ValueError(f"{name}: must be at most 2^62 in size, got a larger one")
    return str(number)


def batch_entries(
    value: object,
    name: str,
    batch: int,
    low: int,
    high: int,
    rule: str | None = None,
) -> int | list[int]:
    """Read an int or an integer array [B]: one number for all, or one a batch.

    Parameters
    ----------
    low, high : int
        The inclusive range of every entry.
    rule : str, optional
        How messages write that range.
    """
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: must be an int or an integer array, got bool")
    if isinstance(value, numbers.Integral):
        entries = [int(value)]
        many = False
    elif _tensors.is_tensor(value) and not isinstance(value, np.generic):
        tensor = _tensors.read(value, name, INTEGERS, grad_matters=False)
        if tensor.device != "cpu":
            raise ValueError(f"{name}: must be on cpu, got {tensor.device}")
        if tensor.shape == ():
            many = False
        elif tensor.shape == (batch,):
            many = True
        else:
            raise ValueError(
                f"{name}: shape must be ({batch},), one entry a batch,"
                f" got {tensor.shape}"
            )
        entries = tensor.numpy().reshape(-1).tolist()
    else:
        raise TypeError(
            f"{name}: must be an int or an integer array, got {type_name(value)}"
        )
    for index, entry in enumerate(entries):
        where = f" at b={index}" if many else ""
        if not low <= entry <= high:
            limits = rule or f"{low}...{high}"
            raise ValueError(f"{name}: must be in {limits}, got {entry}{where}")
    return entries if many else entries[0]


def offset_entries(value: object, name: str, batch: int) -> int | list[int]:
    """Read q_offset or kv_offset: one number for all, or one a batch."""
    return batch_entries(value, name, batch, -_FARTHEST, _FARTHEST, "-2**56...2**56")


def offset(value: object, name: str, batch: int) -> list[int] | None:
    """Read q_offset or kv_offset, one a batch; None where all are 0."""
    if type(value) is int and value == 0:
        return None
    entries = _for_each(offset_entries(value, name, batch), batch)
    return entries if any(entries) else None


def _for_each(entries: int | list[int], batch: int) -> list[int]:
    return [entries] * batch if isinstance(entries, int) else entries


def lengths(value: object, name: str, batch: int, size: int) -> list[int] | None:
    """Read q_lengths or kv_lengths, each within 0...size; None = all."""
    if value is None:
        return None
    return _for_each(batch_entries(value, name, batch, 0, size), batch)


_memory_bytes = 0


def memory() -> int:
    """Bytes of memory that this process could ever have."""
    global _memory_bytes
    if not _memory_bytes:
        _memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        try:
            import resource

            soft, _ = resource.getrlimit(resource.RLIMIT_AS)
            if soft != resource.RLIM_INFINITY:
                _memory_bytes = min(_memory_bytes, soft)
        except (ImportError, OSError, ValueError):
            pass
    return _memory_bytes


def fits(name: str, count: int, itemsize: int = 1) -> None:
    """Refuse a result that this machine can never hold."""
    size = count * itemsize
    if size > memory():
        raise MemoryError(
            f"{name}: must fit in memory ({memory():,} bytes), got {size:,} bytes"
        )


@contextlib.contextmanager
def names_memory(name: str, size: int) -> Iterator[None]:
    """Say what there was no memory for."""
    try:
        yield
    except MemoryError:
        raise MemoryError(f"{name}: must fit in memory, got {size:,} bytes") from None


class Geometry:
    """Everything about (q, k, v) that does not depend on their values."""

    __slots__ = (
        "B",
        "D",
        "E",
        "Hk",
        "Hq",
        "M",
        "N",
        "default_scale",
        "device",
        "dtype",
        "empty",
        "k",
        "library",
        "lse_shape",
        "lse_strides",
        "misaligned",
        "out_order",
        "out_plain",
        "out_shape",
        "out_strides",
        "q",
        "v",
    )

    def __init__(self, q: _tensors.Tensor, k: _tensors.Tensor, v: _tensors.Tensor):
        self.library, self.device, self.dtype = q.library, q.device, q.dtype
        self.B, self.Hq, self.M, self.D = q.shape
        _, self.Hk, self.N, _ = k.shape
        self.E = v.shape[3]
        self.q = (q.dtype, q.shape, q.strides)
        self.k = (k.dtype, k.shape, k.strides)
        self.v = (v.dtype, v.shape, v.strides)
        self.out_shape = (self.B, self.Hq, self.M, self.E)
        self.lse_shape = (self.B, self.Hq, self.M)
        self.out_order = _tensors.memory_order(q.shape, q.strides)
        self.out_plain = self.out_order == (0, 1, 2, 3)
        self.out_strides = _tensors.strides_for(self.out_shape, self.out_order)
        self.lse_strides = _tensors.strides_for(self.lse_shape, (0, 1, 2))
        self.misaligned = ITEMSIZE[q.dtype] - 1
        self.default_scale = 1.0 / math.sqrt(self.D)
        self.empty = self.B * self.M == 0


_DIMS = {"q": "B, Hq, M, D", "k": "B, Hk, N, D", "v": "B, Hk, N, E"}


def geometry(q: _tensors.Tensor, k: _tensors.Tensor, v: _tensors.Tensor) -> Geometry:
    """Check q, k and v against each other.

    Raises
    ------
    TypeError
        If they are of different libraries.
    ValueError
        If their dtypes, devices or shapes do not fit each other.
    """
    for name, tensor in (("k", k), ("v", v)):
        if tensor.library != q.library:
            raise TypeError(
                f"{name}: library must be that of q ({q.library}), got {tensor.library}"
            )
        if tensor.device != q.device:
            raise ValueError(
                f"{name}: device must be that of q ({q.device}), got {tensor.device}"
            )
        if tensor.dtype != q.dtype:
            raise ValueError(
                f"{name}: dtype must be that of q ({NAMES[q.dtype]}),"
                f" got {NAMES[tensor.dtype]}"
            )
    for name, tensor in (("q", q), ("k", k), ("v", v)):
        if len(tensor.shape) != 4:
            raise ValueError(
                f"{name}: rank must be 4 ({_DIMS[name]}), got {len(tensor.shape)}"
            )
    (B, Hq, M, D), (_, Hk, N, _) = q.shape, k.shape
    if not 1 <= D <= MAX_HEAD_DIM:
        name = "k" if k.shape[3] == D else "q"
        raise ValueError(f"{name}: head dim must be in 1...{MAX_HEAD_DIM}, got {D}")
    if k.shape[3] != D:
        raise ValueError(f"k: head dim must be that of q ({D}), got {k.shape[3]}")
    if v.shape[3] > MAX_HEAD_DIM:
        raise ValueError(f"v: head dim must be in 0...{MAX_HEAD_DIM}, got {v.shape[3]}")
    for name, tensor in (("k", k), ("v", v)):
        if tensor.shape[0] not in (1, B):
            rule = "1" if B == 1 else f"1 or that of q ({B})"
            raise ValueError(f"{name}: batch must be {rule}, got {tensor.shape[0]}")
    if Hk < 1:
        raise ValueError(f"k: heads must be at least 1, got {Hk}")
    if v.shape[1] != Hk:
        raise ValueError(f"v: heads must be those of k ({Hk}), got {v.shape[1]}")
    if Hq < 1 or Hq % Hk:
        raise ValueError(
            f"q: heads must be a positive multiple of those of k ({Hk}), got {Hq}"
        )
    if v.shape[2] != N:
        raise ValueError(f"v: length must be that of k ({N}), got {v.shape[2]}")
    item = ITEMSIZE[q.dtype]
    fits("out", B * Hq * M * max(v.shape[3], 1), item)
    return Geometry(q, k, v)
