"""Variants from `.attn` files as Python objects."""

import copy
import io
import pickle
import re

import numpy as np
import pytest
from api_common import inputs, plain

import fovea

TEXT = """
## Packed documents with ALiBi (Press et al. 2022).
attention alibi_document(slope: f32[H], doc: i32[S] in 0..S) {
  let dist = q - kv
  score = s - slope[h] * dist
  mask  = dist >= 0 and doc[q] == doc[kv]
}
## Sliding window of W keys, one learned sink logit a head.
attention window_sink(sigma: f32[H], W: int = 4096) {
  mask       = 0 <= q - kv < W
  normalizer = sink(sigma)
}
attention urpe_sentinel(C: f32[R], sigma: f32[H], vsig: f32[H, E], gain: f32[E]) {
  mask = q >= kv
  normalizer {
    let p  = exp(s - t)
    stat   = s
    weight = p * C[q - kv + N]
    denom  = p
    seed   = (sigma[h], 1, vsig[h, e])
    finish = gain[e] * o / l
  }
}
attention scaled(tau: f32[], c: float = 20.0, hard: bool = false) {
  scale = 1 / D ** 0.25
  score = c * tanh(s * tau / c) if not hard else s
}
attention two(x: f32[S], y: f32[S]) { score = s + x[q] + y[kv] }
"""


@pytest.fixture
def path(tmp_path, reads_attn):
    if not reads_attn:
        pytest.skip("the stand-in reads no .attn files")
    place = tmp_path / "three.attn"
    place.write_text(TEXT)
    return place


H, N, E = 2, 12, 6


def arrays():
    rng = np.random.default_rng(3)
    return {
        "slope": np.array([0.5, 0.25], np.float32),
        "doc": np.repeat(np.arange(3, dtype=np.int32), 4),
        "sigma": np.array([0.3, -0.7], np.float32),
        "C": rng.standard_normal(2 * N).astype(np.float32),
        "vsig": rng.standard_normal((H, E)).astype(np.float32),
        "gain": rng.standard_normal(E).astype(np.float32),
    }


def given(*names):
    return {name: arrays()[name] for name in names}


def scores(q, k):
    return np.einsum("bhmd,bhnd->bhmn", q, k).astype(float) / np.sqrt(q.shape[3])


def urpe(q, k, v):
    a = arrays()
    s = scores(q, k)
    m, n = np.ogrid[:N, :N]
    seen = m >= n
    p = np.where(seen, np.exp(s), 0)
    seed = np.exp(a["sigma"].astype(float))[None, :, None]
    weights = p * a["C"][m - n + N]
    o = np.einsum("bhmn,bhne->bhme", weights, v)
    o = o + seed[..., None] * a["vsig"][None, :, None]
    total = p.sum(-1) + seed
    return a["gain"] * o / total[..., None], np.log(total)


def test_load_one_of_several(path):
    """load("x.attn", name=None) -> Variant"""
    variant = fovea.load(path, "window_sink")
    assert variant.name == "window_sink"
    assert variant.captures == {"sigma": ("float32", 1)}
    assert variant.params == {"W": 4096}
    assert repr(variant) == "<fovea.Variant window_sink(sigma: float32[1], W=4096)>"
    with pytest.raises(ValueError) as caught:
        fovea.load(path)
    names = "alibi_document, window_sink, urpe_sentinel, scaled, two"
    assert str(caught.value) == (
        f"name: must be one of the file's variants ({names}), got None"
    )
    with pytest.raises(ValueError) as caught:
        fovea.load(str(path), "window")
    assert str(caught.value).endswith(f"({names}), got 'window'")


def test_a_parse_error_has_a_place(path):
    """ParseError(ValueError) with file:line:col"""
    path.write_text("attention a() {\n  mask = q >=\n}\n")
    with pytest.raises(fovea.ParseError) as caught:
        fovea.load(path)
    assert str(caught.value).startswith(f"{path}:")
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, fovea.Error)


def test_an_unused_parameter_is_a_warning(path):
    """unused parameter (warning)"""
    path.write_text("attention a(bias: f32[S]) { mask = q >= kv }\n")
    with pytest.warns(UserWarning, match=":1:13: warning: unused parameter 'bias'"):
        variant = fovea.load(path)
    assert list(variant.captures) == ["bias"]


