"""Every kind of mistake in a mod, with the type and the text that answers it."""

import functools
import itertools
import math
import os
import pickle
import subprocess
import sys
import types
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from failing import failing

import fovea
from fovea import ops
from fovea.dsl import and_masks, clear_memo, or_masks, trace_variant
from fovea.errors import Error, TraceError

slope = np.ones(4)
number = np.array(2.0)
items = [1, 2, 3]


def chained(b, h, q, k):
    return 0 <= q - k < 5


def conditional(b, h, q, k):
    if q >= k:
        return True
    return q < 2


def conditional_and(b, h, q, k):
    if q >= k and slope[h] > 0:
        return True
    return q < 2


def loop_while(b, h, q, k):
    while q > k:
        q = q - 1
    return q == k


def asserting(b, h, q, k):
    assert q >= 0
    return q >= k


def matching(b, h, q, k):
    match q:
        case 0:
            return True
        case _ if k > 2:
            return False
    return q < k


def guarded(b, h, q, k):
    match h + 1:
        case _ if k > 2:
            return False
    return q < k


def filtered(b, h, q, k):
    return [x for x in (q, k) if x > 3] == []


PYTHON = [
    (lambda b, h, q, k: q >= k and slope[h] > 0, "`and`", "(q >= k) & (slope[h] > 0)"),
    (lambda b, h, q, k: q >= k or q < 3, "`or`", "(q >= k) | (q < 3)"),
    (lambda b, h, q, k: not q >= k, "`not`", "~(q >= k)"),
    (lambda b, h, q, k: not (q >= k), "`not`", "~(q >= k)"),
    (chained, "a chained comparison", "(0 <= q - k) & (q - k < 5)"),
    (lambda b, h, q, k: q == k == 3, "a chained comparison", "(q == k) & (k == 3)"),
    (conditional, "`if`", "fovea.ops.where(condition, x, y)"),
    (conditional_and, "`and`", "(q >= k) & (slope[h] > 0)"),
    (lambda b, h, q, k: 1 if q >= k else 0, "`if`", "ops.where(q >= k, 1, 0)"),
    (loop_while, "`while`", "fovea.ops.where"),
    (asserting, "`assert`", "fovea.ops"),
    (filtered, "a comprehension", "fovea.ops.where"),
    (matching, "`match`", "fovea.ops.where(x == value, …, …)"),
    (guarded, "`match`", "fovea.ops.where(x == value, …, …)"),
    (lambda b, h, q, k: bool(q), "`bool()`", "x != 0"),
    (lambda b, h, q, k: q in items, "`in`", "(x == a) | (x == b)"),
    (lambda b, h, q, k: any(x > q for x in items), "`any()`", "x | y"),
    (lambda b, h, q, k: all([q > k, q < 3]), "`all()`", "x & y"),
    (lambda b, h, q, k: min(q, k) > 3, "`min()`", "fovea.ops.minimum"),
    (lambda b, h, q, k: max(q, 3) > k, "`max()`", "fovea.ops.maximum"),
    (lambda b, h, q, k: sorted([q, k])[0] > 3, "`sorted()`", ""),
    (lambda b, h, q, k: float(q) > 2, "`float()`", "the value itself"),
    (lambda b, h, q, k: int(q / 2) > 2, "`int()`", "fovea.ops.to_int"),
    (lambda b, h, q, k: complex(q) == 1j, "`complex()`", ""),
    (lambda b, h, q, k: round(q / 2) > 2, "`round()`", "fovea.ops.floor(x + 0.5)"),
    (lambda b, h, q, k: sum(range(q)) > 2, "`range()`", "arithmetic on the index"),
    (lambda b, h, q, k: math.exp(q) > 2, "`math.exp()`", "fovea.ops.exp(q)"),
    (lambda b, h, q, k: math.log2(q - k) > 2, "`math.log2()`", "fovea.ops.log2(q - k)"),
    (lambda b, h, q, k: math.log1p(q) > 2, "`math.log1p()`", "fovea.ops.log1p(q)"),
    (lambda b, h, q, k: math.floor(q / 2) > 2, "`math.floor()`", "fovea.ops.floor(x)"),
    (lambda b, h, q, k: math.ceil(q / 2) > 2, "`math.ceil()`", "-fovea.ops.floor(-x)"),
    (lambda b, h, q, k: math.trunc(q / 2) > 2, "`math.trunc()`", "fovea.ops.to_int(x)"),
    (lambda b, h, q, k: math.isnan(q), "`math.isnan()`", ""),
    (lambda b, h, q, k: items[q] > 2, "indexing a Python sequence", "np.array(items)"),
    (lambda b, h, q, k: items[q:] == [], "indexing a Python sequence", ""),
    (lambda b, h, q, k: "abc"[q] == "a", "indexing a Python sequence", ""),
    (lambda b, h, q, k: f"{q:3d}" == "", "format specification", ""),
]  # fmt: skip


