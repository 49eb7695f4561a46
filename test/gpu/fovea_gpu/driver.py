"""The few calls of the CUDA driver that launch a kernel, by ctypes."""

from __future__ import annotations

import ctypes as c
import math
from dataclasses import replace
from typing import Any

from .manifest import Kernel, LaunchTensor, LaunchValues, evaluate

__all__ = ["DriverError", "LoadedKernel", "Packed", "load_driver"]

_SHARED_SIZE_BYTES, _LOCAL_SIZE_BYTES, _NUM_REGS = 1, 3, 4
_MAX_DYNAMIC_SHARED = 8
_TENSOR_DTYPES = {"f16": 6, "f32": 7, "f64": 8, "bf16": 9}
_BYTES = {"f16": 2, "bf16": 2, "f32": 4, "f64": 8}
_SWIZZLES = {0: 0, 32: 1, 64: 2, 128: 3}
_PROMOTIONS = {0: 0, 64: 1, 128: 2, 256: 3}


_PROGRAMMATIC = 6  # the attribute of launches that begin beside the one ahead
_PROGRAMMATIC_VERSION = 12030  # which graphs can capture from here on
_REFUSALS = (1, 801)  # invalid value, not supported


class DriverError(RuntimeError):
    """A call of the driver that failed, by name."""


class _Value(c.Union):
    _fields_ = [("bytes", c.c_char * 64), ("number", c.c_int), ("align", c.c_void_p)]


class _Attribute(c.Structure):
    _fields_ = [("id", c.c_int), ("value", _Value)]


class _Config(c.Structure):
    _fields_ = [
        ("grid", c.c_uint * 3),
        ("block", c.c_uint * 3),
        ("shared", c.c_uint),
        ("stream", c.c_void_p),
        ("attributes", c.POINTER(_Attribute)),
        ("count", c.c_uint),
    ]


def load_driver(path: str = "libcuda.so.1") -> Any:
    """The driver's library; OSError where there is none."""
    return c.CDLL(path)


def _launches_programmatically(driver: Any) -> bool:
    """Whether a kernel may begin beside the one ahead."""
    version = c.c_int()
    status = driver.cuDriverGetVersion(c.byref(version))
    known = hasattr(driver, "cuLaunchKernelEx")
    return status == 0 and version.value >= _PROGRAMMATIC_VERSION and known


def _check(driver: Any, status: int, what: str) -> None:
    if status == 0:
        return
    text = c.c_char_p()
    driver.cuGetErrorName(status, c.byref(text))
    name = text.value.decode() if text.value else "unknown error"
    raise DriverError(f"{what}: {name} ({status})")


class Packed:
    """The arguments of one launch; holds the memory that they point to."""

    def __init__(self) -> None:
        self.keep: list[Any] = []
        self.pointers: list[int] = []
        self.grid = 0
        self.workspace: Any = None
        #: Function, grid, threads and arguments of what runs before.
        self.before: list[tuple[Any, int, int, Packed]] = []

    def add(self, value: Any) -> None:
        self.keep.append(value)
        self.pointers.append(c.addressof(value))

    def array(self) -> Any:
        return (c.c_void_p * max(1, len(self.pointers)))(*self.pointers)


class _Launch:
    """What the driver takes for one kernel: plainly, and with the attribute."""

    def __init__(
        self,
        function: Any,
        grid: int,
        threads: int,
        arguments: Packed,
        shared: int,
        stream: int,
    ):
        array = arguments.array()
        sizes = [c.c_uint(n) for n in (grid, 1, 1, threads, 1, 1, shared)]
        self.plain = (function, *sizes, c.c_void_p(stream), array, None)
        self.attributes = (_Attribute * 1)(_Attribute(_PROGRAMMATIC))
        self.attributes[0].value.number = 1
        self.config = _Config(
            (c.c_uint * 3)(grid, 1, 1),
            (c.c_uint * 3)(threads, 1, 1),
            shared,
            stream,
            self.attributes,
            1,
        )
        self.programmatic = (c.byref(self.config), function, array, None)


