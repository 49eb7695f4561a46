"""Captured arrays: what they are, and what stands for them in a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from .._tensors import is_masked
from ..errors import TraceError
from .diagnose import frame_error
from .graph import Capture, Region
from .values import ArrayLike, Traced, TracedAttributeError, lift

if TYPE_CHECKING:
    from .environment import Environment

__all__ = ["CaptureArray", "CaptureScalar", "array_dtype", "array_rank", "is_array"]

#: Program's names of the element types a capture may have.
DTYPES = {
    "bool": "i1",
    "int8": "i8",
    "uint8": "ui8",
    "int16": "i16",
    "uint16": "ui16",
    "int32": "i32",
    "uint32": "ui32",
    "int64": "i64",
    "float16": "f16",
    "bfloat16": "bf16",
    "float32": "f32",
    "float64": "f64",
}


def is_array(value: Any) -> bool:
    """Whether `value` counts as an array: NumPy's, or with ``__dlpack__``."""
    # Asked of the class: an object may answer any name with something.
    kind = type(value)
    return issubclass(kind, np.ndarray) or (
        hasattr(kind, "__dlpack__") and not issubclass(kind, (type, np.generic))
    )


_OTHER_LIBRARIES = frozenset(("dask", "h5py", "pandas", "polars", "xarray", "zarr"))


def is_other_array(value: Any) -> bool:
    """Whether `value` is a table or array of a kind that no kernel can read."""
    kind = type(value)
    if isinstance(value, (type, np.generic)):
        return False
    library = kind.__module__.partition(".")[0]
    is_table = hasattr(kind, "__array__") and library in _OTHER_LIBRARIES
    return is_table or hasattr(kind, "tocsr")


def array_rank(value: Any) -> int:
    """The number of dimensions of an array."""
    rank = getattr(value, "ndim", None)
    if rank is not None:
        return int(rank)
    shape = getattr(value, "shape", None)
    return np.from_dlpack(value).ndim if shape is None else len(shape)


def array_dtype(value: Any) -> str:
    """Program's name of an array's element type.

    Raises
    ------
    TypeError
        For a kind of array or element that Fovea does not read; the text
        continues a sentence that begins with the array's name.
    """
    if is_masked(value):
        raise TypeError("is a masked array; pass the data and the mask as two arrays")
    kind = type(value)
    if hasattr(kind, "tocsr"):
        raise TypeError("is sparse; use a dense array")
    if not is_array(value):
        raise TypeError(
            f"is a {kind.__name__}, which has no __dlpack__; use np.asarray(…)"
        )
    if isinstance(value, np.matrix):
        raise TypeError("is a numpy.matrix; use np.asarray(…)")
    dtype = getattr(value, "dtype", None)
    if isinstance(dtype, np.dtype):
        if dtype.names is not None or dtype.subdtype is not None:
            raise TypeError(f"has the structured dtype {dtype}; capture its fields")
        name = DTYPES.get(dtype.name)
        if name is None:
            raise TypeError(f"has dtype {dtype}, which Fovea does not read; {_READS}")
        if not dtype.isnative:
            raise TypeError(
                f"has dtype {dtype.str}, in foreign byte order; use "
                "array.astype(array.dtype.newbyteorder('='))"
            )
        return name
    if getattr(value, "is_sparse", False) or "sparse" in str(
        getattr(value, "layout", "")
    ):
        raise TypeError("is sparse; use a dense tensor")
    if getattr(value, "is_meta", False):
        raise TypeError("is a meta tensor and holds no values")
    if dtype is None:
        try:
            dtype = np.from_dlpack(value).dtype
        except Exception as error:
            raise TypeError(
                f"cannot be read through __dlpack__ ({type(error).__name__}: {error})"
            ) from None
    text = str(dtype).rsplit(".", 1)[-1]
    name = DTYPES.get(text)
    if name is None:
        raise TypeError(f"has dtype {dtype}, which Fovea does not read; {_READS}")
    return name


_READS = (
    "bool, int8 to int64, uint8 to uint32, float16, bfloat16, float32 and float64 "
    "are read"
)