@pytest.mark.parametrize("name", ["q", "k", "v", "target", "return_lse"])
def test_parameters_may_not_be_named_like_arguments(path, name):
    """whose parameters may not be named q, k, v, target, return_lse"""
    path.write_text(f"attention a({name}: f32[S]) {{ score = s + {name}[kv] }}\n")
    with pytest.raises(ValueError, match=f":1:13: error: .*'{name}'"):
        fovea.load(path)


def test_variants_run(path):
    """called as variant(q, k, v, *, target=None, return_lse=False,
    **captures_and_params)"""
    q, k, v = inputs(M=N, N=N, E=E)
    a = arrays()
    variant = fovea.load(path, "alibi_document")
    got = variant(q, k, v, **given("slope", "doc"))
    want = plain(
        q, k, v,
        lambda s, b, h, m, n: s - a["slope"][h] * (m - n),
        lambda b, h, m, n: (m >= n) & (a["doc"][m] == a["doc"][n]),
    )  # fmt: skip
    np.testing.assert_allclose(got, want, atol=2e-6)
    out, lse = fovea.load(path, "urpe_sentinel")(
        q, k, v, return_lse=True, **given("C", "sigma", "vsig", "gain")
    )
    want, want_lse = urpe(q, k, v)
    np.testing.assert_allclose(out, want, atol=1e-5)
    np.testing.assert_allclose(lse, want_lse, atol=1e-5)


@pytest.mark.parametrize("target", [None, "interpreter"])
def test_compile_time_parameters(path, target):
    """a compile-time parameter ... "= literal" """
    q, k, v = inputs(M=N, N=N)
    variant = fovea.load(path, "window_sink")
    sigma = arrays()["sigma"]
    for width in (3, 5):
        _, lse = variant(q, k, v, target=target, return_lse=True, sigma=sigma, W=width)
        m, n = np.ogrid[:N, :N]
        p = np.where((m >= n) & (m - n < width), np.exp(scores(q, k)), 0)
        want = np.log(p.sum(-1) + np.exp(sigma.astype(float))[None, :, None])
        np.testing.assert_allclose(lse, want, atol=1e-5)


def test_scale_clauses_floats_and_bools(path):
    """ "scale" "=" expr; numbers stand for captures of rank 0"""
    q, k, v = inputs(M=N, N=N)
    variant = fovea.load(path, "scaled")
    assert variant.params == {"c": 20.0, "hard": False}
    got = variant(q, k, v, tau=0.5, c=2)
    scale = 8**-0.25
    want = plain(q, k, v, lambda s, b, h, m, n: 2 * np.tanh(s * 0.5 / 2), scale=scale)
    np.testing.assert_allclose(got, want, atol=2e-6)
    got = variant(q, k, v, tau=np.float32(0.5), hard=True)
    np.testing.assert_allclose(got, plain(q, k, v, scale=scale), atol=2e-6)
    kernel = variant.compile(D=8, captures={"tau": 0.5, "c": 2.0}, scale=1)
    want = plain(q, k, v, lambda s, b, h, m, n: 2 * np.tanh(s * 0.5 / 2), scale=1)
    np.testing.assert_allclose(kernel(q, k, v), want, atol=2e-6)


def test_kernels_of_variants_explain_their_masks(path):
    """.explain(): the shape as given, of the last call, or as the captures have it"""
    packed = fovea.load(path, "alibi_document")
    kernel = packed.compile(D=8, captures=given("slope", "doc"))
    lines = kernel.explain().splitlines()
    assert f"shape (as the captures have it): B=1, Hq=2, Hk=2, M={N}, N={N}" in lines
    assert any(line.startswith("  tiles: ") for line in lines)
    kernel = packed.compile(D=8, captures=given("slope"))
    last = kernel.explain(N=N).splitlines()[-1]
    assert last == "mask: not analysed, as captures have no values yet"
    kernel = fovea.load(path, "scaled").compile(D=8, captures={"tau": 0.5, "c": 2.0})
    assert "  tau: float64 []" in kernel.explain(N=N).splitlines()