class LoadedKernel:
    """A cubin on the device, checked as it was loaded."""

    def __init__(self, driver: Any, kernel: Kernel):
        self.driver, self.kernel = driver, kernel
        self.manifest = kernel.manifest
        self.module = c.c_void_p()
        image = kernel.cubin.read_bytes()
        self._call("cuModuleLoadData", c.byref(self.module), image)
        self.function = self._function(self.manifest["symbol"])
        self.before = [self._function(k["symbol"]) for k in self._prologue()]
        local, registers = self._get(_LOCAL_SIZE_BYTES), self._get(_NUM_REGS)
        if local:
            raise DriverError(f"{kernel.id}: uses {local} bytes of local memory")
        expected = self.manifest.get("registers")
        if expected and registers != expected:
            raise DriverError(
                f"{kernel.id}: {registers} registers, the manifest says {expected}"
            )
        self.registers = registers
        #: None: not asked yet.
        self.programmatic: bool | None = None
        if not self.manifest.get("programmatic_launch"):
            self.programmatic = False
        self._call(
            "cuFuncSetAttribute",
            self.function,
            _MAX_DYNAMIC_SHARED,
            c.c_int(self.manifest["shared_memory"]),
        )

    def _prologue(self) -> list[dict[str, Any]]:
        return list(self.manifest.get("before", ()))

    def _function(self, symbol: str) -> Any:
        function = c.c_void_p()
        name = symbol.encode()
        self._call("cuModuleGetFunction", c.byref(function), self.module, name)
        return function

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self.driver, name)(*arguments)
        _check(self.driver, status, f"{self.kernel.id}: {name}")

    def _get(self, attribute: int) -> int:
        value = c.c_int()
        self._call("cuFuncGetAttribute", c.byref(value), attribute, self.function)
        return value.value

    def _map(self, argument: dict[str, Any], values: LaunchValues) -> Any:
        """An encoded tensor map, 128 bytes at a multiple of 64."""
        name = argument["tensor_map"]
        tensor: LaunchTensor = values.tensors[name]
        own = name in ("q", "signed_q", "k", "v", "out")
        dtype = self.kernel.dtype if own else "f32"
        sizes = [evaluate(e, values) for e in argument["sizes"]]
        strides = [evaluate(e, values) * _BYTES[dtype] for e in argument["strides"]]
        rank = len(sizes)
        raw = c.create_string_buffer(128 + 64)
        start = -c.addressof(raw) % 64
        self._call(
            "cuTensorMapEncodeTiled",
            c.c_void_p(c.addressof(raw) + start),
            c.c_int(_TENSOR_DTYPES[dtype]),
            c.c_uint32(rank),
            c.c_void_p(tensor.address),
            (c.c_uint64 * rank)(*sizes),
            (c.c_uint64 * max(1, rank - 1))(*strides),
            (c.c_uint32 * rank)(*argument["box"]),
            (c.c_uint32 * rank)(*[1] * rank),
            c.c_int(0),
            c.c_int(_SWIZZLES[argument.get("swizzle", 128)]),
            c.c_int(_PROMOTIONS[argument.get("promotion", 256)]),
            c.c_int(0),
        )
        return (c.c_char * 128).from_buffer(raw, start)

    def workspace_bytes(self, values: LaunchValues) -> int:
        return evaluate(self.manifest.get("workspace", 0), values)

    def scratch_bytes(self, values: LaunchValues) -> int:
        return evaluate(self.manifest.get("scratch", 0), values)

    def pack(self, values: LaunchValues, workspace: int, scratch: int = 0) -> Packed:
        """The arguments of a launch, once for any number of launches."""
        sentence = self.kernel.failed_condition(values)
        if sentence:
            raise ValueError(sentence)
        memory = (workspace, scratch)
        values = self._with_sign(values, scratch)
        packed = self._pack(self.manifest, values, memory)
        for function, kernel in zip(self.before, self._prologue(), strict=True):
            first = self._pack(kernel, values, memory)
            packed.before.append((function, first.grid, kernel["threads"], first))
        return packed

    def _with_sign(self, values: LaunchValues, scratch: int) -> LaunchValues:
        """With q as kernels find it that take the sign of the scale from it."""
        q = values.tensors["q"]
        if values.sizes["SIGN"] < 1:
            steps = tuple(math.prod(q.sizes[i + 1 :]) for i in range(len(q.sizes)))
            q = LaunchTensor(scratch, q.sizes, steps)
        tensors = values.tensors | {"signed_q": q}
        return replace(values, tensors=tensors)

    def _pack(
        self, kernel: dict[str, Any], values: LaunchValues, memory: tuple[int, int]
    ) -> Packed:
        packed = Packed()
        for argument in kernel["arguments"]:
            packed.add(self._argument(argument, values, memory))
        packed.grid = evaluate(kernel["grid"], values)
        return packed

    def _argument(
        self, argument: dict[str, Any], values: LaunchValues, memory: tuple[int, int]
    ) -> Any:
        if "tensor_map" in argument:
            return self._map(argument, values)
        if "pointer" in argument:
            tensor = values.tensors.get(argument["pointer"])
            return c.c_uint64(tensor.address if tensor else 0)
        for kind, address in zip(("workspace", "scratch"), memory, strict=True):
            if kind in argument:
                return c.c_uint64(address + evaluate(argument[kind], values))
        if "i32" in argument:
            return c.c_int32(evaluate(argument["i32"], values))
        if "i64" in argument:
            return c.c_int64(evaluate(argument["i64"], values))
        if "scale" in argument:
            return c.c_float(values.scales[argument["scale"]])
        if "scale_size" in argument:
            return c.c_float(abs(values.scales[argument["scale_size"]]) or 1.0)
        if "per_batch" in argument:
            room = argument["per_batch"]
            lists = (*values.batches, values.batch_order())
            arrays = [(*list, *[0] * (room - len(list))) for list in lists]
            return (c.c_int32 * (5 * room))(*(x for array in arrays for x in array))
        raise ValueError(f"unknown argument {argument}")

    def _launches(self, packed: Packed, stream: int) -> list[_Launch]:
        if packed.grid <= 0:
            return []
        shared = self.manifest["shared_memory"]
        kernels = [(*kernel, 0) for kernel in packed.before if kernel[1] > 0]
        threads = self.manifest["threads"]
        kernels.append((self.function, packed.grid, threads, packed, shared))
        return [_Launch(*kernel, stream) for kernel in kernels]

    def _run(self, launches: list[_Launch]) -> None:
        """Each beside the one ahead, if that is of this launch, where they wait for
        it themselves and the driver knows of that, as the library does."""
        if self.programmatic is None:
            self.programmatic = _launches_programmatically(self.driver)
        for number, launch in enumerate(launches):
            beside = self.programmatic and number > 0
            if beside:
                status = self.driver.cuLaunchKernelEx(*launch.programmatic)
                beside = self.programmatic = status not in _REFUSALS
            if not beside:
                status = self.driver.cuLaunchKernel(*launch.plain)
            _check(self.driver, status, f"{self.kernel.id}: launch")

    def launch(self, packed: Packed, stream: int) -> None:
        """Launch on a stream; does not wait."""
        self._run(self._launches(packed, stream))

    def launcher(self, packed: Packed, stream: int, part: slice = slice(None)) -> Any:
        """A function without arguments that launches, for timing; `part`: which of
        its kernels, the one that attends last."""
        launches = self._launches(packed, stream)[part]

        def launch(packed: Packed = packed) -> None:
            self._run(launches)

        return launch