@pytest.mark.parametrize("case", PYTHON, ids=lambda case: case[1])
def test_python_on_traced_values(case):
    mod, what, instead = case
    error, text = failing(mod, "mask")
    assert isinstance(error, TraceError) and isinstance(error, TypeError)
    assert isinstance(error, Error)
    first = text.splitlines()[0]
    assert first.startswith(f"mask_mod {mod.__name__!r} ({__file__}:")
    assert what in first and "known only in the kernel" in first
    assert "\n    " in text and "^" in text, "source text with a mark"
    if instead:
        assert "write instead: " in text and instead in text


def test_precedence_of_bitwise_operators():
    _, text = failing(lambda b, h, q, k: q >= k & q - k < 5, "mask")
    assert "write instead: (q >= k) & (q - k < 5)" in text
    _, text = failing(lambda b, h, q, k: q >= k | h == 2, "mask")
    assert "write instead: (q >= k) | (h == 2)" in text


def test_deep_nesting():
    deep = slope
    for _ in range(5000):
        deep = [deep]
    error, text = failing(lambda s, b, h, q, k: s + len(deep))
    assert isinstance(error, TraceError) and "is nested too deeply" in text
    assert len(text) < 200


def test_the_sub_expression_is_named_and_marked():
    _, text = failing(lambda b, h, q, k: (q + 1 > k) and slope[h] > 0, "mask")
    assert "but q + 1 > k is known only in the kernel" in text
    source, marks = text.splitlines()[1:3]
    begin = marks.index("^")
    assert source[begin : marks.rindex("^") + 1] == "(q + 1 > k) and slope[h] > 0"


def test_the_line_is_that_of_the_helper_that_fails():
    def helper(x):
        return 1 if x > 2 else 0

    line = helper.__code__.co_firstlineno + 1
    _, text = failing(lambda s, b, h, q, k: s + helper(q - k))
    assert f"{__file__}:{line}" in text and "but q - k > 2 is known" in text


def test_without_source_the_expression_still_shows():
    space = {}
    exec("def mod(b, h, q, k):\n    return q >= k and q < 3", space)
    error, text = failing(space["mod"], "mask")
    assert isinstance(error, TraceError)
    assert "<string>:2" in text and "q >= k" in text


class Other:
    """Of no use to operators, but for subtraction."""

    def __rsub__(self, other):
        return other * 2


