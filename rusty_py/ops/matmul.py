"""Matrix product: `matmul` for arrays of NumPy's and of ours, and the launches it is made of."""

from collections.abc import Iterator
from itertools import product
from types import NotImplementedType
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rusty_py import dtypes
from rusty_py.arrays import Array, allocate, upload
from rusty_py.buffer import Buffer
from rusty_py.device import Device, default_device
from rusty_py.dtypes import F32
from rusty_py.errors import DtypeError, LimitError
from rusty_py.kernel import Launch, Spec, check_workgroup, launch, prepare, run
from rusty_py.ops import blocked
from rusty_py.ops.creation import asarray, zeros
from rusty_py.shapes import Block, ceil_div, matmul_shapes, split
from rusty_py.views import broadcast_strides, collapse, is_row_major

TILES = (8, 16, 32)
NAIVE_EDGE = 16

Tile = int | str
"""A tile edge (8, 16, 32), "naive" for the kernel without tiles, or "auto"."""


class Batch(NamedTuple):
    """So many products in one launch: where the first a, b and c start, and how far the next ones are."""

    products: int = 1
    starts: tuple[int, int, int] = (0, 0, 0)
    steps: tuple[int, int, int] = (0, 0, 0)


class Dispatch(NamedTuple):
    """What a launch needs beside its buffers."""

    dims: tuple[int, ...]
    workgroups: tuple[int, int, int]
    flops: int


@overload
def matmul(
    a: Array,
    b: Array | ArrayLike,
    *,
    dtype: str | None = None,
    tile: Tile = "auto",
    device: Device | None = None,
) -> Array: ...
@overload
def matmul(
    a: ArrayLike, b: Array, *, dtype: str | None = None, tile: Tile = "auto", device: Device | None = None
) -> Array: ...
@overload
def matmul(
    a: ArrayLike,
    b: ArrayLike,
    *,
    dtype: str | None = None,
    tile: Tile = "auto",
    device: Device | None = None,
) -> NDArray[np.float32]: ...
def matmul(
    a: Array | ArrayLike,
    b: Array | ArrayLike,
    *,
    dtype: str | None = None,
    tile: Tile = "auto",
    device: Device | None = None,
) -> Array | NDArray[np.float32]:
    """`a @ b` on the GPU, by NumPy's rules for shapes.

    a: (..., m, k) or (k,), b: (..., k, n) or (k,); float32 in any memory layout, or anything that casts
    to float32 where dtype="f32" says so. Returns a new (..., m, n) float32 array; a 1-D operand leaves
    no axis, and leading axes broadcast. Where one operand is an Array so is the result, and nothing waits;
    NumPy arrays may be larger than a binding of the device, and Arrays may not.
    `tile` chooses the kernel, `device` the GPU. Raises ShapeError, DtypeError, LimitError for a tile the
    device has no room for, DeviceError, OutOfMemory.
    """
    if isinstance(a, Array) or isinstance(b, Array):
        return _of_arrays(a, b, dtype=dtype, tile=tile, device=device)
    left, right = np.asarray(a), np.asarray(b)
    m, k, n, batch = matmul_shapes(left.shape, right.shape)
    check_tile(tile)
    left32 = dtypes.cast(left, dtype, operation="matmul").reshape((*left.shape[:-2], m, k))
    right32 = dtypes.cast(right, dtype, operation="matmul").reshape((*right.shape[:-2], k, n))
    out = np.zeros((*batch, m, n), np.float32)
    if out.size and k:
        device = device or default_device()
        if max(left32.nbytes, right32.nbytes, out.nbytes) <= _most_bytes(device):
            x, y = (upload(each, F32, device) for each in (left32, right32))
            z = allocate(device, out.shape, F32, operation="matmul")
            spec = _spec_for(x, y, tile)
            prepared = [
                _prepared(device, spec, x.buffer, y.buffer, z.buffer, each)
                for each in _dispatches_of(spec, x, y, z)
            ]
            run(device, prepared)
            z.numpy(out)
        else:
            spec = choose_spec(device, m, n, tile=tile)
            left32 = np.broadcast_to(left32, (*batch, m, k))
            right32 = np.broadcast_to(right32, (*batch, k, n))
            for i in np.ndindex(batch):
                _product(device, spec, left32[i], right32[i], out[i])
    product = out.reshape(_result_shape(left.shape, right.shape, batch))
    return product[()] if product.ndim == 0 else product  # A scalar, as NumPy returns.


def operator(a: object, b: object) -> Array | NotImplementedType:
    """What `@` does: NotImplemented for operands that are neither arrays of NumPy's nor of ours."""
    if not (isinstance(a, Array | np.ndarray) and isinstance(b, Array | np.ndarray)):
        return NotImplemented  # type: ignore[no-any-return]
    return _of_arrays(a, b)