def test_compile_takes_captures_there_or_at_the_call(path):
    """Variant: ... .compile(D=…, dtype=…)"""
    q, k, v = inputs(M=N, N=N)
    variant = fovea.load(path, "alibi_document")
    want = variant(q, k, v, **given("slope", "doc"))
    kernel = variant.compile(D=8, captures=given("slope", "doc"))
    np.testing.assert_array_equal(kernel(q, k, v), want)
    bare = variant.compile(D=8)
    np.testing.assert_array_equal(bare(q, k, v, captures=given("slope", "doc")), want)
    with pytest.raises(TypeError) as caught:
        bare(q, k, v, captures=given("slope"))
    assert str(caught.value) == "doc: a capture of the variant must be given, got none"
    slope = arrays()["slope"].astype(np.float64)
    np.testing.assert_allclose(
        variant(q, k, v, slope=slope, doc=arrays()["doc"].astype(np.int64)), want,
        atol=1e-6,
    )  # fmt: skip


def test_the_clauses_are_python_functions(path):
    """.score_mod .mask_mod .normalizer"""
    q, k, v = inputs(M=N, N=N, E=E)
    variant = fovea.load(path, "alibi_document")
    want = variant(q, k, v, **given("slope", "doc"))
    got = fovea.attention(
        q, k, v, variant.score_mod, variant.mask_mod, captures=given("slope", "doc")
    )
    np.testing.assert_allclose(got, want, atol=1e-6)
    assert variant.score_mod(1.0, 0, 1, 4, 2, slope=[0.5, 0.25]) == 0.5
    doc = arrays()["doc"]
    assert variant.mask_mod(0, 0, 3, 1, doc=doc)
    assert not variant.mask_mod(0, 0, 4, 3, doc=doc)
    assert variant.normalizer == "softmax"
    sentinel = fovea.load(path, "urpe_sentinel")
    names = ("C", "sigma", "vsig", "gain")
    got, lse = fovea.attention(
        q, k, v, mask_mod=sentinel.mask_mod, normalizer=sentinel.normalizer,
        captures=given(*names), return_lse=True,
    )  # fmt: skip
    want, want_lse = urpe(q, k, v)
    np.testing.assert_allclose(got, want, atol=1e-5)
    np.testing.assert_allclose(lse, want_lse, atol=1e-5)


def test_variants_pickle_and_deepcopy(path):
    """Kernel, Variant, BlockMask and Normalizer pickle and deepcopy"""
    q, k, v = inputs(M=N, N=N)
    variant = fovea.load(path, "alibi_document")
    want = variant(q, k, v, **given("slope", "doc"))
    data = pickle.dumps(variant)
    path.unlink()
    for other in (pickle.loads(data), copy.deepcopy(variant)):
        np.testing.assert_array_equal(other(q, k, v, **given("slope", "doc")), want)
        assert repr(other) == repr(variant)
    kernel = variant.compile(D=8, captures=given("slope", "doc"))
    again = pickle.loads(pickle.dumps(kernel))
    np.testing.assert_array_equal(again(q, k, v), want)


def test_explain_needs_no_captures(path):
    """python -m fovea explain"""
    text = fovea.load(path, "window_sink").explain(D=64, E=32)
    assert "variant window_sink" in text
    assert "  normalizer: sink" in text
    assert "  sigma: float32, rank 1" in text
    from fovea.__main__ import main

    assert main(["explain", f"{path}:two", "--shape", "D=64"]) == 0


