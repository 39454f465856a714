"""`Array`: elements on a device, with NumPy's manners.

What it offers is here; what it computes is in ops/, which its methods import when called.
"""

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rusty_py import dtypes, printing
from rusty_py.dtypes import BOOL, F16, F32, I32, MAX_F32, Dtype, DtypeLike, f32_word
from rusty_py.errors import DeviceError, DtypeError, RustyError, ShapeError, UnsupportedError
from rusty_py.layout import Layout, index_key, layout_at, layout_of, layout_permuted, layout_reshaped
from rusty_py.operation import HOOKS, OPERATIONS, apply, public_function
from rusty_py.runtime.buffer import Buffer
from rusty_py.runtime.device import Device
from rusty_py.views import Shape, View, axis_key, axis_of, float_of, shape_to


def _operator(name: str, *, reflected: bool = False) -> Callable[["Array", object], "Array"]:
    def operator(self: "Array", other: object) -> "Array":
        operation = OPERATIONS[name]
        if type(other) is Array:
            return apply(operation, self, other)
        if type(other) is float and self.layout.dtype is F32 and -MAX_F32 <= other <= MAX_F32:
            words = (f32_word(other),)
            return apply(operation, self, words=words) if operation.takes_words else NotImplemented
        assert operation.mixed is not None
        return operation.mixed(self, other)

    def reflected_operator(self: "Array", other: object) -> "Array":
        operation = OPERATIONS[name]
        assert operation.mixed is not None
        return operation.mixed(self, other, reflected=True)

    return reflected_operator if reflected else operator


