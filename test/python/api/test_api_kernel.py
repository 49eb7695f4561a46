"""Kernels, the caches behind them and what a call costs."""

import copy
import pickle

import ml_dtypes
import numpy as np
import pytest
from api_common import causal, close, in_threads, inputs, plain

import fovea


def test_a_kernel_follows_its_mods():
    """Kernel, called as kernel(q, k, v)"""
    q, k, v = inputs()
    bias = np.zeros((12, 12), np.float32)
    window = 3

    def near(b, h, q_idx, kv_idx):
        return abs(q_idx - kv_idx) < window

    def biased(score, b, h, q_idx, kv_idx):
        return score + bias[q_idx, kv_idx]

    kernel = fovea.compile(biased, near, D=8)

    def want():
        return plain(
            q, k, v,
            lambda s, b, h, m, n: s + bias[m, n],
            lambda b, h, m, n: abs(m - n) < window,
        )  # fmt: skip

    close(kernel(q, k, v), want())
    bias[:] = np.random.default_rng(1).standard_normal(bias.shape)
    close(kernel(q, k, v), want())
    assert kernel.captures["bias"] is bias
    window = 6
    close(kernel(q, k, v), want())


def test_captures_by_keyword():
    """keyword-only and come from captures={"name": array}"""
    q, k, v = inputs()
    table = np.linspace(-1, 1, 12)

    def biased(score, b, h, q_idx, kv_idx, *, table):
        return score + table[kv_idx]

    def want(table):
        return plain(q, k, v, lambda s, b, h, m, n: s + table[n])

    got = fovea.attention(q, k, v, biased, captures={"table": table})
    close(got, want(table))
    kernel = fovea.compile(biased, D=8, captures={"table": table})
    close(kernel(q, k, v), want(table))
    close(kernel(q, k, v, captures={"table": -table}), want(-table))
    close(kernel(q, k, v), want(table))
    with pytest.raises(TypeError):
        kernel(q, k, v, captures={"tabel": table})


def test_repr_is_one_line():
    """repr(kernel) is one line"""
    kernel = fovea.compile(mask_mod=causal, D=8, E=6, dtype="bfloat16", return_lse=True)
    text = repr(kernel)
    assert text.startswith("<fovea.Kernel causal: D=8, E=6, bfloat16, lse, target=")
    assert "\n" not in text


def test_explain_tells_variant_captures_schedule_and_cost():
    """.explain()"""
    table = np.zeros((3, 4), np.float16)

    def biased(score, b, h, q_idx, kv_idx):
        return score + table[h, kv_idx]

    text = fovea.compile(biased, causal, D=8, E=6).explain()
    for line in (
        "variant biased_causal",
        "  normalizer: softmax",
        "  table: float16 [3, 4]",
        "types and dims: float32, D=8, E=6",
        "cost: 28 floating-point operations a visible (query, key) pair in the two"
        " products",
    ):
        assert line in text.splitlines()


def test_explain_counts_tiles_at_a_shape():
    """.explain(): the shape as given, of the last call, or as the captures have it"""
    doc = np.repeat(np.arange(4), 128)

    def documents(b, h, q_idx, kv_idx):
        return doc[q_idx] == doc[kv_idx]

    kernel = fovea.compile(mask_mod=documents, D=8)
    lines = kernel.explain().splitlines()
    assert "shape (as the captures have it): B=1, Hq=1, Hk=1, M=512, N=512" in lines
    assert "  tiles: 4 full, 0 partial, 12 empty (75.00 % skipped)" in lines
    assert any("operations kept" in line and "(25.00 %)" in line for line in lines)
    q, k, v = inputs()
    kernel(q, k, v)
    B, H, M, _ = q.shape
    lines = kernel.explain().splitlines()
    shape = f"B={B}, Hq={H}, Hk={k.shape[1]}, M={M}, N={k.shape[2]}"
    assert f"shape (of the last call): {shape}" in lines
    lines = kernel.explain(N=300, Hq=4, Hk=2).splitlines()
    assert "shape (as given): B=1, Hq=4, Hk=2, M=300, N=300" in lines
    # Two whole tiles and one of 44 x 44 pairs.
    assert any("(38.56 %)" in line for line in lines if "kept" in line)


def test_explain_without_a_shape():
    """.explain() of what has no shape yet, of device captures and of block masks"""
    last = fovea.compile(D=8).explain().splitlines()[-1]
    assert last == "shape: not known before a call; explain(M=..., N=...) gives one"
    last = fovea.compile(D=8, block_mask=True).explain().splitlines()[-1]
    assert last == "mask: print the block mask of a call for its tiles"


