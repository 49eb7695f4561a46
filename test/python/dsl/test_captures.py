"""Arrays are live, everything else is constant; nothing of the user's changes."""

import enum
import functools
import gc
import inspect
import itertools
import math
import threading
import time
import types
import weakref

import numpy as np
import pytest
from model import Model

from fovea import TraceError, ops
from fovea.dsl import and_masks, mod_kind, or_masks, trace_variant

module_array = np.arange(8.0)
module_window = 3


def score_region(variant):
    return variant.program["score"]["nodes"]


class Tensor:
    """Recognised by __dlpack__ alone, as torch's tensors are."""

    def __init__(self, array, dtype=None):
        self.array = array
        self.dtype = f"torch.{array.dtype}" if dtype is None else dtype
        self.ndim = array.ndim
        self.shape = array.shape

    def __dlpack__(self, **kwargs):
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __getitem__(self, index):
        raise AssertionError("the original was indexed")


class SizedTensor(Tensor):
    """Whose size is a method."""

    def size(self, dim=None):
        return self.shape if dim is None else self.shape[dim]


def test_size_of_a_torch_tensor_is_a_method():
    table = SizedTensor(np.ones((2, 3), np.float32))
    by_method = trace_variant(
        lambda s, b, h, q, k: s * table[h, q] * table.size(0) + table.size()[-1]
    )
    by_shape = trace_variant(
        lambda s, b, h, q, k: s * table[h, q] * table.shape[0] + table.shape[-1]
    )
    assert score_region(by_method) == score_region(by_shape)
    for dim in (2, -3, "0"):
        with pytest.raises(TraceError) as caught:
            trace_variant(lambda s, b, h, q, k, dim=dim: s * table.size(dim))
        assert f"captured array 'table': size({dim!r}) is not available" in str(
            caught.value
        )
        assert "table.size(0), a constant below its rank" in str(caught.value)


def test_arrays_are_found_in_program_order():
    first, second = np.ones(3, np.float32), np.ones((2, 3), np.int8)

    def score(s, b, h, q, k, *, third=None):
        return s + second[h, q] * first[h] + third[b, h, q]

    def mask(b, h, q, k):
        return first[q] > 0

    third = np.ones((1, 2, 3), bool)
    variant = trace_variant(score, mask, captures={"third": third})
    assert variant.names == ("second", "first", "third")
    assert [a is x for a, x in zip(variant.arrays, (second, first, third), strict=True)]
    assert variant.program["captures"] == [
        {"name": "second", "dtype": "i8", "rank": 2},
        {"name": "first", "dtype": "f32", "rank": 1},
        {"name": "third", "dtype": "i1", "rank": 3},
    ]


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        ("bool", "i1"), ("int8", "i8"), ("uint8", "ui8"), ("int16", "i16"),
        ("uint16", "ui16"), ("int32", "i32"), ("uint32", "ui32"), ("int64", "i64"),
        ("float16", "f16"), ("float32", "f32"), ("float64", "f64"),
    ],
)  # fmt: skip
def test_dtypes(dtype, name):
    array = np.ones(4, dtype)
    variant = trace_variant(lambda s, b, h, q, k: s + array[q] * 1)
    assert variant.program["captures"][0]["dtype"] == name
    tensor = Tensor(array)
    variant = trace_variant(lambda s, b, h, q, k: s + tensor[q] * 1)
    assert variant.program["captures"][0]["dtype"] == name
    assert variant.arrays[0] is tensor


def test_bfloat16():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.ones(4, ml_dtypes.bfloat16)
    half = ml_dtypes.bfloat16(0.5)
    variant = trace_variant(lambda s, b, h, q, k: s * half + array[q])
    assert variant.program["captures"][0]["dtype"] == "bf16"
    assert ["const", "f", (0.5).hex()] in score_region(variant)


