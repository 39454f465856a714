"""Matrix product: `matmul` for arrays of NumPy's and of ours. How it is computed is in gemm/."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import gcd, prod
from types import NotImplementedType
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rusty_py import dtypes, oracle, samples
from rusty_py.arrays import Array, allocate, upload
from rusty_py.device import Device, default_device
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.errors import DeviceError, DtypeError, LimitError, OutOfMemory, ShapeError, UnsupportedError
from rusty_py.gemm.launches import Operands, Request, requests
from rusty_py.gemm.plan import Plan
from rusty_py.gemm.problem import ACTIVATIONS, Place, Problem
from rusty_py.gemm.select import Tile, kernel_of, plan
from rusty_py.gemm.stream import Job, fits, stream
from rusty_py.kernel import launch
from rusty_py.operation import OPERATIONS, Cost, Operation, apply, once_each
from rusty_py.ops.creation import asarray, zeros
from rusty_py.oracle import Expected
from rusty_py.samples import Sample
from rusty_py.shapes import matmul_shapes
from rusty_py.views import Shape, View, broadcast_strides, collapse, reshaped, row_major


@dataclass(frozen=True)
class Extras:
    """What a product is asked for beside its operands: see `matmul`."""

    dtype: str | None = None
    tile: Tile = "auto"
    bias: Array | ArrayLike | None = None
    activation: str | None = None
    sums: str | None = None
    accumulate: bool = False

    def check(self) -> None:
        """Raises LimitError for tiles and activations that there are not, DtypeError for such sums."""
        if self.tile != "auto":
            kernel_of(self.tile)
        if self.activation is not None and self.activation not in ACTIVATIONS:
            names = ", ".join(("none", *ACTIVATIONS))
            raise LimitError(f"matmul: no such activation: {self.activation!r}; choose one of {names}")
        if self.sums not in (None, F32.name, F16.name):
            raise DtypeError(f"matmul: sums are f32 or f16: got {self.sums!r}")

    def options(self) -> dict[str, Any]:
        """What differs from the defaults, as a key of plans; of the bias, that there is one."""
        options: dict[str, Any] = {}
        if self.bias is not None:
            options["has_bias"] = True
        if self.activation is not None:
            options["activation"] = self.activation
        if self.tile != "auto":
            options["tile"] = self.tile
        if self.dtype is not None:
            options["dtype"] = self.dtype
        if self.sums is not None:
            options["sums"] = self.sums
        if self.accumulate:
            options["accumulate"] = True
        return options

    def check_for(self, n: int, kind: Dtype) -> None:
        """Raises ShapeError for a bias that is none of n numbers, DtypeError for one of another kind."""
        self.sums_of(kind)
        if self.bias is None:
            return
        shape = _shape_of(self.bias)
        if shape != (n,):
            raise ShapeError(f"matmul: a bias has a number for each column, ({n},): got {shape}")
        if not isinstance(self.bias, Array):
            dtypes.cast(np.asarray(self.bias)[:0], kind, operation="matmul")

    def sums_of(self, kind: Dtype) -> Dtype:
        """What products of `kind` are added up in. Raises DtypeError for f16 sums of f32."""
        if self.sums == F16.name:
            if kind is not F16:
                raise DtypeError(f'matmul: sums="f16" is for float16 operands: got {kind.numpy}')
            return F16
        return F32


class Matmul:
    """`matmul(a, b)` computes a product; `matmul.plan(a, b)` says how it would."""

    __name__ = "matmul"

    @overload
    def __call__(
        self,
        a: Array,
        b: Array | ArrayLike,
        *,
        out: Array | None = None,
        accumulate: bool = False,
        bias: Array | ArrayLike | None = None,
        activation: str | None = None,
        dtype: str | None = None,
        sums: str | None = None,
        tile: Tile = "auto",
        device: Device | None = None,
    ) -> Array: ...
    @overload
    def __call__(
        self,
        a: ArrayLike,
        b: Array,
        *,
        out: Array | None = None,
        accumulate: bool = False,
        bias: Array | ArrayLike | None = None,
        activation: str | None = None,
        dtype: str | None = None,
        sums: str | None = None,
        tile: Tile = "auto",
        device: Device | None = None,
    ) -> Array: ...
    @overload
    def __call__(
        self,
        a: ArrayLike,
        b: ArrayLike,
        *,
        out: NDArray[Any] | None = None,
        accumulate: bool = False,
        bias: ArrayLike | None = None,
        activation: str | None = None,
        dtype: str | None = None,
        sums: str | None = None,
        tile: Tile = "auto",
        device: Device | None = None,
    ) -> NDArray[Any]: ...
    def __call__(
        self,
        a: Array | ArrayLike,
        b: Array | ArrayLike,
        *,
        out: Any = None,
        accumulate: bool = False,
        bias: Array | ArrayLike | None = None,
        activation: str | None = None,
        dtype: str | None = None,
        sums: str | None = None,
        tile: Tile = "auto",
        device: Device | None = None,
    ) -> Array | NDArray[Any]:
        """`a @ b` on the GPU, by NumPy's rules for shapes.

        a: (..., m, k) or (k,), b: (..., k, n) or (k,); float32 or float16 in any memory layout, or anything
        that casts to what `dtype` says. Returns a (..., m, n) array, float16 where both operands are; a 1-D
        operand leaves no axis, and leading axes broadcast. Where one operand is an Array so is the result,
        and nothing waits. Transposed operands are read as they lie.

        `out` takes the result and is returned; with `accumulate` it is added to what `out` holds. `bias`,
        (n,), is added to every row, and then `activation` applied: "relu", "gelu", "silu", "sigmoid", "tanh",
        or "none", the same as None.
        Float16 is added up in float32; `sums="f16"` may add up a few terms at a time in float16, if faster.
        `tile` chooses the kernel, `device` the GPU. Raises ShapeError, DtypeError, LimitError for a tile the
        device has no room for, DeviceError, OutOfMemory.
        """
        extras = Extras(dtype, tile, bias, _activation(activation), sums, accumulate)
        extras.check()
        if accumulate and out is None:
            raise ShapeError("matmul: accumulate adds to what `out` holds: pass out=")
        if isinstance(a, Array) or isinstance(b, Array):
            return _of_arrays(a, b, out, device, extras)
        return _of_numpys(np.asarray(a), np.asarray(b), out, device, extras)

    def plan(
        self,
        a: Array | ArrayLike,
        b: Array | ArrayLike,
        *,
        bias: Array | ArrayLike | None = None,
        activation: str | None = None,
        dtype: str | None = None,
        sums: str | None = None,
        tile: Tile = "auto",
        device: Device | None = None,
    ) -> Plan:
        """How `matmul` with these arguments computes: which kernel, in how many parts, and why; a line.

        Computes nothing. Raises what `matmul` would for these shapes, dtypes and options.
        """
        extras = Extras(dtype, tile, bias, _activation(activation), sums)
        extras.check()
        left, right = _shape_of(a), _shape_of(b)
        m, k, n, batch = matmul_shapes(left, right)
        kind = _kind_of(a, b, dtype)
        extras.check_for(n, kind)
        if not (m * n * k and prod(batch)):
            raise ShapeError(f"matmul: nothing to plan: {left} @ {right} has no terms")
        own = a if isinstance(a, Array) else b if isinstance(b, Array) else None
        device = device or (own.device if own is not None else default_device())
        _check_computes(device, kind)
        x, y = _planned(a, (m, k), kind, device), _planned(b, (k, n), kind, device)
        z = View(0, (*batch, m, n), row_major((*batch, m, n)))
        return plan(device, _problem(x, y, z, kind, extras), tile=tile)


matmul = Matmul()


def _activation(name: str | None) -> str | None:
    """Its name; None for none."""
    return None if name == "none" else name


def operator(a: object, b: object, *, reflected: bool = False) -> Array | NotImplementedType:
    """What `@` does: NotImplemented for operands that are neither arrays of NumPy's nor of ours."""
    if not (isinstance(a, Array | np.ndarray) and isinstance(b, Array | np.ndarray)):
        return NotImplemented  # type: ignore[no-any-return]
    return _of_arrays(b, a, None, None, Extras()) if reflected else _of_arrays(a, b, None, None, Extras())