@pytest.mark.parametrize(
    "sizes, text",
    [
        ({"B": 2, "Hq": 2}, "M: must be given beside B, Hq, or N, got None"),
        ({"M": 4, "Hq": 3, "Hk": 2}, "Hq: must be a multiple of Hk (2), got 3"),
        (
            {"M": 2**40, "N": 2**40},
            f"M: must give fewer than 2^63 (query, key) pairs, got {2**80}",
        ),
        (
            {"M": 1, "N": 2**50},
            f"N: must give fewer than 536870911 tiles of 128 keys, got {2**43}",
        ),
        ({"M": -1}, "M: must be at least 0, got -1"),
        ({"M": 4, "B": 0}, "B: must be at least 1, got 0"),
    ],
)
def test_explain_refuses_shapes(sizes, text):
    """checks ... ValueError for a wrong value"""
    with pytest.raises(ValueError) as error:
        fovea.compile(D=8).explain(**sizes)
    assert str(error.value) == text


@pytest.mark.parametrize("level", ["attn", "online", "target", "llvm", "asm"])
def test_every_level_has_text(level):
    """.ir(level: "attn" | "online" | "target" | "llvm" | "asm")"""
    assert fovea.compile(mask_mod=causal, D=8).ir(level)


def test_captures_have_the_names_of_their_parameters():
    """.captures: what a call's captures= may be"""
    q, k, v = inputs()
    table, b, bias = np.array([1.0, 2.0]), np.array([0.5, 1.5]), np.arange(12.0)
    head = {"bias": bias}

    def mod(score, b, h, q_idx, kv_idx, *, t, é, bias):
        return score + t[h] * é[h] + bias[kv_idx] + head["bias"][q_idx]

    given = {"t": table, "é": b, "bias": bias[::-1]}
    kernel = fovea.compile(mod, D=8, captures=given)
    assert list(kernel.captures) == ["t", "é", "bias", "head_bias"]
    assert all(kernel.captures[name] is array for name, array in given.items())
    want = fovea.attention(q, k, v, mod, captures=given)
    for _ in range(3):
        got = kernel(q, k, v, captures=kernel.captures)
        np.testing.assert_array_equal(got, want)
    thawed = pickle.loads(pickle.dumps(kernel))
    got = thawed(q, k, v, captures=thawed.captures)
    np.testing.assert_array_equal(got, want)
    for name in ("head_bias", "other"):
        with pytest.raises(TypeError, match=f"keyword-only parameter '{name}'"):
            kernel(q, k, v, captures={**kernel.captures, name: bias.copy()})


def test_captures_have_names_of_their_own():
    """.captures: a parameter's name is no other capture's"""
    q, k, v = inputs()
    table, found = np.array([1.0, 2.0]), np.array([0.5, 1.5])
    kept = {"t": (found, found)}
    t_ = t__0 = found

    def mod(score, b, h, q_idx, kv_idx, *, t__1, t_=None):
        return score + t__1[h] + (0 if t_ is None else t_[h]) + other(h)

    def other(h):
        return t_[h] * kept["t"][0][h] + t__0[h]

    kernel = fovea.compile(mod, D=8, captures={"t__1": table})
    names = list(kernel.captures)
    assert len(names) == len(set(names)) == 4 and "t__1" in names
    assert kernel.captures["t__1"] is table
    want = kernel(q, k, v)
    got = kernel(q, k, v, captures=kernel.captures)
    np.testing.assert_array_equal(got, want)
    both = fovea.compile(mod, D=8, captures={"t__1": table, "t_": table})
    assert len(both.captures) == 5 and both.captures["t_"] is table
    got = both(q, k, v, captures=both.captures)
    np.testing.assert_array_equal(got, both(q, k, v))


def test_kernels_pickle_and_deepcopy(tmp_path):
    """Kernel ... pickle and deepcopy (recipe and captures, never machine code)"""
    q, k, v = inputs()
    table = np.linspace(-1, 1, 12).astype(ml_dtypes.bfloat16)
    gain = np.array(1.5)

    def biased(score, b, h, q_idx, kv_idx):
        return score * gain + table[kv_idx]

    kernel = fovea.compile(biased, causal, D=8, return_lse=True, scale=0.5)
    want = kernel(q, k, v)
    data = pickle.dumps(kernel)
    kernel.save(tmp_path / "x.kernel")
    table[:] = 0
    for other in (
        pickle.loads(data),
        fovea.load_kernel(tmp_path / "x.kernel"),
        fovea.load_kernel(str(tmp_path / "x.kernel")),
        copy.deepcopy(pickle.loads(data)),
        pickle.loads(pickle.dumps(pickle.loads(data))),
    ):
        got = other(q, k, v)
        np.testing.assert_array_equal(got[0], want[0])
        np.testing.assert_array_equal(got[1], want[1])
        assert set(other.captures) == {"gain", "table"}
    assert not np.array_equal(kernel(q, k, v)[0], want[0])
    thawed = pickle.loads(data)
    np.testing.assert_array_equal(
        thawed(q, k, v, captures={"table": np.zeros(12)})[0], kernel(q, k, v)[0]
    )
    with pytest.raises(TypeError) as caught:
        thawed(q, k, v, captures={"tabel": table})
    assert "captures: must be among those of the variant" in str(caught.value)