def _of_arrays(
    a: object, b: object, *, dtype: str | None = None, tile: Tile = "auto", device: Device | None = None
) -> Array:
    own = a if isinstance(a, Array) else b
    assert isinstance(own, Array)
    device = device or own.device
    x, y = (_operand(each, dtype, device) for each in (a, b))
    m, k, n, batch = matmul_shapes(x.shape, y.shape)
    check_tile(tile)
    shape = _result_shape(x.shape, y.shape, batch)
    x, y = x.reshape((*x.shape[:-2], m, k)), y.reshape((*y.shape[:-2], k, n))
    if not (m * n and k and all(batch)):
        return zeros(shape, device=device)
    x, y = (each if is_row_major(each.shape[-2:], each.strides[-2:]) else each.copy() for each in (x, y))
    spec = _spec_for(x, y, tile)
    z = allocate(device, (*batch, m, n), F32, operation="matmul")
    for dims, workgroups, flops in _dispatches_of(spec, x, y, z):
        launch(
            device,
            spec,
            inputs=[x.buffer, y.buffer],
            outputs=[z.buffer],
            dims=dims,
            workgroups=workgroups,
            flops=flops,
        )
    return z.reshape(shape)


def _operand(x: object, dtype: str | None, device: Device) -> Array:
    if not isinstance(x, Array):
        return upload(dtypes.cast(np.asarray(x), dtype, operation="matmul"), F32, device)
    if dtype is not None:
        return x.astype(dtypes.parse(dtype, operation="matmul"), copy=False)
    if x.kind is not F32:
        raise DtypeError(f'matmul: computes in float32, got {x.dtype}: convert with .astype("f32")')
    return asarray(x, device=device)


def _result_shape(a: tuple[int, ...], b: tuple[int, ...], batch: tuple[int, ...]) -> tuple[int, ...]:
    return (*batch, *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))


def _most_bytes(device: Device) -> int:
    return min(device.limits.binding_bytes, device.limits.buffer_bytes)


def spec_of(tile: Tile) -> Spec:
    """The kernel of a tile edge, or of "naive"."""
    if tile == "naive":
        return Spec("matmul/naive", inputs=2, outputs=1, threads=NAIVE_EDGE**2)
    edge = int(tile)
    staged_bytes = 2 * edge * edge * F32.itemsize
    return Spec(
        "matmul/tiled",
        inputs=2,
        outputs=1,
        threads=edge * edge,
        workgroup_bytes=staged_bytes,
        constants=(("TILE", edge),),
    )


def variants() -> list[Spec]:
    """Every kernel that can be launched here."""
    return [spec_of("naive"), *map(spec_of, TILES), *blocked.BY_SPEC]


def check_tile(tile: Tile) -> None:
    """Raises LimitError for a tile there is no kernel for."""
    if tile not in ("auto", "naive", *TILES):
        tiles = ", ".join(map(str, TILES))
        raise LimitError(f"matmul: no such tile: {tile!r}; choose {tiles}, 'naive' or 'auto'")


def _spec_for(a: Array, b: Array, tile: Tile) -> Spec:
    """The kernel for a @ b, matrices that are row-major one by one and lie on one device."""
    # The blocked kernels read four numbers at once, from where a multiple of four is.
    whole = all(x.offset % 4 == 0 and all(step % 4 == 0 for step in x.strides[:-2]) for x in (a, b))
    return choose_spec(a.device, a.shape[-2], b.shape[-1], k=a.shape[-1] if whole else 0, tile=tile)


def choose_spec(device: Device, m: int, n: int, *, k: int = 0, tile: Tile = "auto") -> Spec:
    """The kernel for an m x n result of sums of `k`: the one asked for, else by a rule of thumb.

    A CPU driver has caches and no use for tiles. A GPU wants large blocks, and enough of them to fill it;
    what blocks do not divide, or where `k` is 0 for not known, takes tiles. Raises LimitError where the
    device has no room for the tile asked for.
    """
    if tile != "auto":
        spec = spec_of(tile)
        check_workgroup(device, spec)
        return spec
    if device.adapter.is_cpu:
        return spec_of("naive")
    if chosen := blocked.choose(device, m, k, n) if k else None:
        return chosen
    edge = 32 if min(m, n) >= 512 else 16
    while edge * edge > device.limits.threads:
        edge //= 2
    return spec_of(edge)


def launches(
    device: Device, spec: Spec, a: Buffer, b: Buffer, c: Buffer, *, m: int, k: int, n: int, add: bool = False
) -> list[Launch]:
    """The dispatches that compute c = a @ b, or c += a @ b with `add`, in order.

    More than one where a dispatch would have too many groups, take too long for one submission, or loop
    further than the driver can.
    """
    return [
        _prepared(device, spec, a, b, c, each)
        for each in dispatches(device, spec, m=m, k=k, n=n, add=add, batch=Batch())
    ]


