"""Attention variants from the literature, as factories of mods.

The names follow attention-gym where it has the thing, and so does the order of
arguments. Normalisers are in `fovea.normalizers`. The same variants as ``.attn``
files, with their equations: ``fovea.load(fovea.zoo.path("alibi"))``.

>>> from fovea.zoo import alibi, causal
>>> mod = alibi(8)
>>> float(mod(1.0, 0, 7, 10, 6))
-1.0
"""

from . import documents, grids, masks, scores
from .documents import *  # noqa: F403
from .files import path
from .grids import *  # noqa: F403
from .masks import *  # noqa: F403
from .scores import *  # noqa: F403

__all__ = [
    *scores.__all__,
    *masks.__all__,
    *documents.__all__,
    *grids.__all__,
    "path",
]