def test_kernels_with_block_masks_pickle():
    """Kernel, Variant, BlockMask and Normalizer pickle and deepcopy"""
    q, k, v = inputs(M=16, N=16)
    doc = np.repeat(np.arange(4), 4)

    def document(b, h, q_idx, kv_idx):
        return (doc[q_idx] == doc[kv_idx]) & ~(kv_idx > q_idx)

    mask = fovea.create_block_mask(document, None, None, 16, 16, 8)
    kernel = fovea.compile(mask_mod=document, D=8, block_mask=True)
    want = kernel(q, k, v, block_mask=mask)
    kernel2, mask2 = pickle.loads(pickle.dumps((kernel, mask)))
    mask3 = copy.deepcopy(mask)
    doc[:] = 0
    for k2, m2 in ((kernel2, mask2), (kernel2, mask3)):
        np.testing.assert_allclose(k2(q, k, v, block_mask=m2), want, atol=1e-6)
    np.testing.assert_allclose(
        fovea.attention(q, k, v, block_mask=mask2), want, atol=1e-6
    )
    assert mask2.mask_mod(0, 0, 3, 2) and not mask2.mask_mod(0, 0, 4, 2)


def test_every_function_may_be_called_from_several_threads():
    """Every function may be called from several threads"""
    q, k, v = inputs(B=2, M=16, N=16)
    kernel = fovea.compile(mask_mod=causal, D=8)
    want = kernel(q, k, v)
    failures = []

    def work(number):
        try:
            for turn in range(20):
                window = 1 + (number + turn) % 3

                def near(b, h, q_idx, kv_idx, window=window):
                    return abs(q_idx - kv_idx) < window

                np.testing.assert_array_equal(kernel(q, k, v), want)
                got = fovea.attention(q, k, v, mask_mod=near)
                close(
                    got,
                    plain(q, k, v, mask=lambda b, h, m, n, w=window: abs(m - n) < w),
                )
        except Exception as error:
            failures.append(error)

    in_threads(work)
    assert not failures


def test_log_of_compiles(monkeypatch, capfd):
    """FOVEA_LOG=compile prints one line a compile: variant, what differed from the
    nearest cached one, milliseconds"""
    q, k, v = inputs()
    fovea.clear_cache()
    monkeypatch.setenv("FOVEA_LOG", "compile")
    for window in (31, 57):

        def near_by(b, h, q_idx, kv_idx, window=window):
            return abs(q_idx - kv_idx) < window

        fovea.attention(q, k, v, mask_mod=near_by)
    fovea.attention(q, k, v, mask_mod=near_by)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "near_by f32 D=8 E=8 for cpu in" in lines[0]
    assert lines[0].endswith(" ms, the first variant")
    assert lines[1].endswith(
        "differs from near_by f32 D=8 E=8 in: mask: constant 31 -> 57"
    )


def test_cache_info_and_clear_cache():
    """cache_info() -> named tuple (compiles, memory_hits, disk_hits, entries)"""
    q, k, v = inputs()
    fovea.attention(q, k, v)
    info = fovea.cache_info()
    assert info._fields == ("compiles", "memory_hits", "disk_hits", "entries")
    assert info.entries >= 1
    kernel = fovea.compile(mask_mod=causal, D=8)
    want = kernel(q, k, v)
    fovea.clear_cache()
    assert fovea.cache_info().compiles == 0
    np.testing.assert_array_equal(kernel(q, k, v), want)
    np.testing.assert_array_equal(fovea.attention(q, k, v, mask_mod=causal), want)


def test_only_look_ups_count_as_memory_hits(native_is_real):
    """Calls that repeat look nothing up; another function of the same operations
    does, once"""
    if not native_is_real:
        pytest.skip("the stand-in looks up at every call")

    mods = (
        lambda s, b, h, m, n: s + 1.5,
        lambda s, b, h, m, n: s + 1.5,
        lambda s, b, h, m, n: s + 1.5,
    )
    q, k, v = inputs()
    fovea.clear_cache()
    held = fovea.cache_info().entries  # by other tests
    for hits, mod in enumerate(mods):
        for _ in range(3):
            fovea.attention(q, k, v, mod)
            fovea.compile(mod, D=8)
        info = fovea.cache_info()
        assert (info.memory_hits, info.entries) == (hits, held + 1)
        assert info.compiles + info.disk_hits == 1
    assert "Calls that repeat look nothing up" in fovea._config.CacheInfo.__doc__


def test_a_cached_call_costs_little(native_is_real):
    """a call that repeats takes at most 20 us, the computation of 8 x 8 included"""
    import time

    if not native_is_real:
        pytest.skip("the stand-in repeats nothing")
    q, k, v = inputs(M=8, N=8)
    doc = np.zeros(8, np.int64)

    def document(b, h, q_idx, kv_idx):
        return doc[q_idx] == doc[kv_idx]

    kernel = fovea.compile(mask_mod=document, D=8)

    def cost(call, number=300):
        best = float("inf")
        for _ in range(40):
            start = time.thread_time()
            for _ in range(number):
                call()
            best = min(best, (time.thread_time() - start) / number)
        return best * 1e6

    assert cost(lambda: kernel(q, k, v)) < 20
    assert cost(lambda: fovea.attention(q, k, v, mask_mod=document)) < 20