def test_dlpack_without_dtype():
    class Bare:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **kwargs):
            return self.array.__dlpack__(**kwargs)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    bare = Bare(np.ones((2, 2), np.float32))

    def mod(s, b, h, q, k):
        return s + bare[h, q]

    variant = trace_variant(mod)
    assert variant.program["captures"] == [{"name": "bare", "dtype": "f32", "rank": 2}]
    bare = Bare(np.ones((2, 2), np.float64))
    assert trace_variant(mod).program["captures"][0]["dtype"] == "f64"


def test_labels_say_how_the_user_reaches_them():
    model, cfg = Model(), types.SimpleNamespace(table=np.ones(3))
    variant = trace_variant(
        model.score, lambda b, h, q, k: (cfg.table[q] > 0) & (module_array[k] > 0)
    )
    assert variant.labels == (
        "self.bias", "self.parts[0]", "self.parts[1]['x'][0]", "cfg.table",
        "module_array",
    )  # fmt: skip
    assert variant.names == (
        "bias",
        "parts_0",
        "parts_1_x_0",
        "cfg_table",
        "module_array",
    )
    assert all(name.isidentifier() for name in variant.names)


def test_equal_names_are_told_apart():
    def make(x):
        return lambda b, h, q, k: x[q] > 0

    variant = trace_variant(None, and_masks(make(np.ones(3)), make(np.ones(4))))
    assert variant.names == ("x", "x_1")
    assert [len(a) for a in variant.arrays] == [3, 4]


def test_names_are_never_those_of_indices_or_keywords():
    space = {
        "t": np.ones(3),
        "exp": np.ones(3),
        "λ": np.ones(3),
        "d": {"lambda": np.ones(3)},
    }
    exec("f = lambda s, b, h, q, k: s + t[q] + exp[q] + λ[q] + d['lambda'][q]", space)
    assert trace_variant(space["f"]).names == ("t_", "exp_", "capture", "d_lambda")


def test_one_variable_of_two_mods_is_one_capture():
    doc = np.ones(3)

    def score(s, b, h, q, k):
        return s + doc[q]

    def mask(b, h, q, k):
        return (doc[q] == doc[k]) & (module_array[q] > 0)

    variant = trace_variant(score, mask)
    assert variant.names == ("doc", "module_array")


# -- live and constant --------------------------------------------------------------


def same(mod, *, changed=None, **kwargs):
    """Whether `changed()` leaves the variant of mod what it was."""
    before = trace_variant(mod, **kwargs)
    if changed is not None:
        changed()
    return trace_variant(mod, **kwargs).core is before.core


def test_values_pointers_shapes_and_strides_are_live():
    holder = types.SimpleNamespace(a=np.ones((3, 4)))

    def mod(s, b, h, q, k):
        return s + holder.a[h, q]

    for new in (
        np.zeros((3, 4)),
        np.ones((70, 2)),
        np.ones((8, 8)).T[::-2],
        np.ones((0, 0)),
    ):
        assert same(mod, changed=lambda new=new: setattr(holder, "a", new))
        assert trace_variant(mod).arrays[0] is new


def test_dtype_and_rank_make_variants():
    holder = types.SimpleNamespace(a=np.ones(3))

    def mod(s, b, h, q, k):
        return s + holder.a[h]

    assert not same(mod, changed=lambda: setattr(holder, "a", np.ones(3, np.float32)))
    assert not same(mod, changed=lambda: setattr(holder, "a", np.ones(3, np.int64)))
    with pytest.raises(TypeError, match="1 of 2 indices given"):
        same(mod, changed=lambda: setattr(holder, "a", np.ones((3, 3))))


