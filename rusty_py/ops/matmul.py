"""Matrix product: `matmul` for NumPy arrays and `Array`. The kernels and their selection are in gemm/."""

from collections.abc import Iterator, Sequence
from functools import partial
from math import prod
from types import NotImplementedType
from typing import Any, TypedDict, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rusty_py import dtypes, oracle, samples
from rusty_py.arrays import Array, upload
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.errors import ShapeError
from rusty_py.gemm import host
from rusty_py.gemm.describe import (
    check_computes,
    check_out,
    kind_of,
    layouts_of,
    problem_of,
    result_shape,
    shape_of,
)
from rusty_py.gemm.dispatch import Operands, dispatches
from rusty_py.gemm.options import MatmulOptions
from rusty_py.gemm.plan import GemmPlan
from rusty_py.gemm.problem import GemmProblem
from rusty_py.gemm.select import Tile, plan
from rusty_py.gemm.stream import StreamJob
from rusty_py.operation import OPERATIONS, Cost, Gradient, Operation, apply, once_each
from rusty_py.ops.creation import asarray, zeros
from rusty_py.ops.epilogue import before_activation
from rusty_py.ops.matmul_operands import as_matrices, bias_row, operand, planned, target, view_of
from rusty_py.oracle import Expected
from rusty_py.runtime.device import Device, default_device
from rusty_py.runtime.launch import launch
from rusty_py.samples import Sample
from rusty_py.shapes import matmul_shapes
from rusty_py.views import Shape, View, row_major


class _Options(TypedDict, total=False):
    """The keyword arguments of `matmul` besides `out`."""

    accumulate: bool
    bias: Array | ArrayLike | None
    activation: str | None
    dtype: str | None
    accumulate_dtype: str | None
    tile: Tile
    device: Device | None


class Matmul:
    """`matmul(a, b)` computes a product; `matmul.plan(a, b)` returns its plan."""

    __name__ = "matmul"

    @overload
    def __call__(
        self, a: Array, b: Array | ArrayLike, *, out: Array | None = None, **options: Unpack[_Options]
    ) -> Array: ...
    @overload
    def __call__(
        self, a: ArrayLike, b: Array, *, out: Array | None = None, **options: Unpack[_Options]
    ) -> Array: ...
    @overload
    def __call__(
        self, a: ArrayLike, b: ArrayLike, *, out: NDArray[Any] | None = None, **options: Unpack[_Options]
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
        accumulate_dtype: str | None = None,
        tile: Tile = "auto",
        device: Device | None = None,
    ) -> Array | NDArray[Any]:
        """`a @ b` on the GPU, with the shape rules of `np.matmul`.

        a: (..., m, k) or (k,), b: (..., k, n) or (k,); float32 or float16 in any memory layout, or anything
        that can be cast to `dtype`. Returns a (..., m, n) array, float16 if both operands are; a 1-D operand
        adds no axis, and leading axes broadcast. If either operand is an Array, so is the result, and the
        call is asynchronous. Transposed operands are read without a copy.

        `out` receives the result and is returned; with `accumulate` the product is added to it. `bias`, (n,),
        is added to every row before `activation`, an `Activation` or a name: "relu", "leaky_relu" with slope
        0.01, "gelu", "gelu_tanh", "silu", "sigmoid", "tanh", "softplus", "elu" with an alpha of 1,
        "hardswish", or "none", the same as None. float16 accumulates in float32; `accumulate_dtype="f16"`
        allows short partial sums in float16. `tile` selects the kernel, `device` the GPU.
        Raises ShapeError, DtypeError, LimitError for a tile that exceeds the device's limits, DeviceError,
        OutOfMemory.
        """
        options = MatmulOptions(dtype, tile, bias, _activation(activation), accumulate_dtype, accumulate)
        options.check()
        if accumulate and out is None:
            raise ShapeError("matmul: accumulate adds to what `out` holds: pass out=")
        if type(a) is not Array or type(b) is not Array:
            a, b = _of_lists(a), _of_lists(b)
        if isinstance(a, Array) or isinstance(b, Array):
            return _of_arrays(a, b, out, device, options)
        return host.multiply(np.asarray(a), np.asarray(b), out, device, options, whole=_whole)

    def plan(
        self,
        a: Array | ArrayLike,
        b: Array | ArrayLike,
        *,
        bias: Array | ArrayLike | None = None,
        activation: str | None = None,
        dtype: str | None = None,
        accumulate_dtype: str | None = None,
        tile: Tile = "auto",
        device: Device | None = None,
    ) -> GemmPlan:
        """The plan of `matmul` with these arguments: kernel, split-K, packing and the reason.

        Computes nothing. Raises as `matmul` does for these shapes, dtypes and options.
        """
        options = MatmulOptions(dtype, tile, bias, _activation(activation), accumulate_dtype)
        options.check()
        a, b = _of_lists(a), _of_lists(b)
        left, right = shape_of(a), shape_of(b)
        m, k, n, batch = matmul_shapes(left, right)
        kind = kind_of(a, b, dtype)
        options.check_for(n, kind)
        if not (m * n * k and prod(batch)):
            raise ShapeError(f"matmul: nothing to plan: {left} @ {right} has no terms")
        own = a if isinstance(a, Array) else b if isinstance(b, Array) else None
        device = device or (own.device if own is not None else default_device())
        check_computes(device, kind)
        x, y = planned(a, (m, k), kind, device), planned(b, (k, n), kind, device)
        z = View(0, (*batch, m, n), row_major((*batch, m, n)))
        return plan(device, _problem(x, y, z, kind, options), tile=tile)


