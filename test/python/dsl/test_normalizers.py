"""Normalisers: their regions, their rules, and attention by the reference."""

import copy
import math
import pickle

import numpy as np
import pytest
from reference import check_region, reference_attention

from fovea import normalizers, ops
from fovea.dsl import resolve_normalizer, trace_variant
from fovea.normalizers import Normalizer

B, H, HK, M, N, D, E = 2, 4, 2, 7, 9, 5, 3
rng = np.random.default_rng(3)
q = rng.standard_normal((B, H, M, D))
k = rng.standard_normal((B, HK, N, D))
v = rng.standard_normal((B, HK, N, E))
sigma = rng.standard_normal(H)
vsig = rng.standard_normal((H, E))
coef = rng.random(M) + 0.5
table = rng.standard_normal(M + N)
heads = np.repeat(np.arange(HK), H // HK)
S = q @ k[:, heads].swapaxes(-1, -2) / math.sqrt(D)
V = v[:, heads]


def causal(b, h, q_idx, kv_idx):
    return q_idx >= kv_idx


SEEN = np.tril(np.ones((M, N), bool))


def run(normalizer, mask=causal, score=None, **kwargs):
    variant = trace_variant(score, mask, normalizer)
    for part in ("score", "mask"):
        if variant.program[part]:
            check_region(variant.program[part], variant.program["captures"])
    if isinstance(variant.program["normalizer"], dict):
        for region in variant.program["normalizer"].values():
            if isinstance(region, dict):
                check_region(region, variant.program["captures"])
    return reference_attention(variant.program, q, k, v, variant.arrays, **kwargs)


def exact(weight, denom=None, seed=0.0, seed_value=0.0):
    """Plain weights on visible keys, no running maximum."""
    w = np.where(SEEN, weight, 0.0)
    out = w @ V + seed_value
    if denom is None:
        return out, None
    total = np.where(SEEN, denom, 0.0).sum(-1) + seed
    return out / total[..., None], np.log(total)


m_minus_n = np.arange(M)[:, None] - np.arange(N) + N
EXP = np.exp(S)
CASES = {
    "softmax": ("softmax", exact(EXP, EXP)),
    "softmax()": (normalizers.softmax(), exact(EXP, EXP)),
    "sink": (normalizers.sink(sigma), exact(EXP, EXP, np.exp(sigma)[:, None])),
    "sink value": (
        normalizers.sink(sigma, vsig),
        exact(
            EXP, EXP, np.exp(sigma)[:, None], (np.exp(sigma)[:, None] * vsig)[:, None]
        ),
    ),
    "plus one": ("softmax_plus_one", exact(EXP, EXP, 1.0)),
    "signed": ("signed", exact(np.sign(S) * np.exp(abs(S)), np.exp(abs(S)))),
    "sigmoid": ("sigmoid", exact(1 / (1 + np.exp(-S)))),
    "sigmoid bias": (normalizers.sigmoid(-1.5), exact(1 / (1 + np.exp(1.5 - S)))),
    "sigmoid array": (
        normalizers.sigmoid(np.array(-1.5)),
        exact(1 / (1 + np.exp(1.5 - S))),
    ),
    "sigmoid heads": (
        normalizers.sigmoid(sigma),
        exact(1 / (1 + np.exp(-S - sigma[:, None, None]))),
    ),
    "relu": ("relu", exact(np.maximum(S, 0))),
    "softplus": ("softplus", exact(np.log1p(EXP), np.log1p(EXP))),
    "softplus coef": (
        normalizers.softplus(coef),
        exact(*[np.log1p(np.exp(coef[:, None] * S))] * 2),
    ),
    "product": (
        normalizers.positional_product(table, N),
        exact(EXP * table[m_minus_n], EXP),
    ),
    "product live offset": (
        normalizers.positional_product(table, np.array(N)),
        exact(EXP * table[m_minus_n], EXP),
    ),
    "mean": ("mean", exact(S / N)),
    "mean n": (normalizers.mean(5.0), exact(S / 5)),
    "mean array": (normalizers.mean(np.array(5)), exact(S / 5)),
}


@pytest.mark.parametrize("name", CASES)
def test_ready_made(name):
    normalizer, (want, want_lse) = CASES[name]
    out, lse = run(normalizer)
    np.testing.assert_allclose(out, want, rtol=1e-12, atol=1e-12)
    has_denom = want_lse is not None
    assert trace_variant(None, causal, normalizer).has_denom is has_denom
    if has_denom:
        np.testing.assert_allclose(lse, want_lse, rtol=1e-12, atol=1e-12)
    else:
        assert np.isnan(lse).all()


def test_softmax_needs_no_regions():
    for given in ("softmax", normalizers.softmax()):
        assert trace_variant(None, causal, given).program["normalizer"] == "softmax"


@pytest.mark.parametrize("name", normalizers.BY_NAME)
def test_names(name):
    assert resolve_normalizer(name) is resolve_normalizer(name)
    assert isinstance(getattr(normalizers, name)(), Normalizer)
    assert (
        trace_variant(None, causal, name).core is trace_variant(None, causal, name).core
    )


def test_dead_rows_give_the_seed():
    never = lambda b, h, q_idx, kv_idx: False
    out, lse = run("softmax", never)
    assert not out.any() and np.isneginf(lse).all()
    out, lse = run(normalizers.sink(sigma), never)
    assert not out.any()
    np.testing.assert_allclose(lse, np.broadcast_to(sigma[:, None], lse.shape))
    out, _ = run(normalizers.sink(sigma, vsig), never)
    np.testing.assert_allclose(out, np.broadcast_to(vsig[:, None], out.shape))
    out, _ = run("softmax", q_lengths=[3, 0])
    assert out[0, :, :3].all() and not out[0, :, 3:].any() and not out[1].any()


def test_minus_infinity_is_invisible_whatever_the_weight():
    hide = lambda s, b, h, q_idx, kv_idx: ops.where(kv_idx == 2, -math.inf, s)
    seen = SEEN & (np.arange(N) != 2)
    out, _ = run("mean", score=hide)
    np.testing.assert_allclose(out, np.where(seen, S / N, 0.0) @ V, atol=1e-12)


def test_offsets_and_lengths():
    whole, lse = run("softmax")
    part, part_lse = run(
        "softmax", lambda b, h, i, j: i - 100 >= j - 7, q_offset=100, kv_offset=7
    )
    np.testing.assert_allclose(part, whole, atol=1e-12)
    np.testing.assert_allclose(part_lse, lse, atol=1e-12)
    short, _ = run("softmax", None, kv_lengths=[4, 9])
    want = np.exp(S[0, :, :, :4])
    want = (want / want.sum(-1, keepdims=True)) @ V[0, :, :4]
    np.testing.assert_allclose(short[0], want, atol=1e-12)


def test_values_that_are_not_seen_do_not_matter():
    bad = v.copy()
    bad[:, :, 5:] = np.nan
    variant = trace_variant(None, causal)
    out, _ = reference_attention(variant.program, q, k, bad, variant.arrays)
    assert np.isfinite(out[:, :, :5]).all() and np.isnan(out[:, :, 5:]).all()


# -- custom -------------------------------------------------------------------------------


def weight(s, t, b, h, q_idx, kv_idx):
    return ops.exp(s - t)


def stat(s):
    return s


def test_custom_with_every_part():
    gain = rng.random(E)
    start = rng.standard_normal((B, H, M, E))

    def seed(b, h, q_idx):
        return sigma[h], ops.where(q_idx > 2, 2, 1)

    def finish(o, l, t, b, h, q_idx, e_idx):  # noqa: E741
        return gain[e_idx] * o / l

    given = Normalizer(
        weight=weight,
        denom=weight,
        stat=stat,
        seed=seed,
        seed_value=start,
        finish=finish,
    )
    out, lse = run(given)
    first = np.exp(sigma)[:, None]
    total = np.where(SEEN, EXP, 0).sum(-1) + first * np.where(np.arange(M) > 2, 2, 1)
    want = np.where(SEEN, EXP, 0) @ V + first[..., None] * start
    np.testing.assert_allclose(out, gain * want / total[..., None], atol=1e-12)
    np.testing.assert_allclose(lse, np.log(total), atol=1e-12)
    variant = trace_variant(None, causal, given)
    assert variant.names == ("sigma", "seed_value", "gain")
    assert variant.arrays[1] is start


@pytest.mark.parametrize("shape", [(H, E), (B, H, E), (B, H, M, E)])
def test_ranks_of_seed_value(shape):
    start = rng.standard_normal(shape)
    out, _ = run(Normalizer(weight=lambda s, *i: s * 0, seed_value=start))
    full = start if len(shape) == 4 else start[..., None, :]
    np.testing.assert_allclose(out, np.broadcast_to(full, out.shape))


def test_arrays_of_normalizers_are_live():
    before = trace_variant(None, causal, normalizers.sink(sigma, vsig))
    other, value = np.zeros(H, np.float64), np.zeros((H, E))
    after = trace_variant(None, causal, normalizers.sink(other, value))
    assert after.core is before.core
    assert after.arrays[0] is other and after.arrays[1] is value
    half = trace_variant(None, causal, normalizers.sink(sigma.astype(np.float32)))
    assert half.core is not before.core
    assert (
        trace_variant(None, causal, normalizers.mean(5)).key
        != trace_variant(None, causal, normalizers.mean(6)).key
    )


def test_captures_argument_reaches_normalizers():
    given = Normalizer(weight=lambda s, t, b, h, i, j, *, gain: s * gain[h])
    variant = trace_variant(None, causal, given, {"gain": sigma})
    assert variant.names == ("gain",)
    with pytest.raises(TypeError, match=r"weight: the keyword-only parameter 'gain'"):
        trace_variant(None, causal, given)


# -- S9 -----------------------------------------------------------------------------------

GOOD = [
    lambda s, t, *i: ops.exp(s - t),
    lambda s, t, *i: ops.exp(-t) * s,
    lambda s, t, *i: ops.exp(s) * ops.exp(-t),
    lambda s, t, *i: ops.exp(s - t) + 3 * ops.exp(-t),
    lambda s, t, *i: ops.exp(s - t) - ops.exp(s / 2 - t),
    lambda s, t, *i: ops.where(s > 0, ops.exp(s - t), -ops.exp(-t)),
    lambda s, t, *i: ops.where(s > 0, ops.exp(s - t), 0.0),
    lambda s, t, *i: 0.0 - ops.exp(i[0] + (s - t)) / 3,
    lambda s, t, *i: ops.exp((0.0 - t) - 1) + 0.0,
    lambda s, t, *i: 0.0,
    lambda s, t, *i: -(ops.exp(s - t)) * sigma[i[1]],
]
BAD = [
    lambda s, t, *i: s,
    lambda s, t, *i: 1.0,
    lambda s, t, *i: t,
    lambda s, t, *i: s - t,
    lambda s, t, *i: ops.exp(s + t),
    lambda s, t, *i: ops.exp(s - 2 * t),
    lambda s, t, *i: ops.exp(s - t) ** 2,
    lambda s, t, *i: ops.exp(s - t) + 1,
    lambda s, t, *i: ops.exp(s - t) * ops.exp(-t),
    lambda s, t, *i: ops.exp(s - t) * t,
    lambda s, t, *i: ops.exp2(s - t),
    lambda s, t, *i: ops.sigmoid(s - t),
    lambda s, t, *i: ops.where(t > 0, ops.exp(s - t), 0.0),
    lambda s, t, *i: ops.where(s > 0, ops.exp(s - t), 1.0),
    lambda s, t, *i: ops.exp(s - t * s),
    lambda s, t, *i: ops.maximum(ops.exp(s - t), 1.0),
    lambda s, t, *i: ops.to_int(ops.exp(s - t)) * 1.0,
    lambda s, t, *i: sigma[ops.to_int(t)],
    # Multiples of exp(-t), whose parts overflow or that no verifier looks through.
    lambda s, t, *i: ops.exp(-(t - s)) * 2,
    lambda s, t, *i: s / ops.exp(t),
    lambda s, t, *i: ops.exp(2 * s - t * 1.0) * ops.exp(t) / ops.exp(t),
    lambda s, t, *i: ops.maximum(ops.exp(s - t), 0.0),
    lambda s, t, *i: abs(ops.exp(s - t)),
    lambda s, t, *i: ops.exp((s - t / 2) - t / 2),
    lambda s, t, *i: ops.exp(s) / ops.exp(t),
    lambda s, t, *i: ops.exp(ops.where(s > 0, s - t, 0.0)),
]


@pytest.mark.parametrize("index", range(len(GOOD)))
def test_t_as_a_factor(index):
    for name in ("weight", "denom"):
        parts = {"weight": weight, "denom": weight, "stat": stat, name: GOOD[index]}
        assert trace_variant(None, causal, Normalizer(**parts))


@pytest.mark.parametrize("index", range(len(BAD)))
def test_t_in_another_way(index):
    for name in ("weight", "denom"):
        parts = {"weight": weight, "denom": weight, "stat": stat, name: BAD[index]}
        with pytest.raises(ValueError, match=rf"^{name}: with a stat, t must enter"):
            trace_variant(None, causal, Normalizer(**parts))


def test_without_a_stat_t_is_zero_and_free():
    assert trace_variant(None, causal, Normalizer(weight=BAD[0]))


# -- arguments ----------------------------------------------------------------------------


product = normalizers.positional_product


def made(**parts):
    return Normalizer(weight=weight, **parts)


@pytest.mark.parametrize(
    ("kind", "text", "make"),
    [
        (TypeError, "weight: must be a function, got NoneType", lambda: Normalizer(weight=None)),
        (TypeError, "weight: must be a Python function", lambda: Normalizer(weight=abs)),
        (TypeError, "denom: must be a function", lambda: made(denom=1)),
        (TypeError, "stat: must be a function", lambda: made(stat="s")),
        (TypeError, "seed: must be a function", lambda: made(seed=(0, 1))),
        (TypeError, r"must be an array \[H,E\], .*, got list", lambda: made(seed_value=[1])),
        (TypeError, "seed_value: the array has dtype complex", lambda: made(seed_value=V * 1j)),
        (ValueError, r"seed_value: must be an array \[H,E\]", lambda: made(seed_value=np.ones(3))),
        (ValueError, 'finish: must be "o/l", "o" or a function', lambda: made(finish="l")),
        (ValueError, 'finish: "o/l" divides by l, but', lambda: made(finish="o/l")),
        (TypeError, "finish: must be .*o.l.* or a function, got int", lambda: made(finish=3)),
        (TypeError, "sink: must be an array", lambda: normalizers.sink([1.0])),
        (ValueError, "sink: must be an array", lambda: normalizers.sink(np.ones((2, 2)))),
        (TypeError, "sink: the array has dtype object", lambda: normalizers.sink(np.array([None]))),
        (ValueError, r"value: must be an array \[H,E\]", lambda: normalizers.sink(sigma, sigma)),
        (TypeError, "bias: must be a number or an array", lambda: normalizers.sigmoid("a")),
        (TypeError, "coef: must be an array", lambda: normalizers.softplus(2.0)),
        (TypeError, "table: must be an array", lambda: product([1], 0)),
        (TypeError, "offset: must be an int, got float", lambda: product(table, 1.5)),
        (TypeError, "n: must be a number, got str", lambda: normalizers.mean("N")),
        (TypeError, "n: must be a number, got bool", lambda: normalizers.mean(True)),
    ],
)  # fmt: skip
def test_arguments(kind, text, make):
    with pytest.raises(kind, match=text):
        make()


def test_the_normalizer_argument():
    with pytest.raises(
        ValueError, match=r"normalizer: must be one of mean, relu, .* 'softmx'"
    ):
        trace_variant(None, causal, "softmx")
    with pytest.raises(
        ValueError, match=r"'sink' needs arguments; pass fovea.normalizers.sink"
    ):
        trace_variant(None, causal, "sink")
    for wrong in (None, 3, np.ones(3), normalizers.sink, Normalizer):
        with pytest.raises(
            TypeError, match=r"normalizer: must be a name or a fovea.Normalizer"
        ):
            trace_variant(None, causal, wrong)


def test_arrays_that_are_resized_afterwards_are_refused_by_the_rule():
    start, seen = np.ones((H, E)), []
    for make, rule in (
        (
            lambda: made(seed_value=start),
            r"seed_value: must be an array \[H,E\], \[B,H,E\] or .*",
        ),
        (lambda: normalizers.sink(sigma, start), r"value: must be an array \[H,E\]"),
    ):
        start.resize((H, E), refcheck=False)
        normalizer = make()
        seen.append(trace_variant(None, causal, normalizer))
        for shape in ((H * E,), (1, 1, 1, H, E)):
            start.resize(shape, refcheck=False)
            with pytest.raises(
                ValueError, match=rf"^{rule}, got {len(shape)} dimension"
            ):
                trace_variant(None, causal, normalizer)
        start.resize((H, E), refcheck=False)
        assert trace_variant(None, causal, normalizer).core is seen[-1].core


def test_names_of_any_subclass_of_str():
    class Name(str):
        __str__ = __repr__ = lambda self: "sink"

    for name in ("softmax", "sigmoid"):
        core = trace_variant(None, causal, name).core
        for given in (np.str_(name), Name(name)):
            assert trace_variant(None, causal, given).core is core
    with pytest.raises(ValueError, match="normalizer: must be one of mean.* 'softmx'$"):
        trace_variant(None, causal, np.str_("softmx"))


def test_results_of_regions():
    with pytest.raises(
        TypeError, match=r"seed '<lambda>' .*must return .t0, l0., got float"
    ):
        trace_variant(None, causal, Normalizer(weight=weight, seed=lambda b, h, i: 1.0))
    with pytest.raises(
        TypeError, match=r"stat '<lambda>' .*must give a number, got the bool"
    ):
        trace_variant(None, causal, Normalizer(weight=weight, stat=lambda s: s > 0))
    with pytest.raises(TypeError, match=r"finish: '<lambda>' must take .o, l, t, b"):
        trace_variant(None, causal, Normalizer(weight=weight, finish=lambda o, l: o))  # noqa: E741
    array = np.ones(3)
    with pytest.raises(
        TypeError, match=r"weight '<lambda>' .*captured array 'array': whole"
    ):
        trace_variant(None, causal, Normalizer(weight=lambda s, *i: s + array))


def test_a_normalizer_does_not_change():
    made = normalizers.relu()
    with pytest.raises(AttributeError, match=r"does not change"):
        made.weight = weight
    assert repr(made) == "<fovea.Normalizer relu>"
    assert repr(Normalizer(weight=weight)) == "<fovea.Normalizer with weight, finish>"
    assert made.finish == "o" and normalizers.softmax().finish == "o/l"


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    "copier", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_copies(name, copier):
    given = CASES[name][0]
    again = copier(given)
    one, two = trace_variant(None, causal, given), trace_variant(None, causal, again)
    assert one.key == two.key
    for a, b_ in zip(one.arrays, two.arrays, strict=True):
        np.testing.assert_array_equal(a, b_)
        assert a is not b_


def test_copies_of_custom_ones():
    given = Normalizer(weight=weight, denom=weight, stat=stat, seed_value=vsig)
    again = pickle.loads(pickle.dumps(given))
    assert again.weight is weight and again.seed_value is not vsig
    assert (
        trace_variant(None, causal, again).key == trace_variant(None, causal, given).key
    )
    local = Normalizer(weight=lambda s, *i: s)
    assert copy.deepcopy(local).weight is local.weight