def test_rebound_closures_and_globals_are_read_again():
    local, scale = np.ones(3), 2.0

    def mod(s, b, h, q, k):
        return s * scale + local[h] + module_array[q] * module_window

    before = trace_variant(mod)
    local = np.zeros(5)
    after = trace_variant(mod)
    assert after.core is before.core and after.arrays[0] is local
    scale = 3.0
    assert trace_variant(mod).core is not before.core
    scale = 2.0
    assert trace_variant(mod).core is before.core
    globals()["module_window"] = 4
    try:
        assert trace_variant(mod).core is not before.core
    finally:
        globals()["module_window"] = 3
    assert trace_variant(mod).core is before.core


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0), (1, True), (True, 1.0), (0.0, -0.0), (1, 2), (0.5, 0.25),
        (np.float32(1), 1.0), (np.float32(1), np.float64(1)), (np.int8(1), 1),
        (np.float64(0.0), np.float64(-0.0)), (math.nan, 1.0), (math.inf, -math.inf),
    ],
)  # fmt: skip
def test_constants_that_differ(one, other):
    cell = one

    def mod(s, b, h, q, k):
        return s * cell

    before = trace_variant(mod)
    cell = other
    assert trace_variant(mod).core is not before.core
    cell = one
    assert trace_variant(mod).core is before.core


@pytest.mark.parametrize("value", [math.nan, -0.0, None, "text", 2**70, 1j, b"x", ...])
def test_equal_constants_are_the_same(value):
    cell = value

    def mod(s, b, h, q, k):
        return s if cell is not s else q

    before = trace_variant(mod)
    if isinstance(value, float):
        cell = float(repr(value))
    assert trace_variant(mod).core is before.core


def test_constants_choose_the_code():
    mode = "soft"
    table = None

    def mod(s, b, h, q, k):
        if table is not None:
            s = s + table[h]
        return ops.tanh(s) if mode == "soft" else s

    soft = trace_variant(mod)
    mode = "hard"
    hard = trace_variant(mod)
    assert len(score_region(soft)) == 2 and len(score_region(hard)) == 1
    table = np.ones(3)
    assert trace_variant(mod).names == ("table",)
    table = None
    assert trace_variant(mod).core is hard.core


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.items.append(1),
        lambda c: c.items.__setitem__(0, 5),
        lambda c: c.items.__setitem__(0, True),
        lambda c: c.table.update(x=3),
        lambda c: c.table.pop("y"),
        lambda c: c.nested[1].append(4),
        lambda c: c.kinds.add(9),
        lambda c: setattr(c, "pair", (1, 2.0)),
        lambda c: setattr(c, "mode", Mode.B),
        lambda c: setattr(c, "arrays", [np.ones(2)]),
        lambda c: c.arrays.append(np.ones(2)),
        lambda c: setattr(c, "sub", types.SimpleNamespace(x=2)),
        lambda c: setattr(c, "sub", Mode.A),
        lambda c: setattr(c, "added", 1),
        lambda c: delattr(c, "mode"),
    ],
)
def test_changes_of_containers_and_attributes_are_seen(change):
    c = types.SimpleNamespace(
        items=[1, 2], table={"x": 1, "y": 2}, nested=(1, [2, 3]), kinds={1, 2},
        pair=(1, 2), mode=Mode.A, arrays=[np.ones(2), 7.0, np.ones(3)],
        sub=types.SimpleNamespace(x=1),
    )  # fmt: skip

    def mod(s, b, h, q, k):
        s = s * sum(c.items) + c.table["x"] + len(c.table) + sum(c.nested[1])
        s = s + len(c.kinds) + c.pair[1] + (getattr(c, "mode", None) is Mode.A)
        s = s + c.arrays[0][h] + len(c.arrays) + getattr(c.sub, "x", 0)
        return s + getattr(c, "added", 0)

    assert same(mod)
    before = trace_variant(mod)
    change(c)
    assert trace_variant(mod).core is not before.core


class Mode(enum.Enum):
    A = 1
    B = 2