OTHER = Other()
VALUES = [
    (lambda s, b, h, q, k: list(s), "cannot be iterated over"),
    (lambda s, b, h, q, k: [*s], "cannot be iterated over"),
    (lambda s, b, h, q, k: len(s), "has no len()"),
    (lambda s, b, h, q, k: 3 in s, "`in` does not apply"),
    (lambda s, b, h, q, k: s[0], "cannot be indexed"),
    (lambda s, b, h, q, k: s(1), "cannot be called"),
    (lambda s, b, h, q, k: s.__setitem__(0, 1), "cannot be assigned to"),
    (lambda s, b, h, q, k: pickle.dumps(s), "cannot be pickled"),
    (lambda s, b, h, q, k: {q: 1}[0], "hashing"),
    (lambda s, b, h, q, k: hash(q), "hashing"),
    (lambda s, b, h, q, k: {1: 2.0}[q], "hashing"),
    (lambda s, b, h, q, k: functools.lru_cache(lambda x: x)(q), "hashing"),
    (lambda s, b, h, q, k: s.astype(float), "no attribute 'astype'"),
    (lambda s, b, h, q, k: s.item(), "no attribute 'item'"),
    (lambda s, b, h, q, k: s & 1, "`&` takes bools and ints, and s is a float"),
    (lambda s, b, h, q, k: q | s, "`|` takes bools and ints, and s is a float"),
    (lambda s, b, h, q, k: q ^ 1.5, "`^` takes bools and ints, and 1.5 is a float"),
    (lambda s, b, h, q, k: ~s, "`~` takes bools and ints, and s is a float"),
    (lambda s, b, h, q, k: q << 1.0, "`<<` takes bools and ints"),
    (lambda s, b, h, q, k: s >> 1, "`>>` takes bools and ints"),
    (lambda s, b, h, q, k: s + "a", "`+` takes numbers and traced values, not str"),
    (lambda s, b, h, q, k: s * [1], "`*` takes numbers and traced values, not list"),
    (lambda s, b, h, q, k: [1] * s, "`*` takes numbers and traced values, not list"),
    (lambda s, b, h, q, k: s + None, "`+` takes numbers and traced values, not None"),
    (lambda s, b, h, q, k: s == None, "`==` takes numbers and traced values"),  # noqa: E711
    (lambda s, b, h, q, k: s + 1j, "`+` takes numbers and traced values, not complex"),
    (
        lambda s, b, h, q, k: s + Decimal(1),
        "`+` takes numbers and traced values, not D",
    ),
    (
        lambda s, b, h, q, k: Decimal(1) - s,
        "`-` takes numbers and traced values, not D",
    ),
    (
        lambda s, b, h, q, k: s < Decimal(1),
        "`<` takes numbers and traced values, not D",
    ),
    (
        lambda s, b, h, q, k: s == Decimal(1),
        "`==` takes numbers and traced values, not",
    ),
    (
        lambda s, b, h, q, k: s ** Decimal(2),
        "`**` takes numbers and traced values, not D",
    ),
    (
        lambda s, b, h, q, k: s * timedelta(1),
        "takes numbers and traced values, not time",
    ),
    (lambda s, b, h, q, k: s + OTHER, "`+` takes numbers and traced values, not Other"),
    (lambda s, b, h, q, k: s > OTHER, "`>` takes numbers and traced values, not Other"),
    (lambda s, b, h, q, k: pow(q, 2, 3), "pow() with a modulus"),
    (
        lambda s, b, h, q, k: ops.where(q, s, 0),
        "where takes a bool condition, and q is",
    ),
    (lambda s, b, h, q, k: ops.where(q > k, "a", 0), "where takes numbers"),
    (lambda s, b, h, q, k: np.where(q > k), "np.where is not available"),
    (lambda s, b, h, q, k: np.sum([s, q]), "`np.sum()` needs the value"),
    (lambda s, b, h, q, k: np.sinh(s), "np.sinh is not available"),
    (lambda s, b, h, q, k: np.add(s, q, dtype=float), "np.add with"),
    (lambda s, b, h, q, k: np.add.reduce(s), "np.add.reduce is not available"),
    (lambda s, b, h, q, k: np.stack([s, q]), "not available"),
    (lambda s, b, h, q, k: np.ones(3)[q], "indexing an array that Fovea cannot see"),
    (lambda s, b, h, q, k: np.float32(s), "`np.float32()` needs the value"),
    (lambda s, b, h, q, k: np.ones(3) + s, "Fovea cannot see"),
    (lambda s, b, h, q, k: s + np.ones(3), "Fovea cannot see"),
    (lambda s, b, h, q, k: np.asarray(s), "`np.asarray()` needs the value"),
]


@pytest.mark.parametrize("case", VALUES, ids=lambda case: case[1])
def test_misused_values(case):
    mod, want = case
    error, text = failing(mod)
    assert isinstance(error, TypeError) and want in text
    assert "score_mod '<lambda>'" in text and f"{__file__}:" in text + str(
        getattr(error, "__notes__", "")
    )