def _of_arrays(a: object, b: object, out: object, device: Device | None, extras: Extras) -> Array:
    """Sends what is NumPy's, and applies the operation."""
    given = (a, b) if extras.bias is None else (a, b, extras.bias)
    own = a if isinstance(a, Array) else b
    assert isinstance(own, Array)
    device = device or own.buffer.device
    arrays: list[Array] = []
    for each in given:
        if type(each) is not Array or each.buffer.device is not device:
            arrays = _sent_operands(given, device, extras)
            break
        arrays.append(each)
    options = extras.options()
    if out is None:
        return apply(MATMUL, *arrays, **options)
    return apply(MATMUL_INTO, *arrays, _checked_out(out, a, b, device, extras), **options)


def _sent_operands(given: tuple[object, ...], device: Device, extras: Extras) -> list[Array]:
    """a, b and the bias on the device, checked before anything is sent."""
    a, b = given[:2]
    _, _, n, _ = matmul_shapes(_shape_of(a), _shape_of(b))
    kind = _kind_of(a, b, extras.dtype)
    extras.check_for(n, kind)
    _check_computes(device, kind)
    return [_operand(each, kind, device) for each in given]


def _checked_out(out: object, a: object, b: object, device: Device, extras: Extras) -> Array:
    left, right = _shape_of(a), _shape_of(b)
    shape = _result_shape(left, right, matmul_shapes(left, right)[-1])
    _check_out(out, Array, shape, _kind_of(a, b, extras.dtype))
    return asarray(out, device=device)