def dispatches(
    device: Device, spec: Spec, *, m: int, k: int, n: int, batch: Batch, add: bool = False
) -> Iterator[Dispatch]:
    """What `launches` says, for a batch of products; those of one launch lie along its z."""
    rows, cols = block_of(spec)
    most_flops = device.pace.flops(spec)
    groups = device.limits.groups
    blocks = list(
        split(
            (m, n, k),
            most=(groups * rows, groups * cols, _deepest(device, spec)),
            multiple=max(rows, cols),
            fits=lambda block: block.flops <= most_flops,
        )
    )
    # The first block is the largest: what fits of it fits of all.
    most = max(1, min(device.limits.groups, most_flops // blocks[0].flops)) if blocks else 1
    for first in range(0, batch.products, most):
        count = min(most, batch.products - first)
        starts = [start + first * step for start, step in zip(batch.starts, batch.steps, strict=True)]
        places = tuple(word & 0xFFFFFFFF for word in (*starts, *batch.steps))
        for block in blocks:
            accumulate = int(add or block.k0 > 0)
            corner = (block.row0, block.col0, block.k0, block.k1)
            workgroups = (ceil_div(block.cols, cols), ceil_div(block.rows, rows), count)
            yield Dispatch((m, n, k, *corner, accumulate, *places), workgroups, count * block.flops)


def _dispatches_of(spec: Spec, a: Array, b: Array, c: Array) -> Iterator[Dispatch]:
    """The dispatches of c = a @ b, for matrices that are row-major one by one; leading axes broadcast."""
    lead, (m, n), k = c.shape[:-2], c.shape[-2:], a.shape[-1]
    sizes, steps = collapse(
        lead,
        broadcast_strides(a.shape[:-2], a.strides[:-2], lead),
        broadcast_strides(b.shape[:-2], b.strides[:-2], lead),
        c.strides[:-2],
    )
    inner = sizes[-1] if sizes else 1
    inner_steps = tuple(step[-1] if step else 0 for step in steps)
    for position in product(*map(range, sizes[:-1])):
        starts = [
            each.offset + sum(i * stride for i, stride in zip(position, step, strict=False))
            for each, step in zip((a, b, c), steps, strict=True)
        ]
        batch = Batch(inner, (starts[0], starts[1], starts[2]), inner_steps)  # type: ignore[arg-type]
        yield from dispatches(c.device, spec, m=m, k=k, n=n, batch=batch)


def _prepared(device: Device, spec: Spec, a: Buffer, b: Buffer, c: Buffer, each: Dispatch) -> Launch:
    return prepare(
        device,
        spec,
        inputs=[a, b],
        outputs=[c],
        dims=each.dims,
        workgroups=each.workgroups,
        flops=each.flops,
    )


def block_of(spec: Spec) -> tuple[int, int]:
    """The rows and columns of the result that one workgroup of `spec` computes."""
    if spec in blocked.BY_SPEC:
        return blocked.BY_SPEC[spec].block_m, blocked.BY_SPEC[spec].block_n
    edge = dict(spec.constants).get("TILE", NAIVE_EDGE)
    return edge, edge


def _deepest(device: Device, spec: Spec) -> int:
    """The longest sum of one dispatch: a tiled kernel loops once more for every tile of it."""
    steps = device.limits.loop_steps
    if spec in blocked.BY_SPEC:
        return steps * blocked.BLOCK_K
    tile = dict(spec.constants).get("TILE")
    deepest = steps if tile is None else steps // (tile + 1) * tile
    if not deepest:
        raise LimitError(f"{spec}: loops longer than {device.adapter} can: {steps} steps; try a smaller tile")
    return deepest


def _product(
    device: Device,
    spec: Spec,
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """out = a @ b for matrices of any size, in blocks that fit the device's bindings."""
    (m, k), n = a.shape, b.shape[1]
    most = _most_bytes(device) // F32.itemsize

    def fits(block: Block) -> bool:
        areas = (block.rows * block.depth, block.depth * block.cols, block.rows * block.cols)
        return max(areas) <= most

    for block in split((m, n, k), most=(m, n, k), multiple=max(TILES), fits=fits):
        rows, cols = slice(block.row0, block.row1), slice(block.col0, block.col1)
        depth = slice(block.k0, block.k1)
        a_block = device.upload(np.ascontiguousarray(a[rows, depth]), label="a")
        b_block = device.upload(np.ascontiguousarray(b[depth, cols]), label="b")
        if block.k0 == 0:
            c_block = device.empty(block.rows * block.cols * F32.itemsize, label="c")
        run(
            device,
            launches(
                device,
                spec,
                a_block,
                b_block,
                c_block,
                m=block.rows,
                k=block.depth,
                n=block.cols,
                add=block.k0 > 0,
            ),
        )
        if block.k1 == k:
            c = np.empty((block.rows, block.cols), np.float32)
            device.read(c_block, c)
            out[rows, cols] = c
