"""Schedules that ``fovea tune`` found, for calls that ask for none.

FOVEA_TUNING names a file of ``fovea tune`` or a folder of them (``*.json``). It is
read at the first call that compiles. A schedule is taken where the file is of
this processor and of the same variant, dtype, head dims and target. What cannot be
read, or is refused by the compiler, is named once and not taken.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import json
import os
import stat
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from . import _checks
from ._lib import config
from .errors import PerformanceWarning

__all__ = ["find", "fingerprint", "ignored"]

#: What a schedule may depend on; names of captures and texts are no part of it.
_PARTS = ("D", "E", "dtype", "mask", "normalizer", "params", "scale", "score")
_LARGEST = 1 << 22  # bytes of a file
_WHAT = "FOVEA_TUNING names a file of fovea tune or a folder of them (*.json)"
_ignored = contextvars.ContextVar("fovea_tuning_ignored", default=False)


class _Entry(NamedTuple):
    settings: dict[str, str]
    file: str


def fingerprint(program: Mapping[str, Any]) -> str:
    """What two programs have in common where they compute the same.

    Parameters
    ----------
    program : mapping
        A whole Program, with dtype, D and E.
    """
    import hashlib

    parts = {name: program.get(name) or None for name in _PARTS}
    parts["captures"] = [[c["dtype"], c["rank"]] for c in program.get("captures", ())]
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(path: Path) -> dict[str, Any]:
    """What a file of ``fovea tune`` holds; ValueError says what is wrong."""
    try:
        told = path.stat()
        if not stat.S_ISREG(told.st_mode):
            raise ValueError("is no regular file")
        if told.st_size > _LARGEST:
            raise ValueError(
                f"has {told.st_size} bytes, files of fovea tune at most {_LARGEST}"
            )
        text = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{error.strerror}; {_WHAT}") from None
    try:
        found = json.loads(text.decode())
    except (ValueError, RecursionError):
        raise ValueError("is no file of fovea tune") from None
    if not isinstance(found, dict) or found.get("fovea_tuning") != 1:
        raise ValueError("is no file of fovea tune")
    if "program" not in found:
        raise ValueError("does not say of which program it is; tune again")
    machine = found.get("machine")
    wanted = ("program", "schedule", "cost_model", "target")
    if not isinstance(machine, dict) or any(
        not isinstance(found.get(name), str) for name in wanted
    ):
        raise ValueError("is no file of fovea tune")
    _checks.schedule(found["schedule"])
    return found


def _settings(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(",") if part)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _warn(path: Path, text: str) -> None:
    warnings.warn(f"FOVEA_TUNING: {path} {text}", PerformanceWarning, stacklevel=6)


@functools.cache
def _entries() -> dict[tuple[str, str], _Entry]:
    """By target and program. Files of other processors are passed over."""
    place = os.environ.get("FOVEA_TUNING", "")
    if not place:
        return {}
    path = Path(place)
    files = [path]
    if os.path.isdir(path):
        files = sorted(path.glob("*.json"))
        if not files:
            _warn(path, f"holds no *.json; {_WHAT}")
    known: dict[tuple[str, str], _Entry] = {}
    for file in files:
        try:
            found = _read(file)
        except ValueError as error:
            _warn(file, str(error))
            continue
        if found["machine"].get("cpu") != config()["cpu"]:
            continue
        if found["schedule"] == found["cost_model"]:
            continue
        at = (found["target"], found["program"])
        settings, before = _settings(found["schedule"]), known.get(at)
        if before is None:
            known[at] = _Entry(settings, file.name)
            continue
        # One file may be of few queries, the other of many.
        if any(before.settings.get(k, v) != v for k, v in settings.items()):
            _warn(file, f"and {before.file} differ; the latter is taken")
            continue
        known[at] = _Entry(before.settings | settings, f"{before.file}, {file.name}")
    return known


@functools.lru_cache(maxsize=1024)
def _entry(program_text: str, target: str) -> _Entry | None:
    return _entries().get((target, fingerprint(json.loads(program_text))))


def find(
    traced: Any, dtype: str, D: int, E: int, target: str | None
) -> tuple[str, str] | None:
    """The schedule that was measured for a variant, and the files it is from."""
    if _ignored.get() or not _entries():
        return None
    text = traced.program_json(D=D, E=E, dtype=dtype)
    entry = _entry(text, target or "cpu")
    if entry is None:
        return None
    text = ",".join(f"{key}={value}" for key, value in entry.settings.items())
    return text, entry.file


@contextlib.contextmanager
def ignored() -> Iterator[None]:
    """Within it schedules are the caller's or the cost model's."""
    token = _ignored.set(True)
    try:
        yield
    finally:
        _ignored.reset(token)