def _forward(*arrays: Array, has_bias: bool = False, has_out: bool = False, **options: Any) -> Array:
    """a, b, then the bias and `out` where there are such; the options are those of `Extras`."""
    a, b = arrays[:2]
    bias = arrays[2] if has_bias else None
    out = arrays[-1] if has_out else None
    device, extras = a.device, Extras(**options, bias=bias)
    m, k, n, batch = matmul_shapes(a.shape, b.shape)
    kind = _kind_of(a, b, extras.dtype)
    extras.check_for(n, kind)
    shape = _result_shape(a.shape, b.shape, batch)
    _check_computes(device, kind)
    x, y = a.astype(kind, copy=False), b.astype(kind, copy=False)
    if not (m * n and prod(batch)):
        return zeros(shape, dtype=kind, device=device) if out is None else out
    if not k:
        x, y = (zeros(each, dtype=kind, device=device) for each in ((m, 1), (1, n)))
        k = 1
    x, y = _matrices(x, (m, k)), _matrices(y, (k, n))
    bias = _bias(extras, kind, device)
    z = _target(out, (*batch, m, n), [x, y, bias], kind, device, extras)
    for each in _requests(x, y, z, bias, extras):
        launch(device, **each._asdict())
    if out is None:
        return z.reshape(shape)
    if z.buffer is not out.buffer:
        out.assign(z.reshape(shape))
    return out


def _samples() -> Iterator[Sample]:
    """Vectors, edges of tiles, batches that broadcast; f16."""
    shapes: list[tuple[Shape, Shape]] = [
        ((7,), (7,)),
        ((5, 7), (7,)),
        ((17, 33), (33, 35)),
        ((2, 1, 4, 9), (3, 9, 5)),
    ]
    for kind in (F32, F16):
        for i, (a, b) in enumerate(shapes):
            given = samples.values(kind, *a, seed=i), samples.values(kind, *b, seed=i + 10)
            yield Sample(f"matmul {kind.name} of {a} by {b}", given)