def test_a_builtin_that_gets_shadowed_is_seen():
    space = {"ops": ops}
    exec("def mod(s, b, h, q, k):\n    return s + abs(q - k)", space)
    before = trace_variant(space["mod"])
    space["abs"] = lambda x: x
    after = trace_variant(space["mod"])
    assert len(score_region(after)) == len(score_region(before)) - 1


def test_replaced_helpers_and_methods_are_seen():
    box = types.SimpleNamespace(f=lambda x: x + 1)

    def mod(s, b, h, q, k):
        return box.f(s)

    assert same(mod)
    assert not same(mod, changed=lambda: setattr(box, "f", lambda x: x - 1))

    class Local:
        def part(self, s):
            return s * 2

        def __call__(self, s, b, h, q, k):
            return self.part(s)

    local = Local()
    assert same(local)
    assert not same(local, changed=lambda: setattr(Local, "part", lambda self, s: s))
    assert not same(local, changed=lambda: setattr(local, "part", lambda s: s - 1))


def test_changed_defaults_are_seen():
    def mod(s, b, h, q, k, shift=1, *, gain=2.0):
        return s * gain + shift

    assert same(mod)
    assert not same(mod, changed=lambda: setattr(mod, "__defaults__", (2,)))
    assert not same(mod, changed=lambda: mod.__kwdefaults__.update(gain=3.0))


def test_fresh_functions_of_one_source_share_a_variant():
    def make(window, table):
        return lambda s, b, h, q, k: ops.where(q - k < window, s + table[h], -1.0)

    before = trace_variant(make(4, np.ones(3)))
    table = np.zeros(9)
    after = trace_variant(make(4, table))
    assert (after.core is before.core and after.arrays == [table]) or after.arrays[
        0
    ] is table
    other = trace_variant(make(5, table))
    assert other.core is not before.core and other.key != before.key
    assert trace_variant(make(4, table)).core is before.core


def test_equal_code_is_not_enough():
    def make(f):
        return lambda s, b, h, q, k: f(s)

    one = trace_variant(make(lambda x: x + 1))
    two = trace_variant(make(lambda x: x + 2))
    assert one.key != two.key


def test_equal_programs_have_equal_keys():
    one = trace_variant(lambda s, b, h, q, k: s + module_array[q])
    two = trace_variant(lambda x, i, j, m, n: x + module_array[m])
    assert one.key == two.key and one.core is not two.core
    assert one.program_json(D=64) == two.program_json(D=64)
    assert one.program_json(D=64, E=32, dtype="bf16") != one.program_json(D=64)


def test_two_variables_of_one_array_stay_two():
    """Which arrays are the same object is no part of a variant."""
    one = other = np.ones(3)

    def mod(s, b, h, q, k):
        return s + one[q] + other[k]

    before = trace_variant(mod)
    assert before.names == ("one", "other")
    other = np.zeros(3)
    after = trace_variant(mod)
    assert after.core is before.core
    assert after.arrays[0] is one and after.arrays[1] is other


def test_objects_that_stop_being_one_are_told_apart():
    a = b_ = types.SimpleNamespace(t=np.ones(3))

    def mod(s, b, h, q, k):
        return s + a.t[q] + b_.t[q]

    before = trace_variant(mod)
    assert len(before.arrays) == 1
    b_ = types.SimpleNamespace(t=np.zeros(3))
    after = trace_variant(mod)
    assert [x is y for x, y in zip(after.arrays, (a.t, b_.t), strict=True)] == [
        True,
        True,
    ]


def test_traces_keep_no_arrays_or_objects_alive():
    class Box:
        pass

    def use():
        box = Box()
        box.a = np.ones(1000)
        array = np.ones(1000)

        def mod(s, b, h, q, k):
            return s + box.a[h] + array[h]

        trace_variant(mod)
        return weakref.ref(box), weakref.ref(array), weakref.ref(box.a)

    watched = use()
    gc.collect()
    assert [w() for w in watched] == [None, None, None]