matmul = Matmul()


def _activation(name: str | None) -> str | None:
    """The name of the activation; None for "none"."""
    return None if name is None or name == "none" else str(name)


def _of_lists(x: Any) -> Any:
    """`x`; lists of Python's numbers as NumPy arrays of the dtypes that these become."""
    return dtypes.host_values(x, None, operation="matmul")[0] if isinstance(x, list | tuple) else x


def operator(a: object, b: object, *, reflected: bool = False) -> Array | NotImplementedType:
    """The operator `@`: NotImplemented unless both operands are NumPy arrays, lists or `Array`."""
    if type(b) is not Array:
        b = _of_lists(b)
    if not (isinstance(a, Array | np.ndarray) and isinstance(b, Array | np.ndarray)):
        return NotImplemented  # type: ignore[no-any-return]
    left, right = (b, a) if reflected else (a, b)
    return _of_arrays(left, right, None, None, MatmulOptions())


def _of_arrays(a: object, b: object, out: object, device: Device | None, options: MatmulOptions) -> Array:
    """Uploads NumPy operands and applies the operation."""
    given = (a, b) if options.bias is None else (a, b, options.bias)
    own = a if isinstance(a, Array) else b
    assert isinstance(own, Array)
    device = device or own.buffer.device
    arrays: list[Array] = []
    for each in given:
        if type(each) is not Array or each.buffer.device is not device:
            arrays = _sent_operands(given, device, options)
            break
        arrays.append(each)
    if out is None:
        return apply(MATMUL, *arrays, **options.key())
    return apply(MATMUL_INTO, *arrays, _checked_out(out, a, b, device, options), **options.key())


def _sent_operands(given: tuple[object, ...], device: Device, options: MatmulOptions) -> list[Array]:
    """a, b and the bias on the device, checked before any upload."""
    a, b = given[:2]
    _, _, n, _ = matmul_shapes(shape_of(a), shape_of(b))
    kind = kind_of(a, b, options.dtype)
    options.check_for(n, kind)
    check_computes(device, kind)
    return [operand(each, kind, device) for each in given]


def _checked_out(out: object, a: object, b: object, device: Device, options: MatmulOptions) -> Array:
    left, right = shape_of(a), shape_of(b)
    shape = result_shape(left, right, matmul_shapes(left, right)[-1])
    check_out(out, shape, kind_of(a, b, options.dtype), on_host=False)
    return asarray(out, device=device)