def _expected(sample: Sample) -> Expected:
    """The product in float64; the bound by k products, and one rounding of the result."""
    a, b = (each.astype(np.float64) for each in sample.operands)
    kind = F16 if sample.operands[0].dtype == F16.numpy else F32
    k = a.shape[-1]
    reference = np.asarray(a @ b)
    magnitude = np.asarray(np.abs(a) @ np.abs(b))
    bound = oracle.rounding_factor(k, F32) * magnitude + oracle.rounding(reference, ulps=0.5, dtype=kind)
    return Expected(reference, bound)


def _cost(arrays: Sequence[Array], result: Array) -> Cost:
    """Two operations for each of k products of an element of the result."""
    return Cost(2 * result.size * arrays[0].shape[-1], once_each(arrays, result).nbytes)


MATMUL = OPERATIONS.add(
    Operation(
        "matmul",
        _forward,
        numpy=np.matmul,
        mixed=operator,
        kinds="f",
        samples=_samples,
        expected=_expected,
        cost=_cost,
    )
)
MATMUL_INTO = OPERATIONS.add(Operation("matmul into", partial(_forward, has_out=True), writes=True))


def _of_numpys(
    left: NDArray[Any], right: NDArray[Any], out: object, device: Device | None, extras: Extras
) -> NDArray[Any]:
    m, k, n, batch = matmul_shapes(left.shape, right.shape)
    kind = _kind_of(left, right, extras.dtype)
    extras.check_for(n, kind)
    shape = _result_shape(left.shape, right.shape, batch)
    if out is not None:
        _check_out(out, np.ndarray, shape, kind)
    for each in (left, right):
        dtypes.cast(each[:0], kind, operation="matmul")  # Whether it can be; blocks are cast one by one.
    result = np.zeros((*batch, m, n), kind.numpy)
    bare = extras.bias is None and extras.activation is None and not extras.accumulate
    if result.size and (k or not bare):
        device = device or default_device()
        _check_computes(device, kind)
        x, y = left.reshape((*left.shape[:-2], m, k)), right.reshape((*right.shape[:-2], k, n))
        if not k:  # One term of zeros.
            zero = np.zeros((), kind.numpy)
            x = np.broadcast_to(zero, (*x.shape[:-2], m, 1))
            y = np.broadcast_to(zero, (*y.shape[:-2], 1, n))
        added = np.asarray(out).reshape(result.shape) if extras.accumulate else None
        _compute(x, y, result, added, device, extras)
    if out is not None:
        assert isinstance(out, np.ndarray)
        out[...] = result.reshape(shape)
        return out
    result = result.reshape(shape)
    return result[()] if result.ndim == 0 else result  # A scalar, as NumPy returns.


def _compute(
    x: NDArray[Any],
    y: NDArray[Any],
    z: NDArray[Any],
    added: NDArray[Any] | None,
    device: Device,
    extras: Extras,
) -> None:
    """z = x @ y, with what the extras say, on the device: at once where it has the room, else in blocks."""
    if device.graph is not None:
        raise DeviceError("matmul: of NumPy's arrays not in a capture, where nothing is computed")
    kind = dtypes.element(z.dtype, operation="matmul")
    sizes = [each.size * kind.itemsize for each in (x, y, z)]
    most_bytes = None
    if fits(device, *sizes):
        try:
            return _compute_whole(x, y, z, added, device, extras)
        except OutOfMemory:
            most_bytes = sum(sizes) // 2
    bias = None
    if extras.bias is not None:
        held = extras.bias.numpy() if isinstance(extras.bias, Array) else np.asarray(extras.bias)
        bias = dtypes.cast(held, kind, operation="matmul")
    sums = extras.sums_of(kind)
    job = Job(x, y, z, kind, sums, added, bias, extras.activation or "", extras.tile)
    return stream(device, job, most_bytes=most_bytes)


def _compute_whole(
    x: NDArray[Any],
    y: NDArray[Any],
    z: NDArray[Any],
    added: NDArray[Any] | None,
    device: Device,
    extras: Extras,
) -> None:
    kind = dtypes.element(z.dtype, operation="matmul")
    given = (x, y) if extras.bias is None else (x, y, extras.bias)
    arrays = [_operand(each, kind, device) for each in given]
    if added is None:
        c = apply(MATMUL, *arrays, **extras.options())
    else:
        c = upload(np.ascontiguousarray(added), kind, device)
        apply(MATMUL_INTO, *arrays, c, **extras.options())
    c.numpy(z)


