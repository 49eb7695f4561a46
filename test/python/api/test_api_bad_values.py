"""Negative checks of everything but tensors: type and whole text of every error."""

from fractions import Fraction

import numpy as np
import pytest
from api_common import causal, inputs

import fovea
from fovea import ops

ATTENTION = {
    # scale
    "scale str": (dict(scale="1"), TypeError, "scale: must be a real number, got str"),
    "scale bool": (dict(scale=True), TypeError, "scale: must be a real number, got bool"),
    "scale numpy bool": (
        dict(scale=np.True_), TypeError, "scale: must be a real number, got numpy.bool",
    ),
    "scale complex": (
        dict(scale=1j), TypeError, "scale: must be a real number, got complex",
    ),
    "scale array": (
        dict(scale=np.ones(2)), TypeError, "scale: must be a real number, got numpy.ndarray",
    ),
    "scale list": (dict(scale=[1.0]), TypeError, "scale: must be a real number, got list"),
    "scale nan": (dict(scale=float("nan")), ValueError, "scale: must be finite, got nan"),
    "scale inf": (dict(scale=float("inf")), ValueError, "scale: must be finite, got inf"),
    "scale -inf": (dict(scale=-np.inf), ValueError, "scale: must be finite, got -inf"),
    "scale huge int": (
        dict(scale=10**400), ValueError, "scale: must be finite, got a number beyond float64",
    ),
    "scale beyond float32": (
        dict(scale=1e39), ValueError, "scale: must be finite in float32, got 1e+39",
    ),
    # return_lse
    "return_lse int": (dict(return_lse=1), TypeError, "return_lse: must be a bool, got int"),
    "return_lse None": (
        dict(return_lse=None), TypeError, "return_lse: must be a bool, got None",
    ),
    "return_lse str": (
        dict(return_lse="yes"), TypeError, "return_lse: must be a bool, got str",
    ),
    # target
    "target int": (dict(target=0), TypeError, "target: must be a str or None, got int"),
    "target bytes": (
        dict(target=b"cpu"), TypeError, "target: must be a str or None, got bytes",
    ),
    # schedule
    "schedule int": (
        dict(schedule=128), TypeError, "schedule: must be a str, a mapping or None, got int",
    ),
    "schedule list": (
        dict(schedule=["m=1"]), TypeError,
        "schedule: must be a str, a mapping or None, got list",
    ),
    "schedule empty": (
        dict(schedule=""), ValueError,
        "schedule: settings must look like m=192,n=256, got ''",
    ),
    "schedule text": (
        dict(schedule="m:192"), ValueError,
        "schedule: settings must look like m=192,n=256, got 'm:192'",
    ),
    "schedule negative": (
        dict(schedule="m=-1"), ValueError,
        "schedule: m must be a number from 1 to 1048576, got 'm=-1'",
    ),
    "schedule key": (
        dict(schedule={1: 2}), TypeError, "schedule: names must be str, got int",
    ),
    "schedule value": (
        dict(schedule={"m": 1.5}), TypeError, "schedule: m: must be an int, got float",
    ),
    "schedule value below 0": (
        dict(schedule={"m": -4}), ValueError,
        "schedule: m must be a number from 1 to 1048576, got 'm=-4'",
    ),
    "schedule short below 0": (
        dict(schedule="short=-1"), ValueError,
        "schedule: short must be a number from 0 to 1048576, got 'short=-1'",
    ),
    "schedule bool": (
        dict(schedule={"m": True}), TypeError, "schedule: m: must be an int, got bool",
    ),
    "schedule long": (
        dict(schedule="m" * 10_000), ValueError,
        "schedule: settings must look like m=192,n=256, got"
        " 'mmmmmmmmmmmm...mmmmmmmmmmmmm'",
    ),
    "schedule digits": (
        dict(schedule={"m": 10**5000}), ValueError,
        "schedule: m: must be at most 2^62 in size, got a larger one",
    ),
    # offsets
    "q_offset float": (
        dict(q_offset=1.0), TypeError,
        "q_offset: must be an int or an integer array, got float",
    ),
    "q_offset bool": (
        dict(q_offset=True), TypeError,
        "q_offset: must be an int or an integer array, got bool",
    ),
    "q_offset list": (
        dict(q_offset=[1, 2]), TypeError,
        "q_offset: must be an int or an integer array, got list",
    ),
    "q_offset str": (
        dict(q_offset="3"), TypeError,
        "q_offset: must be an int or an integer array, got str",
    ),
    "kv_offset None": (
        dict(kv_offset=None), TypeError,
        "kv_offset: must be an int or an integer array, got None",
    ),
    "kv_offset float array": (
        dict(kv_offset=np.zeros(2)), TypeError,
        "kv_offset: dtype must be an integer type, got float64",
    ),
    "kv_offset bool array": (
        dict(kv_offset=np.zeros(2, bool)), TypeError,
        "kv_offset: dtype must be an integer type, got bool",
    ),
    "kv_offset shape": (
        dict(kv_offset=np.zeros(3, np.int64)), ValueError,
        "kv_offset: shape must be (2,), one entry a batch, got (3,)",
    ),
    "kv_offset rank": (
        dict(kv_offset=np.zeros((2, 1), np.int64)), ValueError,
        "kv_offset: shape must be (2,), one entry a batch, got (2, 1)",
    ),
    "q_offset beyond 2**56": (
        dict(q_offset=2**63), ValueError,
        f"q_offset: must be in -2**56...2**56, got {2**63}",
    ),
    "q_offset just beyond": (
        dict(q_offset=2**56 + 1), ValueError,
        f"q_offset: must be in -2**56...2**56, got {2**56 + 1}",
    ),
    "q_offset uint64 beyond": (
        dict(q_offset=np.array([0, 2**64 - 1], np.uint64)), ValueError,
        f"q_offset: must be in -2**56...2**56, got {2**64 - 1} at b=1",
    ),
    "kv_lengths uint64 beyond": (
        dict(kv_lengths=np.array([2**63, 1], np.uint64)), ValueError,
        f"kv_lengths: must be in 0...10, got {2**63} at b=0",
    ),
    "kv_offset below -2**56": (
        dict(kv_offset=-(2**63) - 1), ValueError,
        f"kv_offset: must be in -2**56...2**56, got {-(2**63) - 1}",
    ),
    "kv_offset array beyond 2**56": (
        dict(kv_offset=np.array([0, 2**63 - 2])), ValueError,
        f"kv_offset: must be in -2**56...2**56, got {2**63 - 2} at b=1",
    ),
    # lengths
    "q_lengths above": (
        dict(q_lengths=13), ValueError, "q_lengths: must be in 0...12, got 13",
    ),
    "q_lengths below": (
        dict(q_lengths=-1), ValueError, "q_lengths: must be in 0...12, got -1",
    ),
    "kv_lengths entry above": (
        dict(kv_lengths=np.array([3, 11], np.int32)), ValueError,
        "kv_lengths: must be in 0...10, got 11 at b=1",
    ),
    "kv_lengths entry below": (
        dict(kv_lengths=np.array([-2, 1])), ValueError,
        "kv_lengths: must be in 0...10, got -2 at b=0",
    ),
    "kv_lengths float": (
        dict(kv_lengths=3.0), TypeError,
        "kv_lengths: must be an int or an integer array, got float",
    ),
    "kv_lengths tuple": (
        dict(kv_lengths=(1, 2)), TypeError,
        "kv_lengths: must be an int or an integer array, got tuple",
    ),
    "kv_lengths shape": (
        dict(kv_lengths=np.zeros(1, np.int64)), ValueError,
        "kv_lengths: shape must be (2,), one entry a batch, got (1,)",
    ),
    # block_mask and captures
    "block_mask function": (
        dict(block_mask=causal), TypeError,
        "block_mask: must be a BlockMask or None, got function (a function goes to"
        " mask_mod)",
    ),
    "block_mask array": (
        dict(block_mask=np.ones((1, 1))), TypeError,
        "block_mask: must be a BlockMask or None, got numpy.ndarray",
    ),
    "block_mask bool": (
        dict(block_mask=True), TypeError,
        "block_mask: must be a BlockMask or None, got bool",
    ),
    "captures list": (
        dict(captures=[1]), TypeError,
        "captures: must be a mapping of names to arrays, got list",
    ),
    "captures key": (
        dict(captures={1: np.ones(2)}), TypeError, "captures: names must be str, got int",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ATTENTION)
def test_attention_refuses(case):
    """TypeError for a wrong kind, ValueError for a wrong value: argument, rule, given"""
    given, kind, text = ATTENTION[case]
    q, k, v = inputs(B=2, N=10)
    with pytest.raises(kind) as caught:
        fovea.attention(q, k, v, **given)
    assert type(caught.value) is kind
    assert str(caught.value) == text
    assert fovea.attention(q, k, v).shape == q.shape


def test_a_bad_setting_of_a_list_in_a_schedule_names_it():
    """ValueError naming the setting"""
    q, k, v = inputs()
    with pytest.raises(ValueError) as caught:
        fovea.attention(q, k, v, schedule="m=1 2")
    assert str(caught.value) == (
        "schedule: settings must look like m=192,n=256, got 'm=1 2'"
    )


@pytest.mark.parametrize(
    "scale", [0, -1, 0.5, -2.5, np.float32(2), np.int64(3), Fraction(1, 4), 0.0, -0.0]
)
def test_scale_is_a_finite_real_number(scale):
    """a finite real number (0 and negative allowed, not a bool)"""
    q, k, v = inputs()
    assert np.isfinite(fovea.attention(q, k, v, scale=scale)).all()


def test_scale_of_float64_may_exceed_float32():
    """lse in the score type (float32; float64 for float64 inputs)"""
    q, k, v = (x * 1e-60 for x in inputs(dtype=np.float64))
    assert np.isfinite(fovea.attention(q, k, v, scale=1e60)).all()


COMPILE = {
    "D missing": (dict(), TypeError, None),
    "D 0": (dict(D=0), ValueError, "D: must be in 1...512, got 0"),
    "D 513": (dict(D=513), ValueError, "D: must be in 1...512, got 513"),
    "D float": (dict(D=64.0), TypeError, "D: must be an int, got float"),
    "D bool": (dict(D=True), TypeError, "D: must be an int, got bool"),
    "D str": (dict(D="64"), TypeError, "D: must be an int, got str"),
    "E -1": (dict(D=64, E=-1), ValueError, "E: must be in 0...512, got -1"),
    "E 600": (dict(D=64, E=600), ValueError, "E: must be in 0...512, got 600"),
    "dtype int": (
        dict(D=64, dtype="int32"), ValueError,
        "dtype: must be float16, bfloat16, float32 or float64, got 'int32'",
    ),
    "dtype object": (
        dict(D=64, dtype=3), TypeError, "dtype: must be the name of a dtype, got int",
    ),
    "dtype foreign": (
        dict(D=64, dtype=np.dtype(">f4")), ValueError,
        "dtype: must be float16, bfloat16, float32 or float64, got '>f4'",
    ),
    "dtype numpy int": (
        dict(D=64, dtype=np.int8), ValueError,
        "dtype: must be float16, bfloat16, float32 or float64, got 'int8'",
    ),
    "scale": (dict(D=64, scale="x"), TypeError, "scale: must be a real number, got str"),
    "block_mask": (
        dict(D=64, block_mask=1), TypeError, "block_mask: must be a bool, got int",
    ),
    "return_lse": (
        dict(D=64, return_lse=0), TypeError, "return_lse: must be a bool, got int",
    ),
    "captures": (
        dict(D=64, captures=3), TypeError,
        "captures: must be a mapping of names to arrays, got int",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", COMPILE)
def test_compile_refuses(case):
    """TypeError for a wrong kind, ValueError for a wrong value"""
    given, kind, text = COMPILE[case]
    with pytest.raises(kind) as caught:
        fovea.compile(**given)
    if text is not None:
        assert str(caught.value) == text


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_compile_takes_dtypes_by_name(dtype):
    """dtype="float32" """
    assert fovea.compile(D=16, dtype=dtype).dtype == dtype


def test_compile_takes_dtype_objects():
    """dtype="float32": or the object of a library"""
    import ml_dtypes

    assert fovea.compile(D=16, dtype=np.float64).dtype == "float64"
    assert fovea.compile(D=16, dtype=np.dtype("f2")).dtype == "float16"
    assert fovea.compile(D=16, dtype=ml_dtypes.bfloat16).dtype == "bfloat16"
    assert fovea.compile(D=16, dtype=float).dtype == "float64"


KERNEL = {
    "dtype": (
        inputs(dtype=np.float64), {},
        "q: dtype must be that of the kernel (float32), got float64",
    ),
    "D": (inputs(D=4), {}, "q: head dim must be that of the kernel (8), got 4"),
    "E": (inputs(E=6), {}, "v: head dim must be that of the kernel (8), got 6"),
    "k": (
        (inputs()[0], inputs(D=4)[1], inputs()[2]), {},
        "k: head dim must be that of q (8), got 4",
    ),
    "lengths": (inputs(), {"kv_lengths": 99}, "kv_lengths: must be in 0...12, got 99"),
}  # fmt: skip


@pytest.mark.parametrize("case", KERNEL)
def test_a_kernel_refuses(case):
    """ValueError for a wrong value: argument, rule, given"""
    arrays, options, text = KERNEL[case]
    kernel = fovea.compile(D=8)
    with pytest.raises(ValueError) as caught:
        kernel(*arrays, **options)
    assert str(caught.value) == text


def test_a_block_mask_for_a_kernel_without_one_is_a_value_error():
    """ValueError ... a block_mask given to a Kernel compiled without one"""
    q, k, v = inputs()
    mask = fovea.create_block_mask(causal, None, None, 12, 12)
    with pytest.raises(ValueError) as caught:
        fovea.compile(mask_mod=causal, D=8)(q, k, v, block_mask=mask)
    assert str(caught.value) == (
        "block_mask: must be given exactly where the kernel was compiled with"
        " block_mask=True, got fovea.BlockMask for a kernel compiled with"
        " block_mask=False"
    )
    kernel = fovea.compile(mask_mod=causal, D=8, block_mask=True)
    with pytest.raises(ValueError) as caught:
        kernel(q, k, v)
    assert str(caught.value).endswith(
        "got None for a kernel compiled with block_mask=True"
    )


@pytest.mark.parametrize("level", ["ATTN", "", "ptx", "llvm "])
def test_an_unknown_level_is_a_value_error(level):
    """.ir(level: "attn" | "online" | "target" | "llvm" | "asm")"""
    with pytest.raises(ValueError) as caught:
        fovea.compile(D=8).ir(level)
    assert str(caught.value) == (
        f"level: must be one of attn, online, target, llvm, asm, got {level!r}"
    )


def test_a_level_that_is_no_str_is_a_type_error():
    """.ir(level)"""
    with pytest.raises(TypeError) as caught:
        fovea.compile(D=8).ir(3)
    assert str(caught.value) == "level: must be a str, got int"


@pytest.mark.parametrize("name", ["Kernel", "BlockMask", "Variant"])
def test_results_are_not_made_by_hand(name):
    """compile ... -> Kernel; create_block_mask ... -> BlockMask; load ... -> Variant"""
    with pytest.raises(TypeError, match=rf"^{name}: made by fovea\..*, got a call$"):
        getattr(fovea, name)()


MERGE_OUT = np.zeros((1, 2, 3, 4), np.float32)
MERGE_LSE = np.zeros((1, 2, 3), np.float32)
MERGE = {
    "outs array": (MERGE_OUT, [MERGE_LSE], TypeError,
                   "outs: must be a sequence of arrays, got numpy.ndarray"),
    "outs None": (None, [MERGE_LSE], TypeError,
                  "outs: must be a sequence of arrays, got None"),
    "lses array": ([MERGE_OUT], MERGE_LSE, TypeError,
                   "lses: must be a sequence of arrays, got numpy.ndarray"),
    "empty": ([], [], ValueError, "outs: must have at least one entry, got 0"),
    "counts": ([MERGE_OUT], [MERGE_LSE] * 2, ValueError,
               "lses: must have as many entries as outs (1), got 2"),
    "entry": ([MERGE_OUT, None], [MERGE_LSE] * 2, TypeError,
              "outs[1]: must be a numpy.ndarray or have __dlpack__, got None"),
    "dtype": ([MERGE_OUT, MERGE_OUT.astype(np.float64)], [MERGE_LSE] * 2, ValueError,
              "outs[1]: dtype must be float32, got float64"),
    "lse dtype": ([MERGE_OUT.astype(np.float16)], [MERGE_LSE.astype(np.float16)],
                  ValueError, "lses[0]: dtype must be float32, got float16"),
    "shape": ([MERGE_OUT, MERGE_OUT[:, :1]], [MERGE_LSE] * 2, ValueError,
              "outs[1]: shape must be (1, 2, 3, 4), got (1, 1, 3, 4)"),
    "lse shape": ([MERGE_OUT], [MERGE_LSE[..., :2]], ValueError,
                  "lses[0]: shape must be (1, 2, 3), got (1, 2, 2)"),
    "rank": ([MERGE_LSE], [MERGE_LSE], ValueError,
             "outs[0]: rank must be 4 (B, H, M, E), got 3"),
}  # fmt: skip


@pytest.mark.parametrize("case", MERGE)
def test_merge_refuses(case):
    """merge(outs, lses) -> (out, lse)"""
    outs, lses, kind, text = MERGE[case]
    with pytest.raises(kind) as caught:
        fovea.merge(outs, lses)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("n", "kind", "text"),
    [
        (-1, ValueError, "n: must be in 0...1024, got -1"),
        (10**9, ValueError, "n: must be in 0...1024, got 1000000000"),
        (1.5, TypeError, "n: must be an int, got float"),
        (True, TypeError, "n: must be an int, got bool"),
        (None, TypeError, "n: must be an int, got None"),
    ],
)
def test_set_num_threads_refuses(n, kind, text):
    """set_num_threads(n)"""
    with pytest.raises(kind) as caught:
        fovea.set_num_threads(n)
    assert str(caught.value) == text


def test_load_refuses(tmp_path):
    """load("x.attn", name=None)"""
    with pytest.raises(TypeError) as caught:
        fovea.load(3)
    assert str(caught.value) == "path: must be a str or a path, got int"
    with pytest.raises(TypeError) as caught:
        fovea.load("x.attn", 3)
    assert str(caught.value) == "name: must be a str or None, got int"
    with pytest.raises(FileNotFoundError):
        fovea.load(tmp_path / "no.attn")
    with pytest.raises(IsADirectoryError):
        fovea.load(tmp_path)
    large = tmp_path / "large.attn"
    large.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(ValueError) as caught:
        fovea.load(large)
    assert str(caught.value) == f"{large}: must have at most 1048576 bytes, got more"
    long = tmp_path / "long.attn"
    long.write_text(f"attention x {{\n  score = {' + '.join(['s'] * 20000)}\n}}\n")
    with pytest.raises(fovea.ParseError) as caught:
        fovea.load(long)
    assert str(caught.value).splitlines()[0] == (
        f"{long}:1:11: error: score: at most 16384 nodes are supported, got 20000"
    )


def test_load_kernel_refuses(tmp_path):
    """load_kernel(path) -> Kernel that .save wrote"""
    import zipfile

    with pytest.raises(TypeError) as caught:
        fovea.load_kernel(3)
    assert str(caught.value) == "path: must be a str or a path, got int"
    with pytest.raises(FileNotFoundError):
        fovea.load_kernel(tmp_path / "no.kernel")
    text = tmp_path / "text"
    text.write_text("hello")
    with pytest.raises(ValueError, match="must be a file that Kernel.save wrote, got"):
        fovea.load_kernel(text)
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("recipe.json", "{}")
    with pytest.raises(ValueError) as caught:
        fovea.load_kernel(other)
    assert str(caught.value) == (
        f"{other}: must be a file that Kernel.save wrote, got ValueError: no recipe of"
        " version 1"
    )
    good = tmp_path / "good.kernel"
    fovea.compile(D=8).save(good)
    data = good.read_bytes()
    cut = tmp_path / "cut.kernel"
    for length in range(0, len(data), 97):
        cut.write_bytes(data[:length])
        with pytest.raises(ValueError, match="must be a file that Kernel.save wrote"):
            fovea.load_kernel(cut)


def test_a_hostile_recipe_is_a_value_error(tmp_path):
    """load_kernel: names in a file never become code"""
    import json
    import zipfile

    table = np.zeros(12, np.float32)
    kernel = fovea.compile(lambda s, b, h, q, kv: s + table[kv], D=8)
    good = tmp_path / "good.kernel"
    kernel.save(good)
    with zipfile.ZipFile(good) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    bad = tmp_path / "bad.kernel"

    def load(change):
        recipe = json.loads(parts["recipe.json"])
        change(recipe)
        with zipfile.ZipFile(bad, "w") as archive:
            for name, data in parts.items():
                text = json.dumps(recipe) if name == "recipe.json" else data
                archive.writestr(name, text)
        return fovea.load_kernel(bad)

    load(lambda recipe: None)
    for change in (
        lambda r: r["program"]["captures"][0].update(name="x): import os  #"),
        lambda r: r["program"]["captures"][0].update(dtype="f8"),
        lambda r: r["program"]["captures"][0].pop("rank"),
        lambda r: r["program"].pop("D"),
        lambda r: r["program"].update(dtype="i8"),
        lambda r: r.update(program=3),
        lambda r: r.update(given=["nobody"]),
        lambda r: r.update(labels=[]),
        lambda r: r.update(more=1),
        lambda r: r.update(fovea_kernel=2),
    ):
        with pytest.raises(ValueError, match=r"must be a file that Kernel\.save wrote"):
            load(change)


def test_hostile_regions_are_value_errors():
    """what a region holds never becomes code unchecked"""
    from fovea._region import function

    def region(*nodes):
        return {"args": ["b"], "nodes": list(nodes), "results": [0]}

    capture = [{"name": "x", "dtype": "f32", "rank": 1}]
    for nodes, captures in (
        ([["__import__('os')"]], []),
        ([["const", "i64", "__import__('os')"]], []),
        ([["size", "__import__('os')"]], []),
        ([["extent", 0, "__import__('os')"]], capture),
        ([["read", 0]], [{**capture[0], "name": "x; import os"}]),
        ([["read", 0]], [{**capture[0], "name": "lambda"}]),
        ([["read", 0]], [{**capture[0], "name": "b"}]),
    ):
        with pytest.raises(ValueError):
            function(region(*nodes), "mask_mod", captures)
    with pytest.raises(ValueError):
        function(region(["arg", "b"]), "mask mod", [])


FACTORS = [
    lambda s, t, *i: ops.exp(s - t),
    lambda s, t, *i: ops.exp(s) / ops.exp(t),
    lambda s, t, *i: ops.exp(s) * ops.exp(-t),
    lambda s, t, *i: s / ops.exp(t),
    lambda s, t, *i: ops.exp(-(t - s)),
    lambda s, t, *i: ops.exp(s - 1.0 * t),
    lambda s, t, *i: ops.exp(s + t * -1.0),
    lambda s, t, *i: ops.exp(2 * (s / 2 - t / 2)),
    lambda s, t, *i: ops.exp(s - 2 * t) * ops.exp(t),
    lambda s, t, *i: ops.exp(s - t + t - t),
    lambda s, t, *i: ops.exp(i[1] - (t - s)),
    lambda s, t, *i: ops.exp(i[1] + (s - t)),
    lambda s, t, *i: ops.exp(s - (t + 1)),
    lambda s, t, *i: ops.exp(0.0 - t) - ops.exp(s - t) * 2,
    lambda s, t, *i: abs(ops.exp(s - t)),
    lambda s, t, *i: ops.maximum(ops.exp(s - t), 0.0),
    lambda s, t, *i: ops.exp(s - t) - 0.0,
    lambda s, t, *i: 0.0 - ops.exp(s - t),
    lambda s, t, *i: ops.where(i[2] > i[3], ops.exp(s - t), 0.0),
    lambda s, t, *i: ops.exp(ops.where(i[2] > i[3], s - t, 0.0)),
    lambda s, t, *i: ops.exp(ops.where(i[2] > i[3], s - t, -t)),
    lambda s, t, *i: ops.exp(ops.minimum(s, 3.0) - t),
    lambda s, t, *i: 0.0 / ops.exp(t),
    lambda s, t, *i: s * 0.0,
    lambda s, t, *i: -0.0,
]


@pytest.mark.parametrize("part", ["weight", "denom"])
def test_t_beside_a_stat_is_judged_before_the_compiler_does(part):
    """ValueError for a wrong value: checks run in Python, before any work"""
    q, k, v = inputs()
    refused = []
    for index, factor in enumerate(FACTORS):
        parts = {"weight": FACTORS[0], "denom": FACTORS[0], part: factor}
        made = fovea.Normalizer(stat=lambda s: s, **parts)
        try:
            fovea.attention(q, k, v, normalizer=made)
        except ValueError as error:
            assert str(error).startswith(f"{part}: with a stat, t must enter")
            refused.append(index)
    assert 1 in refused and not {0, 2, 11, 13, 17, 18, 21, 24} & set(refused)


def test_save_refuses(tmp_path):
    """.save(path)"""
    kernel = fovea.compile(D=8)
    with pytest.raises(TypeError) as caught:
        kernel.save(7)
    assert str(caught.value) == "path: must be a str or a path, got int"
    with pytest.raises(FileNotFoundError):
        kernel.save(tmp_path / "no" / "such" / "x.kernel")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["\ud800", "folder/\ud801.fovea"])
def test_names_of_files_in_messages_can_be_printed(path):
    """argument, rule, given: in a text that can be written"""
    with pytest.raises(ValueError, match="must be a file that Kernel.save") as caught:
        fovea.load_kernel(path)
    assert str(caught.value).encode().startswith(path.encode(errors="backslashreplace"))