#: What the bytecode of these is that of (pytest writes assertions anew).
_SAME_CODE = dict.fromkeys((conditional_and, matching, guarded, asserting), "`if`")


def _without_source(code):
    """The same, as of a file that there is not."""
    parts = [
        _without_source(part) if isinstance(part, types.CodeType) else part
        for part in code.co_consts
    ]
    return code.replace(co_filename="<none>", co_consts=tuple(parts))


@pytest.mark.parametrize("mod, what, hint", PYTHON)
def test_python_on_traced_values_without_source(mod, what, hint):
    """What it was and what to write instead, of the instruction alone"""
    code = _without_source(mod.__code__)
    bare = types.FunctionType(code, mod.__globals__, closure=mod.__closure__)
    error, text = failing(bare, "mask")
    assert type(error) is TraceError
    expected = _SAME_CODE.get(mod, what)
    assert "(<none>:" in text and expected in text.partition("known only")[0]
    assert "write instead: " in text or not hint


UNITS = [
    (lambda s, b, h, q, k: s + np.timedelta64(2), "`+` takes numbers"),
    (lambda s, b, h, q, k: np.timedelta64(2, "s") * s, "takes numbers"),
    (lambda s, b, h, q, k: np.timedelta64(2), "return takes numbers"),
    (lambda s, b, h, q, k: s * np.datetime64("2020-01-01"), "`*` takes numbers"),
    (lambda s, b, h, q, k: ops.clamp(s, "a", 2), "clamp takes numbers"),
    (lambda s, b, h, q, k: ops.clamp(s, 0, "a"), "clamp takes numbers"),
    (lambda s, b, h, q, k: np.clip(s, None, "a"), "clamp takes numbers"),
    (lambda s, b, h, q, k: ops.clamp("a", s, 1), "clamp takes numbers"),
]


@pytest.mark.parametrize("mod, want", UNITS)
def test_what_is_no_number(mod, want):
    error, text = failing(mod)
    assert isinstance(error, TypeError) and want in text


def test_names_of_files_that_there_cannot_be():
    """The mod's own error, in a text that can be written"""
    for source, want in (("s and i", "`and` needs"), ("None", "must give a number")):
        code = compile(f"lambda s, b, h, i, j: {source}", "x\ud800", "eval")
        error, text = failing(eval(code))
        assert isinstance(error, TypeError) and want in text
        assert "(x\\ud800:1)" in text and text.encode()
    error, _ = failing(eval(compile("lambda s, b, h, i, j: 1 / 0", "x\ud800", "eval")))
    assert type(error) is ZeroDivisionError
    assert error.__notes__[0].encode().endswith(b"(x\\ud800:1)")


class _Hostile:
    def __eq__(self, other):
        raise ValueError("asked whether equal")

    def __hash__(self):
        raise ValueError("asked for its hash")

    def __getattr__(self, name):
        raise ValueError(f"asked for {name}")

    def __call__(self, s, b, h, i, j):
        return s * 2


class _Asking(_Hostile):
    def __call__(self, s, b, h, i, j):
        return s * self.factor


def test_mods_that_do_not_like_questions():
    """What a mod raises itself passes unchanged, with a note; else nothing is asked"""
    want = trace_variant(lambda s, b, h, i, j: s * 2).program["score"]
    assert trace_variant(_Hostile()).program["score"] == want
    error, text = failing(_Asking())
    assert (type(error), text) == (ValueError, "asked for factor")
    assert "raised while tracing score_mod '_Asking'" in error.__notes__[0]
    assert f"{__file__}:" in error.__notes__[0]


def test_static_methods_are_mods():
    given = staticmethod(lambda s, b, h, i, j: s * slope[h])
    variant = trace_variant(given, staticmethod(chained_away))
    assert variant.names == ("slope",)
    assert variant.program["score"] == trace_variant(given.__func__).program["score"]
    assert trace_variant(given, staticmethod(chained_away)).core is variant.core
    other = staticmethod(lambda s, b, h, i, j: s * slope[h] * 2)
    assert trace_variant(other, chained_away).core is not variant.core
    with pytest.raises(TypeError, match="must take"):
        trace_variant(staticmethod(lambda s: s))