def _sent(x: NDArray[Any], kind: Dtype, device: Device) -> Array:
    """`x` on the device; matrices that lie column by column stay so."""
    if _lies_by_columns(x):
        return upload(x.swapaxes(-1, -2), kind, device).mT
    return upload(np.ascontiguousarray(x), kind, device)


def _lies_by_columns(x: NDArray[Any]) -> bool:
    return x.ndim > 1 and not x.flags.c_contiguous and x.swapaxes(-1, -2).flags.c_contiguous


def _strides_sent(x: NDArray[Any]) -> Shape:
    """The strides on the device of what `_sent` sends."""
    if not _lies_by_columns(x):
        return row_major(x.shape)
    *lead, row, col = row_major(x.swapaxes(-1, -2).shape)
    return (*lead, col, row)


def _kind_of(a: object, b: object, dtype: str | None) -> Dtype:
    """What a product is computed in: what `dtype` says, else float16 for two of those, else float32."""
    if dtype is not None:
        return dtypes.parse(dtype, operation="matmul")
    kinds = []
    for each in (a, b):
        held = each.dtype if isinstance(each, Array | np.ndarray) else np.asarray(each).dtype
        if held.kind != "f" or held.itemsize > 4:
            way = (
                'convert with .astype("f32")'
                if isinstance(each, Array)
                else "pass dtype='f32' to compute in float32"
            )
            raise DtypeError(f"matmul: computes in float32, got {held}: {way}")
        kinds.append(held.itemsize)
    return F16 if kinds == [2, 2] else F32


def _check_computes(device: Device, kind: Dtype) -> None:
    if kind is F16 and "shader-f16" not in device.adapter.features:
        raise DtypeError(f'matmul: {device.adapter} does not compute in f16: use dtype="f32"')


def _shape_of(x: object) -> Shape:
    return x.shape if isinstance(x, Array | np.ndarray) else np.asarray(x).shape


def _planned(x: object, size: tuple[int, int], kind: Dtype, device: Device) -> View:
    """Where the matrices of an operand will lie: as `_operand` and `_matrices` leave them."""
    if isinstance(x, Array):
        asarray(x, device=device)
        lies = x.kind is kind
        view = View(x.offset, x.shape, x.strides) if lies else View(0, x.shape, row_major(x.shape))
    else:
        host = np.asarray(x)
        dtypes.cast(np.empty(0, host.dtype), kind, operation="matmul")
        view = View(0, host.shape, _strides_sent(host))
    settled = _as_matrices(view, size)
    return settled if 1 in settled.strides[-2:] else View(0, settled.shape, row_major(settled.shape))


def _operand(x: object, kind: Dtype, device: Device) -> Array:
    if not isinstance(x, Array):
        return _sent(dtypes.cast(np.asarray(x), kind, operation="matmul"), kind, device)
    return asarray(x.astype(kind, copy=False), device=device)


def _bias(extras: Extras, kind: Dtype, device: Device) -> Array | None:
    """The bias as a row of its own."""
    if extras.bias is None:
        return None
    bias = _operand(extras.bias, kind, device)
    return bias if bias.contiguous and not bias.offset else bias.copy()


def _check_out(out: object, type_: type, shape: Shape, kind: Dtype) -> None:
    if not isinstance(out, Array | np.ndarray) or not isinstance(out, type_):
        wanted = "an Array" if type_ is Array else "a NumPy array"
        raise DtypeError(f"matmul: out is {wanted} where the result is: got {type(out).__name__}")
    if out.shape != shape:
        raise ShapeError(f"matmul: out has another shape than the result: {out.shape}, {shape}")
    if out.dtype != kind.numpy:
        raise DtypeError(f"matmul: out has another dtype than the result: {out.dtype}, {kind.numpy}")
    repeats = any(size > 1 and not stride for size, stride in zip(out.shape, out.strides, strict=True))
    if repeats and out.size:
        raise ShapeError(f"matmul: out repeats elements: strides {out.strides} of shape {out.shape}")
    if isinstance(out, np.ndarray) and not out.flags.writeable:
        raise UnsupportedError("matmul: out cannot be written: it is read-only")