class CaptureArray(ArrayLike):
    """A captured array of rank 1 or more, with the indices given so far."""

    __slots__ = ("_capture", "_env", "_index")

    def __init__(self, env: Environment, capture: Capture, index: tuple[int, ...] = ()):
        self._env = env
        self._capture = capture
        self._index = index

    # -- reading ---------------------------------------------------------------

    def __getitem__(self, index: Any) -> Any:
        region = self._env.current_region(self._capture.label)
        given = self._index
        rank = self._capture.rank
        for item in index if isinstance(index, tuple) else (index,):
            if len(given) == rank:
                raise self.refuse(f"more indices than its {rank} dimension(s)")
            given += (self._position(region, item, len(given)),)
        if len(given) < rank:
            return CaptureArray(self._env, self._capture, given)
        return Traced(region, region.read(self._capture, given))

    def _position(self, region: Region, item: Any, dim: int) -> int:
        if isinstance(item, (bool, np.bool_)):
            raise self.refuse("a bool index", "an int: fovea.ops.to_int(x) or x * 1")
        number = lift(region, item) if not isinstance(item, ArrayLike) else None
        if number is None or region.types[number] != "i64":
            raise self.refuse(*_index_fault(region, item, number))
        value = region.constant(number)
        if value is not None and value < 0:
            return region.emit("i64", "iadd", region.extent(self._capture, dim), number)
        return number

    # -- what is known of an array ---------------------------------------------

    @property
    def shape(self) -> tuple[Traced, ...]:
        region = self._env.current_region(self._capture.label)
        return tuple(
            Traced(region, region.extent(self._capture, dim))
            for dim in range(len(self._index), self._capture.rank)
        )

    @property
    def size(self) -> Any:
        if callable(getattr(self._env.objects[self._capture.slot], "size", None)):
            return self._size_of  # PyTorch's is a method
        product: Any = 1
        for extent in self.shape:
            product = product * extent
        return product

    def _size_of(self, dim: int | None = None) -> Any:
        if dim is None:
            return self.shape
        if isinstance(dim, int) and -self.ndim <= dim < self.ndim:
            return self.shape[dim]
        raise self.refuse(
            f"size({dim!r})",
            f"{self._capture.label}.size(0), a constant below its rank",
        )

    @property
    def ndim(self) -> int:
        return self._capture.rank - len(self._index)

    @property
    def dtype(self) -> Any:
        return self._env.objects[self._capture.slot].dtype

    @property
    def __class__(self) -> type:
        objects = self._env.objects
        return type(objects[self._capture.slot]) if objects else type(self)

    def __repr__(self) -> str:
        return f"<captured array {self._capture.label}, rank {self.ndim}>"

    # -- what is not available ---------------------------------------------------

    def refuse(self, what: str, hint: str = "") -> TraceError:
        """The error about doing `what` with this array."""
        label = self._capture.label
        done = f" ({len(self._index)} of {self._capture.rank} indices given)"
        return frame_error(
            self._env.where,
            f"captured array {label!r}{done if self._index else ''}: {what} is not "
            "available in a mod",
            hint or f"an element, {label}[{', '.join('ijklmn'[: self._capture.rank])}]",
        )

    def _whole(self, *args: Any) -> NoReturn:
        raise self.refuse("whole-array arithmetic")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _whole
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = _whole
    __mod__ = __rmod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _whole
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = _whole
    __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = _whole
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _whole
    __iadd__ = __isub__ = __imul__ = __itruediv__ = __ifloordiv__ = _whole
    __neg__ = __pos__ = __abs__ = __invert__ = _whole

    def __hash__(self) -> int:
        raise self.refuse("hashing")

    def __bool__(self) -> NoReturn:
        raise self.refuse("a truth value of the whole array")

    def __int__(self) -> NoReturn:
        raise self.refuse("conversion to a number")

    __index__ = __float__ = __complex__ = __int__

    def __len__(self) -> NoReturn:
        raise self.refuse("len()", f"{self._capture.label}.shape[0]")

    def __iter__(self) -> NoReturn:
        raise self.refuse("iteration")

    def __contains__(self, item: Any) -> NoReturn:
        raise self.refuse("`in`")

    def __copy__(self) -> CaptureArray:
        return self

    def __deepcopy__(self, memo: dict) -> CaptureArray:
        return self

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise self.refuse("assignment", "a new value; captures are read only")

    def __delitem__(self, index: Any) -> NoReturn:
        raise self.refuse("assignment", "a new value; captures are read only")

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("__", "_repr_")):
            raise AttributeError(name)
        error = self.refuse(f"the attribute .{name}")
        raise TracedAttributeError(*error.args)

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise self.refuse("a NumPy function of the whole array")

    def __array_ufunc__(
        self, ufunc, method: str, *inputs: Any, **kwargs: Any
    ) -> NoReturn:
        raise self.refuse(f"whole-array arithmetic (np.{ufunc.__name__})")

    def __array_function__(self, func, types, args: tuple, kwargs: dict) -> NoReturn:
        name = getattr(func, "__name__", str(func))
        raise self.refuse(f"a NumPy function of the whole array (np.{name})")


def _index_fault(region: Region, item: Any, number: int | None) -> tuple[str, str]:
    if number is not None and region.types[number] == "f":
        return f"a float index ({item!r})", "fovea.ops.to_int(x)"
    if number is not None:
        return f"a bool index ({item!r})", "an int: fovea.ops.to_int(x) or x * 1"
    if isinstance(item, slice) or item is Ellipsis:
        return "a slice", "one int a dimension"
    if item is None:
        return "a new axis", "one int a dimension"
    return f"an index of type {type(item).__name__}", "an int expression"


class CaptureScalar(Traced):
    """A captured 0-d array: a number that is read at the call."""

    __slots__ = ("_capture", "_env")

    def __repr__(self) -> str:
        return self._capture.label

    __str__ = __repr__

    def __init__(self, env: Environment, capture: Capture) -> None:
        self._env = env
        self._capture = capture

    @property
    def _region(self) -> Region:  # type: ignore[override]
        return self._env.current_region(self._capture.label)

    @property
    def _id(self) -> int:  # type: ignore[override]
        return self._region.read(self._capture, ())

    @property
    def shape(self) -> tuple[()]:
        return ()

    @property
    def ndim(self) -> int:
        return 0

    @property
    def dtype(self) -> Any:
        return self._env.objects[self._capture.slot].dtype

    def item(self) -> Traced:
        return Traced(self._region, self._id)

    def __getitem__(self, index: Any) -> Traced:
        if index is Ellipsis or (isinstance(index, tuple) and not index):
            return self.item()
        raise frame_error(
            self._env.where,
            f"captured array {self._capture.label!r}: more indices than its 0 "
            "dimensions",
            self._capture.label,
        )


class UnreadableArray(CaptureArray):
    """An array of a kind that no kernel reads; any use says why."""

    __slots__ = ("_why",)

    def __init__(self, env: Environment, capture: Capture, why: str) -> None:
        super().__init__(env, capture)
        self._why = why

    def refuse(self, what: str, hint: str = "") -> TraceError:
        return frame_error(
            self._env.where, f"captured array {self._capture.label!r} {self._why}"
        )

    def __getitem__(self, index: Any) -> NoReturn:
        raise self.refuse("")
