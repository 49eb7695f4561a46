"""Negative checks of mods: what they call, and what they reach."""

import inspect

import numpy as np
import pytest
from api_common import inputs

import fovea

q, k, v = inputs()
kernel = fovea.compile(D=8)
table = np.arange(10.0)


def refused(mod, **rest):
    with pytest.raises(TypeError) as caught:
        fovea.attention(q, k, v, mod, **rest)
    fovea.attention(q, k, v)
    return str(caught.value)


CALLS = {
    "fovea.attention": lambda s, b, h, m, n: fovea.attention(q, k, v)[0, 0, 0, 0],
    "fovea.compile": lambda s, b, h, m, n: fovea.compile(D=8),
    "a fovea.Kernel": lambda s, b, h, m, n: kernel(q, k, v),
    "fovea.create_block_mask": lambda s, b, h, m, n: fovea.create_block_mask(
        s, 1, 1, 4, 4
    ),
    "fovea.create_mask": lambda s, b, h, m, n: fovea.create_mask(s, 1, 1, 4, 4),
    "fovea.merge": lambda s, b, h, m, n: fovea.merge([q], [q]),
}


@pytest.mark.parametrize("name", CALLS)
def test_kernels_cannot_be_called_inside_mods(name):
    """TypeError naming the mod, file, line, source text and what to write instead"""
    mod = CALLS[name]
    line = inspect.getsourcelines(mod)[1]
    text = refused(mod)
    assert text.startswith(
        f"score_mod '<lambda>' ({__file__}:{line}): {name}() cannot be called inside a"
        " mod\n"
    )
    assert text.endswith(
        "\n  write instead: a call outside the mod, and its result as a captured array:"
        " table[q_idx]"
    )
    assert isinstance(fovea.compile(None, lambda b, h, m, n: m >= n, D=8), fovea.Kernel)


@pytest.mark.filterwarnings("ignore:.*each call traces its mods")
def test_what_a_mod_may_ask_of_a_kernel():
    """What traces again while a mod runs leaves the outer one as it was"""
    holder = {"width": 1}
    inner = fovea.compile(None, lambda b, h, m, n: m - n < holder["width"], D=8)

    def mod(s, b, h, m, n):
        holder["width"] += 1
        return s * len(inner.captures)

    np.testing.assert_allclose(
        fovea.attention(q, k, v, mod), fovea.attention(q, k, v, scale=0), atol=1e-6
    )
    assert "cannot be called inside" in refused(
        lambda s, b, h, m, n: s * len(inner.captures) + kernel(q, k, v)
    )


def test_variants_cannot_be_called_inside_mods(tmp_path):
    """TypeError naming the mod"""
    path = tmp_path / "causal.attn"
    path.write_text("attention causal { mask = q >= kv }\n")
    variant = fovea.load(path)
    text = refused(lambda s, b, h, m, n: variant(q, k, v))
    assert "a fovea.Variant() cannot be called inside a mod" in text


@pytest.mark.parametrize(
    "mod",
    [lambda s, b, h, m, n: s @ s, lambda s, b, h, m, n: 2 @ s],
    ids=["traced", "number"],
)
def test_matrix_products_of_numbers(mod):
    """TypeError naming the mod, file, line, source text and what to write instead"""
    text = refused(mod)
    assert text.startswith(f"score_mod '<lambda>' ({__file__}:")
    assert (
        "s is one number, known only in the kernel, and `@` multiplies arrays" in text
    )
    assert text.endswith("write instead: x * y")


def test_matrix_products_of_arrays_name_the_capture():
    """whole-array arithmetic: TypeError naming the capture"""
    text = refused(lambda s, b, h, m, n: s @ table)
    assert "captured array 'table': whole-array arithmetic is not available" in text


class Biased:
    def __init__(self, bias):
        self.bias = bias

    def __call__(self, score, b, h, q_idx, kv_idx):
        return score + self.bias[q_idx]


def test_captures_that_cannot_be_read_name_the_mod():
    """A form that is not supported is refused naming the mod and the variable"""
    bias = np.zeros(12 * 8 + 1, np.uint8)[1:].view(np.float64)
    address = bias.__array_interface__["data"][0]
    rule = f"data must be aligned to 8 bytes, got address {address:#x}"
    text = refused(lambda s, b, h, m, n: s + bias[m])
    assert text == f"score_mod '<lambda>': captured array 'bias': {rule}"
    text = refused(Biased(bias))
    assert text == f"score_mod 'Biased': captured array 'Biased.bias': {rule}"
    with pytest.raises(TypeError) as caught:
        fovea.create_block_mask(lambda b, h, m, n: bias[m] > n, 1, 1, 4, 4)
    assert str(caught.value) == f"mask_mod '<lambda>': captured array 'bias': {rule}"


class Plain:
    pass


@pytest.mark.parametrize(
    "normalizer, given",
    [
        (
            fovea.Normalizer,
            "the class Normalizer; make one: fovea.Normalizer(weight=…)",
        ),
        (Plain, "the class Plain"),
        (
            fovea.normalizers.sink,
            "the function sink; call it: fovea.normalizers.sink(…)",
        ),
        (refused, "the function refused; make one: fovea.Normalizer(weight=refused)"),
        (None, "None"),
        (3, "int"),
        (Plain(), "Plain"),
    ],
    ids=str,
)
def test_normalizers_of_the_wrong_kind(normalizer, given):
    """TypeError for a wrong kind"""
    wanted = f"normalizer: must be a name or a fovea.Normalizer, got {given}"
    for call in (
        lambda: fovea.attention(q, k, v, normalizer=normalizer),
        lambda: fovea.compile(D=8, normalizer=normalizer),
    ):
        with pytest.raises(TypeError) as caught:
            call()
        assert str(caught.value) == wanted