def _reduction(name: str) -> Callable[..., "Array"]:
    def method(self: "Array", axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> "Array":
        return apply(OPERATIONS[name], self, axis=axis_key(axis, operation=name), keepdims=keepdims)

    method.__name__, method.__doc__ = name, f"As `rusty_py.{name}`."
    return method


def _spread(name: str) -> Callable[..., "Array"]:
    def method(
        self: "Array",
        axis: int | Sequence[int] | None = None,
        *,
        correction: float = 0,
        keepdims: bool = False,
    ) -> "Array":
        operation = OPERATIONS[name]
        key = axis_key(axis, operation=name)
        less = float_of(correction, "correction", operation=name)
        return apply(operation, self, axis=key, correction=less, keepdims=keepdims)

    method.__name__, method.__doc__ = name, f"As `rusty_py.{name}`."
    return method


def _function(name: str) -> Callable[..., "Array"]:
    """A function of the package, as a method with its other arguments."""

    def method(self: "Array", *arguments: Any, **options: Any) -> "Array":
        function = OPERATIONS[name].function
        assert function is not None
        result: Array = function(self, *arguments, **options)
        return result

    method.__name__, method.__doc__ = name, f"As `rusty_py.{name}`."
    return method


class Array:
    """Elements of one dtype on a device. Functions such as `rusty_py.array` and `zeros` make them.

    Operations run on the device and return new arrays; `numpy`, `item`, `repr` and Python's conversions are
    what reads back. Indexing, `reshape`, `transpose` and `T` share memory where strides can say the result.
    `x[key] = value` and `assign` alone change an array that is there, and all its views with it.
    """

    __slots__ = ("__weakref__", "buffer", "layout", "node", "offset")

    __array_priority__ = 1000
    __hash__ = None  # type: ignore[assignment]  # As NumPy's: == is elementwise.

    def __init__(self, buffer: Buffer, layout: Layout, offset: int = 0) -> None:
        """`offset` counts elements from the start of the buffer."""
        self.buffer = buffer
        self.layout = layout
        self.offset = offset
        self.node: Any = None  # Of autograd's graph; None where nothing is recorded.

    @property
    def kind(self) -> Dtype:
        return self.layout.dtype

    @property
    def shape(self) -> Shape:
        return self.layout.shape

    @property
    def strides(self) -> Shape:
        """Elements from one to the next along each axis."""
        return self.layout.strides

    @property
    def size(self) -> int:
        return self.layout.size

    @property
    def contiguous(self) -> bool:
        """Whether the elements are row-major without gaps."""
        return self.layout.contiguous

    @property
    def dtype(self) -> np.dtype[np.generic]:
        return self.kind.numpy

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """What the elements take on the device, where a bool has 4 bytes."""
        return self.size * self.kind.itemsize

    @property
    def device(self) -> Device:
        return self.buffer.device

    @property
    def T(self) -> "Array":  # noqa: N802  NumPy's name.
        """The axes in reverse order; shares memory."""
        view = Array(self.buffer, self.layout.transposed, self.offset)
        if self.node is None:
            return view
        return self._recorded(view, "permute_dims", axes=tuple(reversed(range(self.ndim))))

    @property
    def mT(self) -> "Array":  # noqa: N802  The Array API's name.
        """The last two axes exchanged; shares memory. Raises ShapeError for fewer than two."""
        if self.ndim < 2:
            raise ShapeError(f"mT: needs 2 axes or more: shape {self.shape}")
        view = Array(self.buffer, self.layout.matrix_transposed, self.offset)
        if self.node is None:
            return view
        *outer, row, col = range(self.ndim)
        return self._recorded(view, "permute_dims", axes=(*outer, col, row))

    # Views.

    def view(self, view: View) -> "Array":
        """An array that shares this one's memory, for kernels: it is not recorded for gradients."""
        offset, shape, strides = view
        return Array(self.buffer, layout_of(self.kind, shape, strides, offset), offset)

    def detach(self) -> "Array":
        """An array that shares this one's memory, but takes no part in gradients."""
        return Array(self.buffer, self.layout, self.offset)

    def _recorded(self, view: "Array", name: str, **options: object) -> "Array":
        """`view`, recorded as the result of the operation `name` on this array."""
        if HOOKS.record is not None:
            HOOKS.record(OPERATIONS[name], (self,), (), options, view)
        return view

    def __getitem__(self, key: object) -> "Array":
        if type(key) is Array and key.layout.dtype is I32 and self.layout.shape and not self.device.checked:
            return apply(OPERATIONS["take"], self, key, axes=(0,), at=0)  # What comes often, without detours.
        known = index_key(key)
        if known is None:
            from rusty_py.ops import indexing

            return indexing.getitem(self, key)
        distance, layout = layout_at(self.layout, known)
        offset = self.offset + distance
        view = Array(self.buffer, layout if offset else layout.at_start, offset)
        return view if self.node is None else self._recorded(view, "getitem", key=known)

    def __setitem__(self, key: object, value: object) -> None:
        """Sets what `self[key]` chooses to `value`, which broadcasts; views of the elements see the change.

        Raises IndexingError and ShapeError, and DtypeError for what `assign` would not convert.
        """
        from rusty_py.ops import indexing

        indexing.setitem(self, key, value)

    def reshape(self, *shape: int | Sequence[int]) -> "Array":
        """The elements in row-major order in another shape, one size of which may be -1.

        Shares memory where strides can say it, else it is a copy. Raises ShapeError.
        """
        sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], list | tuple) else shape
        to = shape_to(self.size, sizes, old=self.shape)  # type: ignore[arg-type]  # It checks.
        layout = layout_reshaped(self.layout, to)
        if layout is None:
            return self.copy().reshape(to)
        view = Array(self.buffer, layout, self.offset)
        return view if self.node is None else self._recorded(view, "reshape", shape=to)

    def transpose(self, *axes: int | Sequence[int]) -> "Array":
        """The axes in another order, reversed where none are named; shares memory. Raises ShapeError."""
        named = axes[0] if len(axes) == 1 and isinstance(axes[0], list | tuple) else axes
        # axis_of checks what mypy cannot know.
        order = [axis_of(axis, self.ndim, operation="transpose") for axis in named]  # type: ignore[arg-type]
        order = order if axes else list(reversed(range(self.ndim)))
        if sorted(order) != list(range(self.ndim)):
            raise ShapeError(f"transpose: names each of {self.ndim} axes once: {tuple(named)}")
        view = Array(self.buffer, layout_permuted(self.layout, tuple(order)), self.offset)
        return view if self.node is None else self._recorded(view, "permute_dims", axes=tuple(order))

    def flatten(self) -> "Array":
        """As `rusty_py.flatten`."""
        return self.copy().reshape(-1)

    def ravel(self) -> "Array":
        """As `rusty_py.ravel`."""
        return self.reshape(-1)

    def squeeze(self, axis: int | Sequence[int] | None = None) -> "Array":
        """As `rusty_py.squeeze`."""
        result: Array = public_function("squeeze")(self, axis)
        return result

    def swapaxes(self, axis1: int, axis2: int, /) -> "Array":
        """The two axes exchanged; shares memory. Raises ShapeError."""
        order = [*range(self.ndim)]
        first, second = (axis_of(axis, self.ndim, operation="swapaxes") for axis in (axis1, axis2))
        order[first], order[second] = second, first
        return self.transpose(tuple(order))

    def take(self, indices: "Array | ArrayLike", axis: int | None = None) -> "Array":
        """As `rusty_py.take`."""
        result: Array = public_function("take")(self, indices, axis)
        return result

    def repeat(self, repeats: int | Sequence[int], axis: int | None = None) -> "Array":
        """As `rusty_py.repeat`."""
        result: Array = public_function("repeat")(self, repeats, axis)
        return result

    def nonzero(self) -> "tuple[Array, ...]":
        """As `rusty_py.nonzero`."""
        places: tuple[Array, ...] = public_function("nonzero")(self)
        return places

    # Gradients.

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this array are recorded, so that `backward` can follow them."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, required: bool) -> None:
        from rusty_py import autograd

        autograd.require(self, required)

    @property
    def grad(self) -> "Array | None":
        """The gradient that `backward` has accumulated; None before. Set it to None to begin anew."""
        return getattr(self.node, "gradient", None) if self._is_leaf else None

    @grad.setter
    def grad(self, gradient: "Array | None") -> None:
        if not self._is_leaf:
            raise UnsupportedError("grad: only an array with requires_grad = True has a gradient")
        if gradient is not None:
            if not isinstance(gradient, Array):
                raise UnsupportedError(f"grad: an array or None: got {type(gradient).__name__}")
            if gradient.device is not self.device:
                raise DeviceError(f"grad: an array of another device: {gradient.device}, not {self.device}")
            if gradient.shape != self.shape or gradient.kind is not self.kind:
                raise ShapeError(
                    f"grad: a gradient is {self.kind.name} of shape {self.shape} as its array is:"
                    f" got {gradient.kind.name} of {gradient.shape}"
                )
        self.node.gradient = gradient

    @property
    def _is_leaf(self) -> bool:
        return self.node is not None and hasattr(self.node, "source")

    def backward(self, gradient: "Array | ArrayLike | None" = None, *, retain_graph: bool = False) -> None:
        """Adds the gradients of this array to `grad` of the arrays that require them.

        `gradient`, of this shape and dtype, is that of a result further on; without one the array must have
        one element. Frees the graph unless `retain_graph`. Raises ShapeError; DtypeError for integers;
        UnsupportedError if nothing was recorded, the graph was freed, or an array it needs was changed.
        """
        from rusty_py import autograd

        autograd.backward(self, gradient, retain_graph=retain_graph)

    # To the host.

    def numpy(self, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """The values as a NumPy array: a new one, or `out`, C-contiguous and of this shape and dtype.

        Waits for what computes them. Raises ShapeError and DtypeError for another `out`, DeviceError in a
        capture, where nothing is computed.
        """
        if self.device.graph is not None:
            raise DeviceError("numpy: not in a capture, where nothing is computed: read after a replay")
        self.buffer.ensure_readable("numpy")
        if out is not None:
            self._check_out(out)
        direct = out is not None and self.kind is not BOOL
        host = out if out is not None and direct else np.empty(self.shape, self.kind.stored)
        source = self if self.contiguous and not self.offset else self.detach().copy()
        self.device.read(source.buffer, host)
        if self.kind is not BOOL:
            return host
        if out is None:
            return host.astype(np.bool_)
        out[...] = host
        return out

    get = numpy

    def _check_out(self, out: NDArray[Any]) -> None:
        if out.dtype != self.dtype:
            raise DtypeError(f"numpy: out is of another dtype: {out.dtype}, the array {self.dtype}")
        if out.shape != self.shape:
            raise ShapeError(f"numpy: out is of another shape: {out.shape}, the array {self.shape}")

    def item(self) -> bool | int | float:
        """The one element as a Python number. Raises ShapeError where there are more or none."""
        if self.size != 1:
            raise ShapeError(f"item: only arrays of one element are a number: shape {self.shape}")
        number: bool | int | float = self.numpy().item()
        return number

    def tolist(self) -> Any:
        """The values as Python's numbers in nested lists."""
        return self.numpy().tolist()

    def _number(self, operation: str) -> bool | int | float:
        self.buffer.ensure_readable(operation)
        if self.shape:
            raise ShapeError(
                f"array: only arrays without axes are a number: shape {self.shape};"
                " reduce it, or take .item() of one element"
            )
        return self.item()

    def __bool__(self) -> bool:
        return bool(self._number("bool"))

    def __int__(self) -> int:
        return int(self._number("int"))

    def __float__(self) -> float:
        return float(self._number("float"))

    def __complex__(self) -> complex:
        return complex(self._number("complex"))

    def __index__(self) -> int:
        if self.kind.kind not in "iu":
            raise DtypeError(f"index: only integers are an index: {self.kind.name}")
        return int(self._number("index"))

    def __len__(self) -> int:
        if not self.shape:
            raise UnsupportedError("len: an array without axes has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        """Over the rows as NumPy arrays, or numbers, read at once: one by one would be a wait for each."""
        if not self.shape:
            raise UnsupportedError("iteration: over an array without axes")
        self.buffer.ensure_readable("iteration")
        return iter(self.numpy())

    # On the device.

    def assign(self, values: "Array | ArrayLike") -> None:
        """Copies `values`, of this shape or a number, into this array's memory; its views see them.

        Floats may be rounded to this dtype, integers become floats. Raises ShapeError; DtypeError for what
        would lose more.
        """
        source = assignable(values, self, operation="assign")
        if source.shape not in (self.shape, ()):
            raise ShapeError(f"assign: shapes differ: {self.shape} takes {source.shape}")
        apply(OPERATIONS["assign"], source, self)

    def astype(self, dtype: DtypeLike, /, *, copy: bool = True) -> "Array":
        """The values in another dtype, as NumPy casts them.

        Floats beyond an integer's range become the nearest float32 within it.
        A new array, unless the dtype is the same and `copy` is False. Raises DtypeError.
        """
        kind = dtypes.element(dtype, operation="astype")
        if kind is self.kind and not copy:
            return self
        return apply(OPERATIONS["astype"], self, dtype=kind)

    def copy(self) -> "Array":
        """The same values in new memory, row-major."""
        return self.astype(self.kind)

    def to_device(self, device: Device, /, *, stream: None = None) -> "Array":
        """This array, or a copy of its values on another device, through the host, without its gradient."""
        from rusty_py.ops.creation import asarray

        return self if device is self.device else asarray(self.numpy(), device=device)

    def __copy__(self) -> "Array":
        return self.copy()

    def __deepcopy__(self, memo: object) -> "Array":
        return self.copy()

    def sum(
        self,
        axis: int | Sequence[int] | None = None,
        *,
        dtype: DtypeLike | None = None,
        keepdims: bool = False,
    ) -> "Array":
        """As `rusty_py.sum`."""
        key = axis_key(axis, operation="sum")
        return apply(OPERATIONS["sum"], self, axis=key, dtype=dtype, keepdims=keepdims)

    def prod(
        self,
        axis: int | Sequence[int] | None = None,
        *,
        dtype: DtypeLike | None = None,
        keepdims: bool = False,
    ) -> "Array":
        """As `rusty_py.prod`."""
        key = axis_key(axis, operation="prod")
        return apply(OPERATIONS["prod"], self, axis=key, dtype=dtype, keepdims=keepdims)

    max = _reduction("max")
    min = _reduction("min")
    mean = _reduction("mean")
    argmax = _reduction("argmax")
    argmin = _reduction("argmin")
    any = _reduction("any")
    all = _reduction("all")
    var = _spread("var")
    std = _spread("std")

    argsort = _function("argsort")
    clip = _function("clip")
    cumprod = _function("cumprod")
    cumsum = _function("cumsum")
    round = _function("round")

    __add__ = _operator("add")
    __radd__ = _operator("add", reflected=True)
    __sub__ = _operator("subtract")
    __rsub__ = _operator("subtract", reflected=True)
    __mul__ = _operator("multiply")
    __rmul__ = _operator("multiply", reflected=True)
    __truediv__ = _operator("divide")
    __rtruediv__ = _operator("divide", reflected=True)
    __floordiv__ = _operator("floor_divide")
    __rfloordiv__ = _operator("floor_divide", reflected=True)
    __mod__ = _operator("remainder")
    __rmod__ = _operator("remainder", reflected=True)
    __pow__ = _operator("pow")
    __rpow__ = _operator("pow", reflected=True)
    __and__ = _operator("bitwise_and")
    __rand__ = _operator("bitwise_and", reflected=True)
    __or__ = _operator("bitwise_or")
    __ror__ = _operator("bitwise_or", reflected=True)
    __xor__ = _operator("bitwise_xor")
    __rxor__ = _operator("bitwise_xor", reflected=True)
    __lshift__ = _operator("bitwise_left_shift")
    __rlshift__ = _operator("bitwise_left_shift", reflected=True)
    __rshift__ = _operator("bitwise_right_shift")
    __rrshift__ = _operator("bitwise_right_shift", reflected=True)
    __eq__ = _operator("equal")  # type: ignore[assignment]  # Not a bool.
    __ne__ = _operator("not_equal")  # type: ignore[assignment]  # Not a bool.
    __lt__ = _operator("less")
    __le__ = _operator("less_equal")
    __gt__ = _operator("greater")
    __ge__ = _operator("greater_equal")

    def __divmod__(self, other: object) -> tuple["Array", "Array"]:
        return self // other, self % other

    def __rdivmod__(self, other: object) -> tuple["Array", "Array"]:
        return other // self, other % self

    def __round__(self, ndigits: None = None) -> "Array":
        if ndigits is not None:
            raise UnsupportedError(
                f"round: to whole numbers only, not to {ndigits!r} digits: round(x * 100) / 100 has two"
            )
        return apply(OPERATIONS["round"], self)

    def __neg__(self) -> "Array":
        return apply(OPERATIONS["negative"], self)

    def __pos__(self) -> "Array":
        return apply(OPERATIONS["positive"], self)

    def __abs__(self) -> "Array":
        return apply(OPERATIONS["abs"], self)

    def __invert__(self) -> "Array":
        return apply(OPERATIONS["bitwise_invert"], self)

    __matmul__ = _operator("matmul")
    __rmatmul__ = _operator("matmul", reflected=True)

    # Fused: see fused.py.

    def fused_add_relu(self, other: "Array | float") -> "Array":
        """As `rusty_py.fused_add_relu`."""
        from rusty_py import fused

        return fused.fused_add_relu(self, other)

    def fused_mul_relu(self, other: "Array | float") -> "Array":
        """As `rusty_py.fused_mul_relu`."""
        from rusty_py import fused

        return fused.fused_mul_relu(self, other)

    def fused_affine(self, scale: "Array | float", bias: "Array | float") -> "Array":
        """As `rusty_py.fused_affine`."""
        from rusty_py import fused

        return fused.fused_affine(self, scale, bias)

    # NumPy and others.

    def __array_namespace__(self, *, api_version: str | None = None) -> ModuleType:
        """The package, whose functions are those of the Array API standard."""
        return import_module("rusty_py")

    def __array__(self, dtype: np.dtype[Any] | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("array: values leave the device by a copy: copy=False cannot be")
        host = self.numpy()
        return host if dtype is None else host.astype(dtype, copy=False)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: object, **kwargs: object) -> object:
        from rusty_py.ops import protocols

        return protocols.ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(
        self,
        function: Callable[..., object],
        types: object,
        arguments: tuple[object, ...],
        kwargs: dict[str, object],
    ) -> object:
        from rusty_py.ops import protocols

        return protocols.function(function, arguments, kwargs)

    def __dlpack__(
        self,
        *,
        stream: object = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> object:
        """The values in host memory, as DLPack knows no device of WebGPU that anybody takes."""
        if dl_device not in (None, (1, 0)) or copy is False:
            raise BufferError("dlpack: values leave the device by a copy to the CPU: (1, 0)")
        host = self.numpy()
        return host.__dlpack__() if max_version is None else host.__dlpack__(max_version=max_version)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __reduce__(self) -> tuple[Callable[[NDArray[Any]], "Array"], tuple[NDArray[Any]]]:
        return _restored, (self.numpy(),)

    def __repr__(self) -> str:
        return printing.text(*self._about())

    def _repr_html_(self) -> str:
        return printing.html(*self._about())

    def _about(self) -> tuple[NDArray[Any] | str, Shape, str, str, int]:
        """What a description needs: the corner it shows, read once, and never a whole large array."""
        values: NDArray[Any] | str
        try:
            values = self[printing.corner(self.shape)].numpy()
        except RustyError as error:  # A description of what is broken must not break as well.
            values = str(error)
        return values, self.shape, str(self.dtype), str(self.device.adapter), self.nbytes


def allocate(device: Device, shape: Shape, kind: Dtype, *, operation: str) -> Array:
    """A new array, its values undefined. Raises DtypeError for f16 on an adapter without, LimitError."""
    if kind is F16 and "shader-f16" not in device.adapter.features:
        raise DtypeError(f'{operation}: {device.adapter} does not compute in f16: use dtype="f32"')
    layout = layout_of(kind, shape)
    return Array(device.empty(layout.size * kind.itemsize, label=operation), layout)


def upload(host: NDArray[Any], kind: Dtype, device: Device) -> Array:
    """`host`, C-contiguous and of `kind`, on `device`."""
    if kind is F16 and "shader-f16" not in device.adapter.features:
        raise DtypeError(f'array: {device.adapter} does not compute in f16: use dtype="f32"')
    buffer = device.upload(host.astype(kind.stored, copy=False), label="array")
    return Array(buffer, layout_of(kind, host.shape))


def assignable(values: "Array | ArrayLike", target: Array, *, operation: str) -> Array:
    """`values` as an array that may be copied into `target`. Raises DtypeError where that would lose more."""
    if not isinstance(values, Array):
        host, kind = dtypes.host_values(values, target.kind, operation=operation)
        return upload(host, kind, target.device)
    if values.kind is not target.kind and not _widens(values.kind, target.kind):
        raise DtypeError(
            f"{operation}: {target.kind.name} does not hold the values of {values.kind.name}:"
            f' convert with .astype("{target.kind.name}"), which loses what does not fit'
        )
    return values


def _widens(source: Dtype, target: Dtype) -> bool:
    """Whether every number of `source` is one of `target`, but for a float's rounding."""
    return target.kind == "f" or (source is BOOL and target is not BOOL)


def _restored(values: NDArray[Any]) -> Array:
    """What pickle calls: the array on this process's default device."""
    from rusty_py.ops.creation import asarray

    return asarray(values)
