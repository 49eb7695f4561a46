"""Fovea, an attention compiler.

A few lines of Python say what an attention variant is; `attention` compiles
them to one fused kernel and runs it.

>>> import numpy as np, fovea
>>> q = k = v = np.ones((1, 2, 8, 4), np.float32)
>>> def causal(b, h, q_idx, kv_idx):
...     return q_idx >= kv_idx
>>> fovea.attention(q, k, v, mask_mod=causal).shape
(1, 2, 8, 4)
"""

import importlib as _importlib
from typing import TYPE_CHECKING

from . import _loading
from ._version import __version__
from .errors import CompileError, Error, ParseError, PerformanceWarning, TraceError

if TYPE_CHECKING:
    from . import normalizers, ops, zoo
    from ._attention import attention, compile
    from ._block_mask import BlockMask
    from ._config import cache_info, clear_cache, set_num_threads, show_config
    from ._create_mask import create_block_mask, create_mask
    from ._kernel import Kernel
    from ._merge import merge
    from ._pages import Pages
    from ._recipe import load_kernel
    from ._variant import Variant, load
    from .dsl import and_masks, or_masks
    from .normalizers import Normalizer

__all__ = [
    "BlockMask",
    "CompileError",
    "Error",
    "Kernel",
    "Normalizer",
    "Pages",
    "ParseError",
    "PerformanceWarning",
    "TraceError",
    "Variant",
    "__version__",
    "and_masks",
    "attention",
    "cache_info",
    "clear_cache",
    "compile",
    "create_block_mask",
    "create_mask",
    "load",
    "load_kernel",
    "merge",
    "normalizers",
    "ops",
    "or_masks",
    "set_num_threads",
    "show_config",
    "zoo",
]

# Loaded when first used: importing the package costs next to nothing.
_HOMES = {
    "BlockMask": "_block_mask",
    "Kernel": "_kernel",
    "Normalizer": "normalizers",
    "Pages": "_pages",
    "Variant": "_variant",
    "and_masks": "dsl",
    "attention": "_attention",
    "cache_info": "_config",
    "clear_cache": "_config",
    "compile": "_attention",
    "create_block_mask": "_create_mask",
    "create_mask": "_create_mask",
    "load": "_variant",
    "load_kernel": "_recipe",
    "merge": "_merge",
    "or_masks": "dsl",
    "set_num_threads": "_config",
    "show_config": "_config",
}
_MODULES = ("dsl", "normalizers", "ops", "zoo")


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None and name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with _loading.loading():
        if home is None:
            return _importlib.import_module(f".{name}", __name__)
        value = getattr(_importlib.import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