def _forward(*arrays: Array, has_bias: bool = False, has_out: bool = False, **given: Any) -> Array:
    """Arrays: a, b, then the bias and `out` if present; the options are those of `MatmulOptions`."""
    a, b = arrays[:2]
    bias = arrays[2] if has_bias else None
    out = arrays[-1] if has_out else None
    device, options = a.device, MatmulOptions(**given, bias=bias)
    m, k, n, batch = matmul_shapes(a.shape, b.shape)
    kind = kind_of(a, b, options.dtype)
    options.check_for(n, kind)
    shape = result_shape(a.shape, b.shape, batch)
    check_computes(device, kind)
    x, y = a.astype(kind, copy=False), b.astype(kind, copy=False)
    if not (m * n and prod(batch)):
        return zeros(shape, dtype=kind, device=device) if out is None else out
    if not k:
        x, y = (zeros(each, dtype=kind, device=device) for each in ((m, 1), (1, n)))
        k = 1
    x, y = as_matrices(x, (m, k)), as_matrices(y, (k, n))
    bias = bias_row(bias, kind, device)
    z = target(out, (*batch, m, n), [x, y, bias], kind, device, accumulate=options.accumulate)
    views = view_of(x), view_of(y), view_of(z)
    chosen = plan(device, _problem(*views, kind, options), tile=options.tile)
    for layouts in layouts_of(*views):
        operands = Operands(x.buffer, y.buffer, z.buffer, *layouts, None if bias is None else bias.buffer)
        for each in dispatches(device, chosen, operands, accumulate=options.accumulate):
            launch(device, **each._asdict())
    if out is None:
        return z.reshape(shape)
    if z.buffer is not out.buffer:
        out.assign(z.reshape(shape))
    return out


def _problem(x: View, y: View, z: View, kind: Dtype, options: MatmulOptions) -> GemmProblem:
    bias, activation = options.bias is not None, options.activation or ""
    return problem_of(
        x,
        y,
        z,
        dtype=kind,
        accumulate_dtype=options.accumulate_dtype_of(kind),
        bias=bias,
        activation=activation,
    )


def _samples() -> Iterator[Sample]:
    """Vectors, partial tiles, broadcast batches; f32 and f16."""
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
    """The product in float64, with the rounding bound of k terms and of the result."""
    a, b = (each.astype(np.float64) for each in sample.operands)
    kind = F16 if sample.operands[0].dtype == F16.numpy else F32
    k = a.shape[-1]
    reference = np.asarray(a @ b)
    magnitude = np.asarray(np.abs(a) @ np.abs(b))
    bound = oracle.rounding_factor(k, F32) * magnitude + oracle.rounding(reference, ulps=0.5, dtype=kind)
    return Expected(reference, bound)


def _cost(arrays: Sequence[Array], result: Array) -> Cost:
    """2mnk flops; operands and result once each."""
    return Cost(2 * result.size * arrays[0].shape[-1], once_each(arrays, result).nbytes)


def _gradient(
    g: Array,
    out: Array,
    a: Array,
    b: Array,
    bias: Array | None = None,
    *,
    wanted: Sequence[bool],
    activation: str | None = None,
    **options: Any,
) -> list[Array | None]:
    """g @ b^T and a^T @ g, where g is that of the product before the activation; g for the bias."""
    if activation is not None:
        arrays = (a, b) if bias is None else (a, b, bias)
        again = partial(apply, MATMUL, *arrays, **options, activation=None)
        g = before_activation(g, out, activation, again)
    vector, columns = a.ndim == 1, b.ndim == 1
    x, y = a.reshape(1, -1) if vector else a, b.reshape(-1, 1) if columns else b
    rows = g.reshape((*g.shape, 1)) if columns else g
    rows = rows.reshape((*rows.shape[:-1], 1, rows.shape[-1])) if vector else rows
    da = rows @ y.mT if wanted[0] else None
    db = x.mT @ rows if wanted[1] else None
    if db is not None and columns:
        db = db.reshape(db.shape[:-1])
    return [da, db, g][: len(wanted)]


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
        gradient=Gradient(joint=_gradient),
    )
)
MATMUL_INTO = OPERATIONS.add(
    Operation("matmul into", partial(_forward, has_out=True), writes=True, gradient="it writes in place")
)


def _whole(device: Device, job: StreamJob, options: MatmulOptions) -> None:
    """A product of NumPy arrays with all operands on the device."""
    given = (job.a, job.b) if options.bias is None else (job.a, job.b, options.bias)
    arrays = [operand(each, job.kind, device) for each in given]
    if job.added is None:
        c = apply(MATMUL, *arrays, **options.key())
    else:
        c = upload(np.ascontiguousarray(job.added), job.kind, device)
        apply(MATMUL_INTO, *arrays, c, **options.key())
    c.numpy(job.c)
