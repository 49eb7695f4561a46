"""Programs compute what the plain functions compute.

Every function below is traced, its Program evaluated by the reference, and
called by hand with NumPy scalars; both must agree on random arguments.
"""

import functools
import math
import operator
import types
import warnings

import numpy as np
import pytest
from reference import check_region, evaluate

from fovea import ops
from fovea.dsl import and_masks, mod_kind, or_masks, trace_variant

rng = np.random.default_rng(7)
S = 24
slope = rng.standard_normal(6).astype(np.float32)
table = rng.standard_normal((6, 2 * S))
bias = rng.standard_normal((6, S, S)).astype(np.float16)
doc = np.repeat(np.arange(4, dtype=np.int32), S // 4)
flags = rng.random(S) < 0.5
small = rng.integers(0, 255, S).astype(np.uint8)
number = np.array(2.5, np.float32)
count = np.array(3, np.int16)
switch = np.array(True)
column = table[:, 0]
strided = np.asfortranarray(rng.standard_normal((2 * S, 12)))[::-2, ::2]
cfg = types.SimpleNamespace(
    table=table, window=5, nested=types.SimpleNamespace(bias=bias), kinds={"d": doc}
)
tables = [slope, {"deep": (table, 3)}]


def bucket(distance):
    """T5's causal buckets."""
    distance = ops.maximum(distance, 0)
    log = 16 + ops.to_int(16 * ops.log(ops.maximum(distance, 1) / 16) / math.log(8))
    return ops.where(distance < 16, distance, ops.minimum(31, log))


def outer(score, q_idx):
    def inner(x):
        return x + table[0, q_idx] * cfg.window

    return inner(score)


class Holder:
    scale = slope

    def __init__(self):
        self.bias = bias
        self.window = 4

    def mask(self, b, h, q_idx, kv_idx):
        return self.near(q_idx, kv_idx) & flags[kv_idx]

    def near(self, q_idx, kv_idx):
        return abs(q_idx - kv_idx) <= self.width

    @property
    def width(self):
        return self.window + 1

    @classmethod
    def of(cls, h):
        return cls.scale[h]

    @staticmethod
    def twice(x):
        return x * slope[0] * 2

    def __call__(self, score, b, h, q_idx, kv_idx):
        return score + self.bias[h, q_idx, kv_idx] + self.of(h) + self.twice(score)


class Slotted:
    __slots__ = ("data",)

    def __getitem__(self, key):
        return self.data[key]

    def __len__(self):
        return 3


slotted = Slotted()
slotted.data = slope


def with_defaults(score, b, h, q_idx, kv_idx, gate=slope, *, shift=3, more=(doc, 2)):
    return score * gate[h] + shift + more[0][q_idx] * more[1]


def loop(score, b, h, q_idx, kv_idx):
    for index, part in enumerate((slope, table[0])):
        score = score + part[h] * (index + 1)
    return score


def branchy(score, b, h, q_idx, kv_idx):
    if cfg.window > 3 and switch is not None:
        score = score * 2
    return score if len(tables) == 2 else None


def rel(x, q, k):
    return x + (q - k)


SCORES = {
    "identity": lambda s, b, h, q, k: s,
    "constant": lambda s, b, h, q, k: 1,
    "constant_float": lambda s, b, h, q, k: -0.5,
    "numpy_constant": lambda s, b, h, q, k: s * np.float32(0.1) + np.int8(3),
    "index": lambda s, b, h, q, k: q,
    "relative": lambda s, b, h, q, k: s + (q - k),
    "alibi": lambda s, b, h, q, k: s + slope[h] * (k - q),
    "softcap": lambda s, b, h, q, k: 20 * ops.tanh(s / 20),
    "softcap_numpy": lambda s, b, h, q, k: 20 * np.tanh(s / 20),
    "bias": lambda s, b, h, q, k: s + bias[h, q, k],
    "bias_chain": lambda s, b, h, q, k: s + bias[h][q][k] + bias[h][q, k],
    "bias_last": lambda s, b, h, q, k: s + bias[-1, q, k] + table[h, -2],
    "t5": lambda s, b, h, q, k: s + table[h, bucket(q - k)],
    "decay": lambda s, b, h, q, k: s / (1 + 1e-4 * (q - k) ** 2),
    "key_weight": lambda s, b, h, q, k: s + ops.log(abs(slope[h]) + 1) * (k == 0),
    "floor_div": lambda s, b, h, q, k: s + (q - 13) // (k - 9) + (q - 13) % (k - 9),
    "floor_div_const": lambda s, b, h, q, k: (
        (q - k) // -5 + (q - k) % -5 + 7 // (k + 1)
    ),
    "float_floor": lambda s, b, h, q, k: (s * 7) // 2.5 + (s * 7) % 2.5,
    "float_mod": lambda s, b, h, q, k: (s * 7) % -2.5 + 5.5 % (abs(s) + 1),
    "divmod": lambda s, b, h, q, k: divmod(q - k, 5)[0] * 10 + divmod(q - k, 5)[1],
    "int_power": lambda s, b, h, q, k: s + (q - k) ** 5 + q**0 + q**1 - k**2,
    "int_float_power": lambda s, b, h, q, k: (q + 1.0) ** -1 + (q + 1) ** 0.5,
    "float_power": lambda s, b, h, q, k: s**2 + s**3 + abs(s) ** 0.5,
    "power_traced": lambda s, b, h, q, k: 1.5 ** (q - k),
    "unary": lambda s, b, h, q, k: -s + (+q) - (-k) + abs(-s) + abs(q - k),
    "shift": lambda s, b, h, q, k: (q << 3) + (q >> 1) + (1 << h) + (4096 >> h),
    "bits": lambda s, b, h, q, k: (q & k) + (q | 5) - (q ^ k) + (~q),
    "bool_sum": lambda s, b, h, q, k: s + (q > k) * 2.0 - (q == k) + (q < k) * 3,
    "bool_product": lambda s, b, h, q, k: ((q > k) * 1) * ((k > 3) * 1) + s,
    "flags": lambda s, b, h, q, k: s + flags[k] * 1.5,
    "integers": lambda s, b, h, q, k: s + small[k] / 256 - doc[q],
    "where": lambda s, b, h, q, k: ops.where(q >= k, s, -1),
    "where_numpy": lambda s, b, h, q, k: np.where(q >= k, s, np.float32(-1)),
    "where_int": lambda s, b, h, q, k: ops.where(q >= k, q, k) // 2,
    "where_inf": lambda s, b, h, q, k: ops.where(q >= k, s, float("-inf")),
    "clamp": lambda s, b, h, q, k: ops.clamp(q - k, -3, 4) + ops.clamp(s, -0.5, 0.5),
    "clip_numpy": lambda s, b, h, q, k: np.clip(q - k, -3, 4) + np.clip(s, None, 0.5),
    "clamp_constant": lambda s, b, h, q, k: ops.clamp(0.25, s, q) + np.clip(3, 1, k),
    "minmax": lambda s, b, h, q, k: ops.minimum(s, q) + ops.maximum(q, k),
    "minmax_numpy": lambda s, b, h, q, k: np.minimum(s, 0.25) + np.maximum(q, k),
    "exps": lambda s, b, h, q, k: ops.exp(s) + ops.exp2(s) + ops.log(abs(s) + 1),
    "logs": lambda s, b, h, q, k: (
        ops.log2(abs(s) + 1) + np.log1p(abs(s)) + ops.log1p(q / 9) + np.exp(q / 9)
    ),
    "trig": lambda s, b, h, q, k: ops.sin(s) * ops.cos(q) + np.sin(q) + np.cos(s),
    "roots": lambda s, b, h, q, k: ops.sqrt(q) + ops.rsqrt(q + 1) + np.sqrt(abs(s)),
    "activations": lambda s, b, h, q, k: ops.sigmoid(s) + ops.softplus(s) + ops.silu(s),
    "gelu": lambda s, b, h, q, k: ops.gelu(s) + ops.erf(s / 2),
    "floor": lambda s, b, h, q, k: ops.floor(s * 3) + np.floor(s * 5) + np.ceil(s * 7),
    "pow": lambda s, b, h, q, k: ops.pow(q + 1, 2) + ops.pow(2, s),
    "to_int": lambda s, b, h, q, k: ops.to_int(s * 10) + ops.to_int(q > k),
    "sign_numpy": lambda s, b, h, q, k: np.sign(s) + np.sign(q - k) + np.square(s),
    "logical_numpy": lambda s, b, h, q, k: s + np.logical_and(q > 2, k) * 1,
    "operators_numpy": lambda s, b, h, q, k: np.subtract(np.multiply(s, 2), q) / 3,
    "scalar_captures": lambda s, b, h, q, k: s * number + count * q + switch,
    "scalar_item": lambda s, b, h, q, k: s * number.item() + count[()],
    "strided": lambda s, b, h, q, k: s + strided[k, h],
    "shape": lambda s, b, h, q, k: (
        table[h, q - k + table.shape[1] // 2] + table.shape[0]
    ),
    "size": lambda s, b, h, q, k: s + table.size + table.ndim,
    "attribute": lambda s, b, h, q, k: s + cfg.table[h, q] + cfg.nested.bias[h, q, k],
    "elements": lambda s, b, h, q, k: tables[0][h] + tables[1]["deep"][0][h, q],
    "element_constant": lambda s, b, h, q, k: s * tables[1]["deep"][1],
    "function": lambda s, b, h, q, k: outer(s, q),
    "defaults": with_defaults,
    "loop": loop,
    "branchy": branchy,
    "callable": Holder(),
    "class_attribute": lambda s, b, h, q, k: s + Holder.scale[h] + Holder.of(h),
    "special_methods": lambda s, b, h, q, k: s + slotted[h] * len(slotted),
    "partial": functools.partial(with_defaults, gate=table[:, 3], shift=-2),
    "star": lambda *args: args[0] + args[3] * 2 - args[4],
    "reduce": lambda s, b, h, q, k: functools.reduce(operator.add, [s, q, k, 1]),
    "sum": lambda s, b, h, q, k: sum([s, q, k]) + sum(slope[i] for i in range(6)),
    "comprehension": lambda s, b, h, q, k: sum([t[h] for t in (slope, column)]),
    "helper_module": lambda s, b, h, q, k: rel(s, q, k) + math.pi * math.sqrt(2.0),
    "inplace": None,
}


def inplace(score, b, h, q_idx, kv_idx):
    score += q_idx
    score *= 2
    score -= kv_idx
    score /= 3
    return score


SCORES["inplace"] = inplace

MASKS = {
    "true": lambda b, h, q, k: True,
    "numpy_false": lambda b, h, q, k: np.bool_(False),
    "causal": lambda b, h, q, k: q >= k,
    "window": lambda b, h, q, k: (q >= k) & (q - k < cfg.window),
    "dilated": lambda b, h, q, k: (abs(q - k) <= 9) & ((q - k) % 3 == 0),
    "document": lambda b, h, q, k: (q >= k) & (doc[q] == doc[k]),
    "kinds": lambda b, h, q, k: cfg.kinds["d"][q] != cfg.kinds["d"][k],
    "global": lambda b, h, q, k: flags[q] | flags[k] | (q == k),
    "xor": lambda b, h, q, k: (q > k) ^ flags[k] ^ True,
    "not": lambda b, h, q, k: ~(q > k) & ~flags[q],
    "bool_compare": lambda b, h, q, k: (q > 3) == flags[k],
    "bool_differs": lambda b, h, q, k: (q > 3) != (k > 5),
    "bool_order": lambda b, h, q, k: (q > 3) < (k > 5),
    "chunked": lambda b, h, q, k: (q >= k) & (q // 8 == k // 8),
    "circle": lambda b, h, q, k: (q % 5 - k % 5) ** 2 + (q // 5 - k // 5) ** 2 < 4.5,
    "float": lambda b, h, q, k: q / 2 > k * 0.75,
    "float_constant": lambda b, h, q, k: q * 1.0 != np.float64(3),
    "method": Holder().mask,
    "combined": and_masks(lambda b, h, q, k: q >= k, Holder().mask),
    "any": or_masks(lambda b, h, q, k: q < k, lambda b, h, q, k: flags[k]),
    "none": or_masks(),
    "all": and_masks(),
    "nested": or_masks(and_masks(lambda b, h, q, k: doc[q] == doc[k]), or_masks()),
    "select": lambda b, h, q, k: ops.where(h > 2, q >= k, flags[k]),
    "numpy": lambda b, h, q, k: np.logical_or(np.greater(q, k), np.equal(k, 0)),
    "isnan": lambda b, h, q, k: np.isnan(table[h, k]) | np.isfinite(table[h, q]),
}


def arguments(n=97):
    return {
        "s": rng.standard_normal(n),
        "b": rng.integers(0, 2, n),
        "h": rng.integers(0, 6, n),
        "q": rng.integers(0, S, n),
        "kv": rng.integers(0, S, n),
    }


def compare(region, variant, mod, given):
    types_ = check_region(region, variant.program["captures"])
    got = evaluate(region, given, variant.arrays)[0]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        rows = zip(*(given[name] for name in region["args"]), strict=True)
        want = np.array([mod(*row) for row in rows])
    shape = given["q"].shape
    assert types_[region["results"][0]] == ("f" if "s" in region["args"] else "i1")
    got, want = np.broadcast_to(got, shape), np.broadcast_to(want, shape)
    if want.dtype == np.bool_:
        np.testing.assert_array_equal(got, want)
    else:
        # By hand float32 captures compute in float32 where NumPy keeps them.
        np.testing.assert_allclose(got, want.astype(np.float64), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", SCORES)
def test_score_mod(name):
    mod = SCORES[name]
    given = arguments()
    if name == "floor_div":
        given["kv"][given["kv"] == 9] = 8  # by hand // 0 is NumPy's, not S8's
    variant = trace_variant(mod)
    compare(variant.program["score"], variant, mod, given)


@pytest.mark.parametrize("name", MASKS)
def test_mask_mod(name):
    mod = MASKS[name]
    variant = trace_variant(None, mod)
    compare(variant.program["mask"], variant, mod, arguments())


@pytest.mark.parametrize("name", [n for n in SCORES if n not in ("star",)])
def test_called_by_hand(name):
    """A mod is an ordinary function of numbers."""
    mod = SCORES[name]
    result = mod(0.75, 0, 3, 10, 7)
    assert np.ndim(result) == 0 and float(result) == float(result)
    region = trace_variant(mod).program["score"]
    given = {"s": 0.75, "b": 0, "h": 3, "q": 10, "kv": 7}
    got = evaluate(region, given, trace_variant(mod).arrays)[0]
    np.testing.assert_allclose(float(got), float(result), rtol=2e-3, atol=2e-3)


def test_shared_subexpressions_stay_shared():
    def doubled(score, b, h, q_idx, kv_idx):
        for _ in range(40):
            score = score + score
        return score

    region = trace_variant(doubled).program["score"]
    assert len(region["nodes"]) == 41
    assert evaluate(region, {"s": 1.0})[0] == 2.0**40


def test_thousands_of_operations():
    def long(score, b, h, q_idx, kv_idx):
        for i in range(2500):
            score = score * 1.0001 + (q_idx + i) % 7
        return score

    variant = trace_variant(long)
    assert len(variant.program["score"]["nodes"]) > 12000
    assert len(str(variant.program_json(D=64))) > 100_000


def test_more_operations_than_the_compiler_takes():
    """Too large: ValueError naming the argument"""

    def longer(score, b, h, q_idx, kv_idx):
        for i in range(8192):
            score = score + (q_idx + i)
        return score

    with pytest.raises(ValueError) as caught:
        trace_variant(longer)
    text = str(caught.value)
    assert text.startswith("score_mod 'longer'")
    assert text.endswith(": at most 16384 operations are supported, got 32770")


def test_print_of_deep_and_shared_values(capsys):
    def deep(score, b, h, q_idx, kv_idx):
        print(score + slope[h] * (q_idx - kv_idx))
        for _ in range(3000):
            score = score + score * 2
        print(score)
        return score

    trace_variant(deep)
    first, second = capsys.readouterr().out.splitlines()
    assert first == "score + slope[h] * (q_idx - kv_idx)"
    assert "…" in second and len(second) <= 240


def test_print_uses_the_users_names():
    seen = []

    def mod(s, batch, head, i, j):
        seen.append(
            f"{(i - j) // 2 < 3} {ops.where(i > j, s, -1.5)} {-(abs(s) ** 0.5)}"
        )
        return s

    trace_variant(mod)
    assert seen == [
        "(i - j) // 2 < 3 where(i > j, s, -1.5) -pow(abs(s), 0.5)",
    ]


def test_constants_keep_their_bits():
    third, tiny = 1 / 3, 5e-324
    region = trace_variant(lambda s, b, h, q, k: s * third + tiny - -0.0).program[
        "score"
    ]
    constants = [n[2] for n in region["nodes"] if n[0] == "const"]
    assert constants == [third.hex(), tiny.hex(), "-0x0.0p+0"]
    region = trace_variant(lambda s, b, h, q, k: s * math.inf + math.nan).program[
        "score"
    ]
    assert [n[2] for n in region["nodes"] if n[0] == "const"] == ["inf", "nan"]


def test_large_ints_convert_in_the_kernel():
    """i64 to float rounds once, from the exact int."""
    big = 2**53 + 1
    region = trace_variant(lambda s, b, h, q, k: s + big).program["score"]
    assert ["const", "i64", big] in region["nodes"]
    assert any(node[0] == "i64_to_f" for node in region["nodes"])


def test_unused_nodes_and_captures_are_dropped():
    def mod(score, b, h, q_idx, kv_idx):
        table[h, q_idx] + slope[h]
        return score + doc[q_idx]

    variant = trace_variant(mod)
    assert variant.names == ("doc",)
    assert [n[0] for n in variant.program["score"]["nodes"]] == [
        "arg", "arg", "read", "i64_to_f", "fadd",
    ]  # fmt: skip


def test_integer_rules_are_total():
    """S8, through the reference that the engines are compared with."""
    low = -(2**63)
    mods = {
        "q // kv": [(5, 0, 0), (-7, 2, -4), (low, -1, low), (7, -2, -4)],
        "q % kv": [(5, 0, 0), (-7, 2, 1), (low, -1, 0), (7, -2, -1)],
        "q << kv": [(1, 63, low), (1, 64, 0), (1, -1, 0), (3, 62, low + 2**62)],
        "q >> kv": [(-8, 1, -4), (-8, 64, -1), (8, 64, 0), (-8, -3, -1)],
        "-q": [(low, 0, low)],
        "abs(q)": [(low, 0, low)],
    }
    for text, cases in mods.items():
        mod = eval(f"lambda b, h, q, kv: {text}")
        region = trace_variant(lambda s, *i: mod(*i)).program["score"]
        region = dict(region, results=[len(region["nodes"]) - 2])  # before i64_to_f
        for q, kv, want in cases:
            got = evaluate(region, {"s": 0, "b": 0, "h": 0, "q": q, "kv": kv})[0]
            assert int(got) == want, (text, q, kv)


def test_to_int_saturates():
    region = trace_variant(lambda s, b, h, q, k: ops.to_int(s) * 1).program["score"]
    region = dict(region, results=[1])
    for value, want in [
        (math.nan, 0), (1e30, 2**63 - 1), (-1e30, -(2**63)), (-2.9, -2), (2.9, 2),
        (math.inf, 2**63 - 1), (-math.inf, -(2**63)), (2.0**63, 2**63 - 1),
    ]:  # fmt: skip
        assert region["nodes"][1] == ["to_int", 0]
        assert int(evaluate(region, {"s": value})[0]) == want
        assert int(ops.to_int(value)) == want


def test_ops_by_hand():
    assert ops.where(True, 1, 2) == 1 and ops.clamp(7, 0, 5) == 5
    assert ops.abs(-3) == 3 and isinstance(ops.abs(-3), (int, np.integer))
    assert ops.minimum(2, 3) == 2 and np.isnan(ops.maximum(math.nan, 1.0))
    assert ops.exp(0) == 1.0 and ops.log(0) == -math.inf and np.isnan(ops.sqrt(-1))
    assert ops.pow(2, -1) == 0.5 and ops.floor(2.7) == 2.0
    assert ops.erf(0.5) == math.erf(0.5)
    np.testing.assert_allclose(
        ops.erf(np.array([0.5, -1])), [math.erf(0.5), math.erf(-1)]
    )
    assert abs(ops.gelu(1.0) - 0.8413447460685429) < 1e-15
    assert abs(ops.softplus(0.0) - math.log(2)) < 1e-16
    assert ops.softplus(1000.0) == 1000.0 and ops.softplus(-1000.0) == 0.0
    assert ops.log1p(1e-20) == 1e-20 and ops.log1p(-1) == -math.inf
    assert ops.sigmoid(-1000.0) == 0.0 and ops.silu(-1000.0) == 0.0
    assert ops.exp(np.ones(2, np.float32)).dtype == np.float32


def test_mod_kind():
    assert mod_kind(SCORES["alibi"]) == "score_mod"
    assert mod_kind(with_defaults) == "score_mod"
    assert mod_kind(MASKS["causal"]) == "mask_mod"
    assert mod_kind(Holder().mask) == "mask_mod"
    assert mod_kind(Holder()) == "score_mod"
    assert mod_kind(lambda *args: True) == "mask_mod"
    with pytest.raises(TypeError, match="takes 3 parameters"):
        mod_kind(lambda a, b, c: a)