def chained_away(b, h, q, k):
    return (q >= k) & (q < 5)


def test_masks_made_by_torch():
    """They ask their indices for tensors: what to use is said"""
    for name, want in (("new_ones", "and_masks"), ("new_zeros", "or_masks")):
        _, text = failing(lambda b, h, q, k, n=name: getattr(b, n)(()), "mask")
        assert f"has no attribute {name!r}" in text
        assert f"what fovea.{want} gives in the place of torch's" in text


def _logic(b, h, q, k):
    return ((q > k and h > 0) or b > 0) & (not k)


def _first_or(b, h, q, k):
    if q > k or h > 0:
        b = b + 1
    return b > 0


@pytest.mark.parametrize("mod", [_logic, _first_or])
def test_and_or_without_source(mod):
    """Jumps of `and` into `or` tell no more than that it was one of them"""
    code = _without_source(mod.__code__)
    _, text = failing(types.FunctionType(code, mod.__globals__), "mask")
    assert "`and` or `or` needs True or False while tracing" in text
    assert "(x) & (y) for `and`, (x) | (y) for `or`, ~(x) for `not`" in text


_NO_COLUMNS = """
import pathlib, sys, fovea.dsl
path = pathlib.Path(sys.argv[1])
path.write_text(
    "import math\\n"
    "def mod(s, b, h, i, j):\\n"
    "    x = s * 2\\n"
    "    return s if i > j else math.exp(x)\\n"
)
sys.path.insert(0, str(path.parent))
import told
def asserting(s, b, h, i, j):
    assert i > j
    return s
for mod in told.mod, lambda s, b, h, i, j: s * max(i, j), asserting:
    try:
        fovea.dsl.trace_variant(mod)
    except TypeError as error:
        print(error)
"""