def test_a_second_look_is_fast():
    slope, doc, bias = np.ones(8), np.ones(64, int), np.ones((8, 64))
    window = 7

    def score(s, b, h, q, k):
        return s + slope[h] * (k - q) + bias[h, q]

    def mask(b, h, q, k):
        return (doc[q] == doc[k]) & (q - k < window)

    trace_variant(score, mask)
    best = math.inf
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(1000):
            trace_variant(score, mask)
        best = min(best, (time.perf_counter() - start) * 1e3)
    assert best < 60, f"{best:.1f} microseconds a look"


def test_threads():
    arrays = [np.full(4, float(i)) for i in range(8)]
    faults = []

    def work(array, shift):
        def mod(s, b, h, q, k):
            return s + array[h] * shift

        for _ in range(200):
            variant = trace_variant(mod)
            if variant.arrays[0] is not array:
                faults.append(shift)

    threads = [
        threading.Thread(target=work, args=(a, i % 3)) for i, a in enumerate(arrays)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


def _limit(b, h, q, k, *, lim):
    return k < lim[h]


def _window(b, h, q, k, *, width=2, lim=None):
    near = abs(q - k) < width
    return near if lim is None else near & (k < lim[h])


@pytest.mark.parametrize("combine", [and_masks, or_masks])
def test_combined_masks_take_what_their_parts_take_by_name(combine):
    """further parameters are keyword-only and come from captures="""

    def causal(b, h, q, k):
        return q >= k

    lim = np.array([1, 2])
    mod = combine(_limit, causal)
    assert str(inspect.signature(mod)) == "(b, h, q_idx, kv_idx, *, lim)"
    assert mod_kind(mod) == "mask_mod"
    variant = trace_variant(None, mod, captures={"lim": lim})
    assert variant.names == ("lim",)
    assert variant.arrays[0] is lim and variant.uncompared == ""
    other = np.array([3, 4])
    again = trace_variant(None, combine(_limit, causal), captures={"lim": other})
    assert again.core is variant.core and again.arrays[0] is other
    for h, q, k in itertools.product(range(2), range(4), range(4)):
        both = _limit(0, h, q, k, lim=lim), q >= k
        want = all(both) if combine is and_masks else any(both)
        assert mod(0, h, q, k, lim=lim) == want
    with pytest.raises(TypeError, match="captures={'lim': array}"):
        trace_variant(None, mod)
    with pytest.raises(TypeError, match="no mod has a keyword-only parameter 'limit'"):
        trace_variant(None, mod, captures={"lim": lim, "limit": lim})
    with pytest.raises(TypeError, match=r"_mask\(\) got an unexpected keyword .* 'lm'"):
        mod(0, 0, 1, 1, lim=lim, lm=lim)
    with pytest.raises(TypeError, match="lim"):
        mod(0, 0, 1, 1)


def test_combined_masks_share_and_nest():
    """the same name is given to all that take it, defaults hold where it is not"""
    lim, width = np.array([1, 2]), np.array(3)
    mod = or_masks(and_masks(_window, _limit), functools.partial(_window, width=1))
    shown = inspect.signature(mod).parameters
    assert list(shown)[4:] == ["width", "lim"]
    assert shown["lim"].default is inspect.Parameter.empty
    assert shown["width"].default == 2
    variant = trace_variant(None, mod, captures={"lim": lim})
    assert variant.names == ("lim",)
    wide = trace_variant(None, mod, captures={"lim": lim, "width": width})
    assert set(wide.names) == {"lim", "width"}
    lone = trace_variant(None, and_masks(_window, _window))
    assert lone.names == ()
    _window.__kwdefaults__["width"] = 5
    try:
        changed = trace_variant(None, and_masks(_window, _window))
        assert changed.core is not lone.core
        changed = trace_variant(None, mod, captures={"lim": lim})
        assert changed.core is not variant.core
    finally:
        _window.__kwdefaults__["width"] = 2
