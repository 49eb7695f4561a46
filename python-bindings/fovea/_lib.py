"""The compiled module, loaded at the first call that needs it."""

from __future__ import annotations

import functools
import json
import site
from types import ModuleType

from ._loading import loading


@functools.cache
def native() -> ModuleType:
    """The compiled module, with this package's error classes registered."""
    with loading():
        from . import _native, errors

    for folder in (*site.getsitepackages(), site.getusersitepackages()):
        _native.add_site_packages(folder)
    _native.set_exceptions(
        {
            "parse": errors.ParseError,
            "compile": errors.CompileError,
            "index": IndexError,
            "unsupported": ValueError,
            "io": OSError,
        }
    )
    return _native


@functools.cache
def environment_notes() -> dict:
    """What of the environment cannot be used, as of the first call."""
    return json.loads(native().environment_notes())


@functools.cache
def _config_text() -> str:
    return native().config()


def config() -> dict:
    """What the library says about itself and this machine, as of the first call."""
    return json.loads(_config_text())