def _target(
    out: Array | None, shape: Shape, inputs: list[Array | None], kind: Dtype, device: Device, extras: Extras
) -> Array:
    """Where the product goes, as matrices: `out` itself, or an array to be copied to it."""
    if out is None:
        return allocate(device, shape, kind, operation="matmul")
    strides = reshaped(out.shape, out.strides, shape)
    shared = any(each is not None and each.buffer is out.buffer for each in inputs)
    if strides is not None and strides[-1] == 1 and not shared and out.device is device:
        return out.view(View(out.offset, shape, strides))
    if extras.accumulate:
        return asarray(out, device=device).copy().reshape(shape)
    return allocate(device, shape, kind, operation="matmul")


def _result_shape(a: Shape, b: Shape, batch: Shape) -> Shape:
    return (*batch, *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))


def _matrices(x: Array, size: tuple[int, int]) -> Array:
    """`x` as matrices that have a stride of 1: a copy where no stride is."""
    x = x.reshape((*x.shape[:-2], *size))
    settled = _as_matrices(View(x.offset, x.shape, x.strides), size)
    return x.view(settled) if 1 in settled.strides[-2:] else x.copy()


def _as_matrices(x: View, size: tuple[int, int]) -> View:
    """`x` as matrices of `size`, whose axes of one element have strides that serve."""
    shape = (*x.shape[:-2], *size)
    strides = reshaped(x.shape, x.strides, shape) or row_major(shape)
    place = Place(0, 0, *strides[-2:]).settled(*size)
    return View(x.offset, shape, (*strides[:-2], place.row, place.col))


def _problem(x: View, y: View, z: View, kind: Dtype, extras: Extras) -> Problem:
    """The problem of one launch: the products along the last of the leading axes that do not join."""
    sizes, _ = _batch(x, y, z)
    (m, k), n = x.shape[-2:], y.shape[-1]
    # The divisor of the steps of all leading axes stands for them: vectors need its multiples alone.
    a, b, c = (Place(each.offset, gcd(*each.strides[:-2]), *each.strides[-2:]) for each in (x, y, z))
    return Problem.of(
        m,
        k,
        n,
        sizes[-1] if sizes else 1,
        places=(a, b, c),
        dtype=kind,
        sums=extras.sums_of(kind),
        bias=extras.bias is not None,
        activation=extras.activation or "",
    )


def _batch(x: View, y: View, z: View) -> tuple[Shape, tuple[Shape, ...]]:
    """The leading axes, those that lie alike joined, and their strides in each of the three."""
    lead = z.shape[:-2]
    steps = (broadcast_strides(each.shape[:-2], each.strides[:-2], lead) for each in (x, y, z))
    return collapse(lead, *steps)


def _requests(x: Array, y: Array, z: Array, bias: Array | None, extras: Extras) -> Iterator[Request]:
    """The dispatches of z = x @ y, matrices that have a stride of 1; leading axes broadcast."""
    views = tuple(View(each.offset, each.shape, each.strides) for each in (x, y, z))
    x_view, y_view, z_view = views
    chosen = plan(z.device, _problem(x_view, y_view, z_view, z.kind, extras), tile=extras.tile)
    sizes, steps = _batch(x_view, y_view, z_view)
    for position in product(*map(range, sizes[:-1])):
        a, b, c = (
            Place(
                view.offset + sum(i * stride for i, stride in zip(position, step, strict=False)),
                step[-1] if step else 0,
                *view.strides[-2:],
            )
            for view, step in zip(views, steps, strict=True)
        )
        operands = Operands(x.buffer, y.buffer, z.buffer, a, b, c, bias.buffer if bias is not None else None)
        yield from requests(z.device, chosen, operands, accumulate=extras.accumulate)
