"""From Python functions to Programs: tracing, captures, normalisers.

Pure Python and NumPy: nothing here needs the compiled module.

What the rest of the package uses
---------------------------------
``trace_variant(score_mod=None, mask_mod=None, normalizer="softmax",
captures=None, dtype="f32") -> TracedVariant``
    Everything about one call's mods. Microseconds when the same functions
    were seen before with equal constants. ``normalizer`` is a name or a
    `Normalizer`; ``captures`` a mapping or None.

`TracedVariant` (one per call; cheap)
    ``.core``           `VariantCore`, shared by all calls of one variant:
                        hashable by identity, the first key of kernel caches
    ``.arrays``         list of live capture objects (numpy.ndarray or an
                        object with ``__dlpack__``, 0-d ones included), in
                        the order of the Program's captures
    ``.names``          tuple, the Program's capture names (identifiers)
    ``.parameters``     tuple, of each capture the name of its keyword-only
                        parameter, None where a mod finds it otherwise
    ``.labels``         tuple, how the user reaches them ("self.bias")
    ``.key``            canonical text, equal for equal variants
    ``.program``        dict without dtype, D and E
    ``.has_denom``      False: return_lse is a ValueError naming normalizer
    ``.program_json(*, D, E=None, dtype=None, return_lse=False,
    block_mask=False) -> str``  canonical text of the whole Program, memoised

``mod_kind(mod) -> "score_mod" | "mask_mod"``  by the number of parameters
``and_masks(*mods)``, ``or_masks(*mods)``      mask_mods, checked by position
``resolve_normalizer(normalizer) -> Normalizer``  a name or a Normalizer
``is_array(x) -> bool``; ``array_dtype(x) -> str`` Program's name ("bf16"),
TypeError where the dtype is none of ours; ``array_rank(x) -> int``
``clear_memo()``                               forget the traces kept
"""

from .captures import array_dtype, array_rank, is_array
from .combine import and_masks, or_masks
from .mods import check_mod, mod_kind
from .normalizer import Normalizer, resolve_normalizer
from .values import Traced
from .variant import TracedVariant, VariantCore, canonical, clear_memo, trace_variant

__all__ = [
    "Normalizer",
    "Traced",
    "TracedVariant",
    "VariantCore",
    "and_masks",
    "array_dtype",
    "array_rank",
    "canonical",
    "check_mod",
    "clear_memo",
    "is_array",
    "mod_kind",
    "or_masks",
    "resolve_normalizer",
    "trace_variant",
]
