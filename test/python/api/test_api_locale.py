"""A locale of the caller's in which numbers have a comma."""

import comma_locale
import pytest
from test_api_package import run

ATTN = """
attention scaled(rate: float = 0.125) {
  let bias = -2.5e-3 * kv
  scale = 0.25
  score = s * rate + bias + 1.5
  mask  = q - 0.5 < kv * 1.75
}
"""

CODE = """
import ctypes, locale, pathlib
import numpy as np, fovea

def numbers():
    text = ctypes.create_string_buffer(32)
    ctypes.CDLL(None).snprintf(text, 32, b"%g", ctypes.c_double(1.5))
    read = ctypes.CDLL(None).strtod
    read.restype = ctypes.c_double
    return text.value.decode(), read(b"1.5", None)

def results():
    rng = np.random.default_rng(0)
    q = rng.standard_normal((1, 2, 9, 8), dtype=np.float32)
    for name in ("scaled.attn", "scaled.mlir"):
        variant = fovea.load(f"{folder}/{name}", "scaled")
        yield variant(q, q, q).tobytes()
        yield variant(q, q, q, target="interpreter").tobytes()
        kernel = variant.compile(D=8, schedule="m=32")
        for level in ("attn", "online", "target", "llvm", "asm"):
            yield kernel.ir(level)
        yield kernel.explain()
    yield fovea.attention(q, q, q, lambda s, b, h, m, n: 0.125 * s + 1.5e-3).tobytes()

variant = fovea.load(f"{folder}/scaled.attn")
pathlib.Path(f"{folder}/scaled.mlir").write_text(variant.compile(D=8).ir("attn"))
before = list(results())
fovea.clear_cache()
locale.setlocale(locale.LC_NUMERIC, "comma")
assert numbers() == ("1,5", 1.0), numbers()
after = list(results())
assert numbers() == ("1,5", 1.0), numbers()
print(len(before), before == after)
"""


def test_numbers_do_not_depend_on_the_locale(tmp_path, native_is_real):
    """numbers parse independent of locale"""
    if not native_is_real:
        pytest.skip("the stand-in asks no locale")
    comma_locale.write(tmp_path)
    (tmp_path / "scaled.attn").write_text(ATTN)
    code = f"folder = {str(tmp_path)!r}\n{CODE}"
    printed = run(code, LOCPATH=str(tmp_path), FOVEA_CACHE="0")
    assert printed == "17 True\n"