def test_explain_shows_the_mask(path, tmp_path, capsys):
    """fovea explain FILE[:variant] --shape ..."""
    from fovea.__main__ import main

    file = tmp_path / "mask.attn"
    file.write_text(
        "attention window(W: int = 128) { mask = 0 <= q - kv < W }\n"
        "attention packed(doc: i32[S] in 0..S) { mask = doc[q] == doc[kv] }\n"
        "attention by_score { score = s if q >= kv else -inf }\n"
    )
    shape = "B=2,Hq=4,M=1024,N=1024,D=64"
    picture = tmp_path / "mask.png"
    command = ["explain", f"{file}:window", "--shape", shape, "--png", str(picture)]
    assert main([*command, "-D", "W=256"]) == 0
    text = capsys.readouterr().out
    assert "mask over M=1024, N=1024 in tiles of 128 x 128" in text
    assert "  closed form: each row sees few intervals of keys" in text
    assert "    visible: kv <= q, kv >= q - 255\n" in text
    assert "  tiles: 56 full, 112 partial, 344 empty (67.19 % skipped)" in text
    assert "  mask: (0 <= q - kv) & (q - kv < W)" in text
    assert "  parameters: W=256" in text
    assert "keys: 3 intervals in closed form, 1 of them full" in text
    assert "packed queries and results of an item in half of L2" in text
    assert (
        " 273 a pair: 256 of the products, 0 of the score, 14 of the weight, 4 of"
        in text
    )
    assert "arithmetic decides, at most 100 % of the peak" in text
    assert "\u2588\u2588\u2591\u2591" in text
    data = picture.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data[16:24] == (1024).to_bytes(4, "big") * 2
    doc = tmp_path / "doc.npy"
    np.save(doc, np.arange(512, dtype=np.int32) // 128)
    command = ["explain", f"{file}:packed", "--shape", "M=512,D=64"]
    assert main([*command, "--set", f"doc={doc}"]) == 0
    text = capsys.readouterr().out
    assert "  intervals, congruences, minima and maxima of the captures" in text
    assert "  tiles: 4 full, 0 partial, 12 empty" in text
    assert main(command) == 0
    assert "  doc: random, sorted; give values with --set" in capsys.readouterr().out
    page = tmp_path / "mask.html"
    command = ["explain", f"{file}:by_score", "--shape", "M=512,D=64"]
    assert main([*command, "--html", str(page)]) == 0
    text = capsys.readouterr().out
    assert "    visible: kv <= q\n" in text
    assert "  score: where(q >= kv, s, -inf)" in text
    assert "keys: a scan, as the score holds -inf" in text
    assert "few rows, as their tiles are skipped" in text
    text = page.read_text()
    assert "<canvas" in text
    assert '"rows": 4, "columns": 4, "size": [128, 128]' in text
    assert "visible: kv &lt;= q" in text
    assert "attn.attention" in text
    assert "online.sweep" in text
    assert "http" not in text  # self-contained


@pytest.mark.parametrize("target", ["cpu", "interpreter"])
def test_captures_of_no_keys_have_no_elements(tmp_path, reads_attn, target):
    """Declared sizes, E, B, M, N = 0 give empty or dead results"""
    if not reads_attn:
        pytest.skip("the stand-in reads no .attn files")
    place = tmp_path / "few.attn"
    place.write_text(
        "attention few(seen: bool[N], sigma: f32[H]) {\n"
        "  mask = seen[kv]\n  normalizer = sink(sigma)\n}\n"
    )
    few = fovea.load(place)
    q, k, v = inputs()
    k, v = k[:, :, :0], v[:, :, :0]
    sigma = np.zeros(q.shape[1], np.float32)
    out, lse = few(
        q, k, v, seen=np.zeros(0, bool), sigma=sigma, target=target, return_lse=True
    )
    assert (out == 0).all()
    assert (lse == 0).all()
    with pytest.raises(ValueError) as caught:
        few(q, k, v, seen=np.zeros(1, bool), sigma=sigma, target=target)
    assert str(caught.value).startswith("seen: dim 0 must be N (0)"), caught.value


@pytest.mark.parametrize("shape", ["M=0", "M=0,N=0", "M=0,N=8", "M=8,N=0", "M=8,E=0"])
@pytest.mark.parametrize("name", ["packed", "weighted", "sink"])
def test_explain_takes_sizes_of_zero(tmp_path, capsys, name, shape):
    """E, B, M, N = 0 give empty or dead results"""
    from fovea.__main__ import main

    file = tmp_path / "empty.attn"
    file.write_text(
        "attention packed(doc: i32[S] in 0..S) { mask = doc[q] == doc[kv] }\n"
        "attention weighted(coef: f32[M]) { score = s + coef[q] }\n"
        "attention sink(gain: f32[E]) { normalizer {\n"
        "  weight = exp(s)\n  finish = gain[e] * o } }\n"
    )
    page, picture = tmp_path / "mask.html", tmp_path / "mask.png"
    command = ["explain", f"{file}:{name}", "--shape", f"D=64,{shape}"]
    assert main([*command, "--html", str(page), "--png", str(picture)]) == 0
    text = capsys.readouterr().out
    tiles = 1 if shape == "M=8,E=0" else 0
    full, partial, empty = map(
        int, re.search(r"tiles: (\d+) full, (\d+) partial, (\d+) empty", text).groups()
    )
    assert full + partial + empty == tiles
    assert main(["explain", f"{file}:packed", "--shape", "M=8,S=0,D=64"]) == 1
    assert capsys.readouterr().err == (
        "fovea: error: doc: a capture must have at least one element, got shape (0,)\n"
    )


def test_the_command_line_refuses(path, tmp_path, capsys):
    """exit status 1 for bad input, 2 for bad usage"""
    from fovea.__main__ import main

    assert main(["explain", str(path.parent / "no.attn"), "--shape", "D=64"]) == 1
    assert main(["explain", f"{path}:nobody", "--shape", "D=64"]) == 1
    assert main(["explain", f"{path}:two", "--shape", "X=64"]) == 2
    assert main(["explain", f"{path}:two", "--shape", "M=64"]) == 2
    assert main(["explain", f"{path}:two", "--shape", "D=x"]) == 2
    for shape in ("D=0", "D=513", "D=8,E=-1", "D=8,E=513"):
        assert main(["explain", f"{path}:two", "--shape", shape]) == 2
        name, _, number = shape.split(",")[-1].partition("=")
        assert f"--shape: {name} must be in" in (text := capsys.readouterr().err)
        assert f", got {number}" in text
    assert main(["explain", f"{path}:window_sink", "--shape", "D=8", "-D", "W"]) == 2
    assert main(["explain", f"{path}:two", "--shape", "D=8", "-D", "W=3"]) == 1
    sized = ["explain", f"{path}:two", "--shape", "D=8,M=64"]
    for options, message in (
        (["--shape", "D=8,M"], "--shape: must look like B=1,Hq=8,...,D=64, got 'M'"),
        (["--shape", "M=8"], "--shape: must name D, got 'M=8'"),
        (["--shape", "D=8", "-D", "W"], "-D: must look like W=64, got 'W'"),
        (
            ["--shape", "D=8", "-D", "W=x"],
            "-D: W must be a number, true or false, got 'x'",
        ),
        (
            ["--shape", "D=8,M=8", "--block-size", "x"],
            "--block-size: must be Q or Q,KV, got 'x'",
        ),
        (
            ["--shape", "D=8,M=8", "--set", "doc"],
            "--set: must look like slope=slope.npy, got 'doc'",
        ),
        (
            ["--shape", "D=8", "--set", "doc=x.npy"],
            "--png, --set: --shape must name M or N",
        ),
    ):
        capsys.readouterr()
        assert main(["explain", f"{path}:two", *options]) == 2
        assert capsys.readouterr().err == f"fovea: error: {message}\n"
    assert main([*sized, "--block-size", "0"]) == 2
    assert main([*sized, "--set", "doc"]) == 2
    assert main([*sized, "--set", "doc=no.npy"]) == 1
    assert capsys.readouterr().err.endswith(
        "error: no.npy: No such file or directory\n"
    )
    assert main([*sized, "--block-size", "9" * 20]) == 2
    assert capsys.readouterr().err == (
        f"fovea: error: --block-size: must be at most 2^62, got {'9' * 20}\n"
    )
    (tmp_path / "empty").touch()
    np.savez(tmp_path / "many.npz", doc=np.arange(64))
    for file in (path, tmp_path / "empty", tmp_path / "many.npz"):
        assert main([*sized, "--set", f"doc={file}"]) == 2
        assert capsys.readouterr().err == (
            f"fovea: error: --set: {file} must be a file that numpy.save wrote\n"
        )
    assert main([*sized[:2], "--shape", "D=8,M=64,Hq=0"]) == 2
    assert main([*sized[:2], "--shape", "D=8", "--png", "x.png"]) == 2
    for line in capsys.readouterr().err.splitlines():
        assert line.startswith("fovea: error: ")
    with pytest.raises(SystemExit) as caught:
        main(["tune"])
    assert caught.value.code == 2


def test_the_command_line_names_places_and_files(path, capsys):
    """file:line:col: error: … comes first; FILE: why it cannot be read"""
    from fovea.__main__ import main

    path.write_text("attention a {\n  mask = q >=\n}\n")
    missing = str(path.parent / "no.attn")
    for command in ("explain", "tune"):
        assert main([command, str(path), "--shape", "D=8,M=8"]) == 1
        assert capsys.readouterr().err.startswith(f"{path}:3:1: error: ")
        assert main([command, missing, "--shape", "D=8,M=8"]) == 1
        want = f"fovea: error: {missing}: No such file or directory\n"
        assert capsys.readouterr().err == want


def test_the_command_line_says_how_to_name_a_variant(path, capsys):
    """FILE:variant, where a file holds several"""
    from fovea.__main__ import main

    names = "alibi_document, window_sink, urpe_sentinel, scaled, two"
    for given, text in (
        ("", f"holds several variants, name one of: {names} ({path}:NAME)"),
        (":nobody", f"has no variant 'nobody', there is: {names}"),
    ):
        assert main(["explain", f"{path}{given}", "--shape", "D=8"]) == 1
        assert capsys.readouterr().err == f"fovea: error: {path}: {text}\n"


CALLS = {
    "unknown": (
        "alibi_document", {"slop": 1}, TypeError,
        "alibi_document: parameters must be among slope, doc, got 'slop'",
    ),
    "missing": (
        "alibi_document", given("slope"), TypeError,
        "doc: a capture of the variant must be given, got none",
    ),
    "number for an array": (
        "alibi_document", {**given("doc"), "slope": 1.0}, TypeError,
        "slope: must be an array of rank 1, got float",
    ),
    "list": (
        "alibi_document", {**given("doc"), "slope": [1.0, 2.0]}, TypeError,
        "slope: must be a numpy.ndarray or have __dlpack__, got list",
    ),
    "rank": (
        "alibi_document", {**given("doc"), "slope": np.ones((2, 1))}, ValueError,
        "slope: rank must be 1, got 2",
    ),
    "floats for ints": (
        "alibi_document", {**given("slope"), "doc": np.ones(12)}, TypeError,
        "doc: dtype must be a kind of int (int32), got float64",
    ),
    "ints for floats": (
        "alibi_document", {**given("doc"), "slope": np.arange(2)}, TypeError,
        "slope: dtype must be a kind of float (float32), got int64",
    ),
    "dim of the call": (
        "alibi_document", {**given("doc"), "slope": np.ones(3)}, ValueError,
        "slope: dim 0 must be H (2), got 3",
    ),
    "dim of another": (
        "two", {"x": np.ones(12), "y": np.ones(11)}, ValueError,
        "y: dim 0 must be S (12, that of x), got 11",
    ),
    "param kind": (
        "window_sink", {**given("sigma"), "W": 2.5}, TypeError,
        "W: must be an int, got float",
    ),
    "param bool": (
        "window_sink", {**given("sigma"), "W": True}, TypeError,
        "W: must be an int, got bool",
    ),
    "param beyond int64": (
        "window_sink", {**given("sigma"), "W": 2**63}, ValueError,
        f"W: must be in {-(2**63)}...{2**63 - 1}, got {2**63}",
    ),
    "float param": (
        "scaled", {"tau": 1.0, "c": "x"}, TypeError, "c: must be a number, got str",
    ),
    "bool param": (
        "scaled", {"tau": 1.0, "hard": 1}, TypeError, "hard: must be a bool, got int",
    ),
    "return_lse": (
        "two", {"return_lse": 1}, TypeError, "return_lse: must be a bool, got int",
    ),
    "target": (
        "two", {"target": 1}, TypeError, "target: must be a str or None, got int",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CALLS)
def test_a_variant_refuses(case, path):
    """TypeError for a wrong kind (also an unknown name in captures), ValueError for a
    wrong value"""
    name, arguments, kind, text = CALLS[case]
    q, k, v = inputs(M=N, N=N)
    with pytest.raises(kind) as caught:
        fovea.load(path, name)(q, k, v, **arguments)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("shape", "status", "text"),
    [
        ("D=8,M=64,Hq=4,Hk=3", 2, "--shape: Hq must be a multiple of Hk, got Hq=4"),
        ("D=8,M=64,Hq=2,Hk=4", 2, "--shape: Hq must be a multiple of Hk, got Hq=2"),
        ("D=8,M=64,Nk=3", 1, "sizes: must be among B, Hq, Hk, M, N, D, E, S, got 'Nk'"),
        ("D=8,S=3", 2, "--shape: must name M or N beside S"),
        ("D=8,M=64,M=32", 2, "--shape: M is given twice"),
        ("D=8,M=1099511627777", 2, "--shape: M must be in 0...2^40"),
        ("D=8,M=64,N=536870912", 2, "--shape: N must be at most 536870911, got"),
        ("D=8,M=1000000000000,N=8", 2, "--shape: M must be at most 536870911, got"),
        ("D=8,M=-1", 2, "--shape: M must be in 0...2^40, got -1"),
        ("D=8,M=64,S=1099511627776", 1, "doc: must fit in memory"),
    ],
)
def test_explain_refuses_impossible_shapes(tmp_path, capsys, shape, status, text):
    """fovea explain FILE[:variant] --shape …: exit status 1 or 2, no traceback."""
    from fovea.__main__ import main

    file = tmp_path / "doc.attn"
    file.write_text("attention d(doc: i32[S]) { mask = doc[q] == doc[kv] }")
    assert main(["explain", str(file), "--shape", shape]) == status
    assert capsys.readouterr().err.startswith(f"fovea: error: {text}")


def test_explain_reads_standard_input_and_names_with_colons(
    tmp_path, capsys, monkeypatch
):
    """FILE is .attn, MLIR text or bytecode, `-` is standard input."""
    from fovea.__main__ import main

    text = "attention d { mask = q >= kv }"
    file = tmp_path / "s.attn"
    file.write_text("attention s(c: i32[S]) { mask = c[q] == 0 }")
    assert main(["explain", str(file), "--shape", "D=8,M=64,S=70"]) == 0
    file = tmp_path / "a:b.attn"
    file.write_text(text)
    assert main(["explain", str(file), "--shape", "D=8"]) == 0
    assert main(["explain", f"{file}:d", "--shape", "D=8"]) == 0
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert main(["explain", "-", "--shape", "D=8"]) == 0
    assert capsys.readouterr().out.count("variant d\n") == 3
    assert main(["explain", str(tmp_path / "none.mlir"), "--shape", "D=8"]) == 1
    assert "none.mlir" in capsys.readouterr().err


def test_explain_reads_mlir(tmp_path, capsys, monkeypatch):
    """FILE is .attn, MLIR text or bytecode, `-` is standard input."""
    from fovea.__main__ import main

    kernel = fovea.compile(None, lambda b, h, q, kv: q - kv < 9, D=8)
    file = tmp_path / "near.mlir"
    file.write_text(kernel.ir("attn"))
    shape = ["--shape", "D=8,M=64,N=64"]
    assert main(["explain", str(file), *shape]) == 0
    expected = capsys.readouterr().out
    assert "kv >= q - 8" in expected
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes())))
    assert main(["explain", "-", *shape]) == 0
    assert capsys.readouterr().out == expected
    file.write_text("func.func @broken(")
    assert main(["explain", str(file), *shape]) == 1
    assert f"{file}:1:" in capsys.readouterr().err


def test_explain_with_standard_output_closed(path, capsys, monkeypatch):
    """Closed stdout: a line and exit status 1."""
    from fovea.__main__ import main

    monkeypatch.setattr("sys.stdout", None)
    assert main(["explain", f"{path}:two", "--shape", "D=8"]) == 1
    assert capsys.readouterr().err == "fovea: error: standard output is closed\n"