# -- constant indices ------------------------------------------------------------


@pytest.mark.parametrize("index", [10, 2**40, -11, -(2**62)])
@pytest.mark.parametrize("target", [None, "interpreter"])
def test_constant_indices_are_checked_at_each_call(index, target):
    """IndexError naming capture, index and extent"""
    array = np.arange(10.0)
    with pytest.raises(IndexError) as caught:
        fovea.attention(q, k, v, lambda s, b, h, m, n: s + array[index], target=target)
    wanted = "a constant index of dim 0 must be in -10...9 (extent 10), got"
    where = "mod '<lambda>': captured array 'array'"
    assert str(caught.value) == f"score_{where}: {wanted} {index}"
    mask_mod = lambda b, h, m, n: array[index] > m
    for make in (fovea.create_mask, fovea.create_block_mask):
        with pytest.raises(IndexError) as caught:
            make(mask_mod, 1, 1, 4, 4)
        assert str(caught.value) == f"mask_{where}: {wanted} {index}"


# What means something else in a Program, and what has no such name at all.
NAMES = ("t", "s", "q", "kv", "o", "N", "pi")


@pytest.mark.parametrize("name", NAMES)
def test_captures_are_called_what_the_user_calls_them(name):
    """argument, rule, given: captures by the mod and the user's own name"""
    space = {name: np.arange(2.0)}
    mod = eval(f"lambda score, b, h, m, n: score + {name}[9]", space)
    with pytest.raises(IndexError) as caught:
        fovea.attention(q, k, v, mod)
    assert str(caught.value) == (
        f"score_mod '<lambda>': captured array '{name}': a constant index of dim 0"
        " must be in -2...1 (extent 2), got 9"
    )
    mod = eval(f"lambda score, b, h, m, n: score + {name}[n]", space)
    with pytest.raises(IndexError) as caught:
        fovea.attention(q, k, v, mod, target="interpreter")
    assert str(caught.value) == (
        f"score_mod '<lambda>': index 2 of capture '{name}' (dim 0) is out of range"
        " [0, 2) at b=0, h=0, q=0, kv=2"
    )


def test_constant_indices_within_the_extent():
    """a constant below 0 counts from the end, a traced index is clamped"""
    array = np.arange(20.0).reshape(2, 10)
    want = fovea.attention(q, k, v)
    mod = lambda s, b, h, m, n: s + array[-2, 9] - array[0][-1] + 0 * array[0, n + 99]
    np.testing.assert_allclose(fovea.attention(q, k, v, mod), want, atol=1e-5)


def test_constant_indices_that_nothing_reads():
    """IndexError where it is read: not where the mod does without the array"""
    array = np.arange(10.0)
    want = fovea.attention(q, k, v)
    for score_mod, mask_mod in (
        (lambda s, b, h, m, n: fovea.ops.where(True, s, s + array[99]), None),
        (lambda s, b, h, m, n: (array[99], s)[1], None),
        (None, lambda b, h, m, n: (array[99] > m) | True),
    ):
        np.testing.assert_array_equal(
            fovea.attention(q, k, v, score_mod, mask_mod), want
        )


def test_arrays_that_shrink_between_calls():
    """Arrays are live: shape is read at each call"""
    holder = {"bias": np.zeros(5)}

    def mod(s, b, h, m, n):
        return s + holder["bias"][4]

    shrinking = fovea.compile(mod, D=8)
    shrinking(q, k, v)
    compiles = fovea.cache_info().compiles
    holder["bias"] = np.zeros(4)
    with pytest.raises(IndexError) as caught:
        shrinking(q, k, v)
    assert str(caught.value) == (
        "score_mod 'mod': captured array \"holder['bias']\": a constant index of dim 0"
        " must be in -4...3 (extent 4), got 4"
    )
    holder["bias"] = np.zeros(9)
    shrinking(q, k, v)
    assert fovea.cache_info().compiles == compiles
    # Where there is no pair, nothing is read.
    holder["bias"] = np.zeros(4)
    shrinking(q, k[:, :, :0], v[:, :, :0])


def test_constant_indices_of_files(tmp_path):
    """.attn: IndexError naming capture, index and extent"""
    path = tmp_path / "x.attn"
    path.write_text(
        "attention x(bias: f32[R, C], W: int = 3) {\n  score = s + bias[-2, W]\n}\n"
    )
    variant = fovea.load(path)
    variant(q, k, v, bias=np.zeros((2, 4), np.float32))
    for shape, wrong, W in (((1, 4), -2, 3), ((2, 3), 3, 3), ((2, 4), 7, 7)):
        extent = shape[0] if wrong < 0 else shape[1]
        with pytest.raises(IndexError) as caught:
            variant(q, k, v, bias=np.zeros(shape, np.float32), W=W)
        assert str(caught.value) == (
            f"bias: a constant index of dim {int(wrong > 0)} must be in"
            f" {-extent}...{extent - 1} (extent {extent}), got {wrong}"
        )