def test_python_on_traced_values_without_columns(tmp_path):
    """-X no_debug_ranges, and `python -c` beside it"""
    root = os.path.dirname(os.path.dirname(fovea.__file__))
    place = tmp_path / "told.py"
    ran = subprocess.run(
        [sys.executable, "-X", "no_debug_ranges", "-c", _NO_COLUMNS, place],
        env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.stderr == ""
    head, *told = ran.stdout.splitlines()
    assert head == (
        f"score_mod 'mod' ({place}:4): `if` needs True or False while tracing, but"
        " i > j is known only in the kernel"
    )
    assert told[0] == "    return s if i > j else math.exp(x)"
    assert told[1].startswith("  write instead: fovea.ops.where(condition, x, y)")
    assert told[2].startswith("score_mod '<lambda>' (<string>:")
    assert "`max()` needs True or False while tracing" in told[2]
    assert told[3] == "  write instead: fovea.ops.maximum(x, y)"
    assert "`assert` needs True or False while tracing" in told[4]


def test_operators_of_other_classes_are_asked():
    """What they give counts; without `==` of their own they are equal to nothing."""
    values = []

    def mod(s, b, h, q, k):
        values[:] = s == OTHER, s != OTHER
        return ops.where(q > 0, s - OTHER, s + Fraction(1, 2))

    trace_variant(mod, None)
    assert values == [False, True]


# -- kinds of mods -------------------------------------------------------------------


async def coroutine(s, b, h, q, k):
    return s


def generator(s, b, h, q, k):
    yield s


class NotCallable:
    pass


@pytest.mark.parametrize(
    ("mod", "want"),
    [
        (abs, "must be a Python function, got the builtin 'abs'"),
        (math.exp, "must be a Python function, got the builtin 'exp'"),
        (np.exp, "must be a Python function, got the builtin 'exp'"),
        ([].append, "must be a Python function, got the builtin 'append'"),
        (functools.partial(max, 1), "must be a Python function, got the builtin 'max'"),
        (NotCallable, "must be a function, got the class NotCallable"),
        (NotCallable(), "must be a function, got NotCallable"),
        ("causal", "must be a function, got str"),
        (3, "must be a function, got int"),
        (np.ones(3), "must be a function, got ndarray"),
        (generator, "'generator' is a generator function"),
        (coroutine, "'coroutine' is a coroutine function"),
        (types.SimpleNamespace(kv_num_blocks=1, mask_mod=abs), "as block_mask="),
        (lambda s, b, h, q: s, "must take (score, b, h, q_idx, kv_idx) by position"),
        (lambda: 1, "must take (score, b, h, q_idx, kv_idx) by position"),
        (lambda s, b, h, q, k, x: s, "missing a required argument: 'x'"),
        (lambda s, b, h, q, k, *, x: s, "keyword-only parameter 'x' of '<lambda>'"),
    ],
)  # fmt: skip
def test_kinds_of_mods(mod, want):
    for role in ("score", "mask"):
        if role == "mask" and "(score, b" in want:
            continue
        if role == "mask" and isinstance(mod, types.LambdaType):
            continue
        error, text = failing(mod, role)
        assert isinstance(error, TypeError)
        assert text.startswith(f"{role}_mod: ") and want in text


@pytest.mark.parametrize(
    ("role", "mod", "want"),
    [
        ("score", lambda s, b, h, q, k: None, "got None; is a return missing?"),
        (
            "score",
            lambda s, b, h, q, k: q > k,
            "got the bool q > k; was a mask_mod meant?",
        ),
        ("score", lambda s, b, h, q, k: True, "got a bool; was a mask_mod meant?"),
        ("score", lambda s, b, h, q, k: (s, q), "must give a number, got tuple"),
        ("score", lambda s, b, h, q, k: "s", "must give a number, got str"),
        ("score", lambda s, b, h, q, k: 1j, "must give a number, got complex"),
        ("mask", lambda b, h, q, k: None, "must give a bool, got None"),
        ("mask", lambda b, h, q, k: q - k, "must give a bool, got the number q - k"),
        ("mask", lambda b, h, q, k: 1, "must give a bool, got int"),
        ("mask", lambda b, h, q, k: 0.0, "must give a bool, got float"),
        (
            "mask",
            lambda b, h, q, k: slope,
            "must give a bool, got <captured array slope",
        ),
    ],
)
def test_results(role, mod, want):
    error, text = failing(mod, role)
    assert isinstance(error, TraceError)
    assert want in text and text.startswith(f"{role}_mod '<lambda>' ({__file__}:")


def test_captures_argument():
    def mod(s, b, h, q, k, *, table):
        return s + table[h]

    table = np.ones(3)
    assert (
        "no mod has a keyword-only parameter 'tabel'"
        in failing(mod, captures={"table": table, "tabel": table})[1]
    )
    assert "has no value; pass captures={'table': array}" in failing(mod)[1]
    error, text = failing(mod, captures=[table])
    assert isinstance(error, TypeError) and "captures: must be a mapping" in text
    _, text = failing(mod, captures={"table": [1.0, 2.0, 3.0]})
    assert "indexing a Python sequence" in text


# -- numbers -------------------------------------------------------------------------


@pytest.mark.parametrize("big", [2**63, -(2**63) - 1, 10**400, np.uint64(2**63)])
def test_constants_beyond_int64(big):
    error, text = failing(lambda s, b, h, q, k: q + big)
    assert isinstance(error, OverflowError) and "does not fit in 64 bits" in text
    assert text.startswith("score_mod '<lambda>'")
    error, text = failing(lambda s, b, h, q, k: big if type(big) is int else q + big)
    assert isinstance(error, OverflowError)


def test_constants_at_the_edge_of_int64():
    low, high = -(2**63), 2**63 - 1
    region = trace_variant(lambda s, b, h, q, k: (q + low) * high).program["score"]
    assert [n[2] for n in region["nodes"] if n[0] == "const"] == [low, high]


def test_fractions_are_numbers():
    half = Fraction(1, 2)
    nodes = trace_variant(lambda s, b, h, q, k: s * half).program["score"]["nodes"]
    assert ["const", "f", (0.5).hex()] in nodes


# -- exceptions and life ---------------------------------------------------------------


class Mine(Exception):
    pass


@pytest.mark.parametrize("kind", [Mine, ValueError, KeyboardInterrupt, MemoryError])
def test_exceptions_of_the_mod_pass_unchanged(kind):
    thrown = kind("as it was")

    def helper():
        raise thrown

    def mod(s, b, h, q, k):
        return helper()

    line = helper.__code__.co_firstlineno + 1
    with pytest.raises(kind) as caught:
        trace_variant(mod)
    assert caught.value is thrown and thrown.args == ("as it was",)
    assert thrown.__notes__ == [
        f"raised while tracing score_mod 'mod' ({__file__}:{line})"
    ]
    assert trace_variant(lambda s, b, h, q, k: s), "the next call works"


@pytest.mark.parametrize("name", ["add_note", "__setattr__"])
def test_exceptions_that_take_no_note_pass_unchanged(name):
    def refuse(self, *args):
        raise RuntimeError("not here")

    thrown = type("Stiff", (Exception,), {name: refuse})("own")

    def raising(s, b, h, q, k):
        raise thrown

    with pytest.raises(type(thrown)) as caught:
        trace_variant(raising)
    assert caught.value is thrown


def test_names_and_attributes_that_are_missing():
    def missing(s, b, h, q, k):
        return s + undefined_name[h]  # noqa: F821

    error, _ = failing(missing)
    assert isinstance(error, NameError) and "score_mod 'missing'" in error.__notes__[0]
    empty = types.SimpleNamespace()
    error, _ = failing(lambda s, b, h, q, k: empty.x)
    assert isinstance(error, AttributeError) and not isinstance(error, TraceError)
    unbound = lambda s, b, h, q, k: s + later
    error, _ = failing(unbound)
    assert isinstance(error, NameError)
    later = 1
    assert trace_variant(unbound)


def test_infinite_recursion():
    def mod(s, b, h, q, k):
        return mod(s + 1, b, h, q, k)

    error, _ = failing(mod)
    assert isinstance(error, RecursionError)
    assert trace_variant(lambda s, b, h, q, k: s)


def test_values_die_with_their_call():
    kept, arrays = [], []

    def mod(s, b, h, q, k):
        kept.append(s)
        arrays.append(slope)
        kept.append(number)
        return s

    trace_variant(mod)
    uses = [
        lambda x: x + 1, lambda x: 1 - x, lambda x: -x, lambda x: bool(x),
        lambda x: ops.exp(x), lambda x: np.exp(x), lambda x: x < 3, lambda x: float(x),
        lambda x: hash(x), lambda x: np.where(x > 1, 1, 0), lambda x: slope[x],
    ]  # fmt: skip
    for use, value in itertools.product(uses, kept):
        with pytest.raises(TypeError, match="after its call"):
            use(value)
    with pytest.raises(TypeError, match="after its call"):
        arrays[0][0]
    assert isinstance(repr(kept[0]), str)


def test_values_of_one_mod_in_another():
    kept = []

    def score(s, b, h, q, k):
        kept.append(q)
        return s

    error, text = None, ""
    with pytest.raises(TypeError) as caught:
        trace_variant(score, lambda b, h, q, k: q > kept[0])
    text = str(caught.value)
    assert "after its call" in text
    clear_memo()
    assert error is None and trace_variant(lambda s, b, h, q, k: s)


# -- combining -------------------------------------------------------------------------


@pytest.mark.parametrize("combine", [and_masks, or_masks])
def test_combined_masks(combine):
    causal = lambda b, h, q, k: q >= k
    name = combine.__name__
    with pytest.raises(
        TypeError, match=f"{name}: argument 1: must be a function, got int"
    ):
        combine(causal, 3)
    with pytest.raises(TypeError, match=f"{name}: argument 0: .* must be a mask_mod"):
        combine(lambda s, b, h, q, k: s)
    with pytest.raises(TypeError, match=f"{name}: argument 0: got a BlockMask"):
        combine(types.SimpleNamespace(kv_num_blocks=1, mask_mod=abs))
    with pytest.raises(TypeError, match=f"{name}: argument 0: must be a function"):
        combine([causal])
    _, text = failing(combine(causal, lambda b, h, q, k: q - k), "mask")
    assert "must give a bool, got the number" in text
    assert combine(causal, causal)(0, 0, 2, 1) is True
    assert combine()(0, 0, 2, 1) is (combine is and_masks)
