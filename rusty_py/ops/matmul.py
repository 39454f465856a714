"""Matrix product: `matmul` for NumPy arrays, and the launches it is made of."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rusty_py import dtypes
from rusty_py.device import Buffer, Device, default_device
from rusty_py.errors import LimitError
from rusty_py.kernel import Launch, Spec, check_workgroup, prepare, run
from rusty_py.shapes import Block, ceil_div, matmul_shapes, split

TILES = (8, 16, 32)
NAIVE_EDGE = 16

Tile = int | str
"""A tile edge (8, 16, 32), "naive" for the kernel without tiles, or "auto"."""


def matmul(
    a: ArrayLike,
    b: ArrayLike,
    *,
    dtype: str | None = None,
    tile: Tile = "auto",
    device: Device | None = None,
) -> NDArray[np.float32]:
    """`a @ b` on the GPU, by NumPy's rules for shapes.

    a: (..., m, k) or (k,), b: (..., k, n) or (k,); float32 in any memory layout, or anything that casts
    to float32 where dtype="f32" says so. Returns a new (..., m, n) float32 array; a 1-D operand leaves
    no axis, and leading axes broadcast. `tile` chooses the kernel, `device` the GPU.
    Raises ShapeError, DtypeError, LimitError for a tile the device has no room for, DeviceError, OutOfMemory.
    """
    left, right = np.asarray(a), np.asarray(b)
    m, k, n, batch = matmul_shapes(left.shape, right.shape)
    check_tile(tile)
    left32 = dtypes.cast(left, dtype, operation="matmul").reshape((*left.shape[:-2], m, k))
    right32 = dtypes.cast(right, dtype, operation="matmul").reshape((*right.shape[:-2], k, n))
    out = np.zeros((*batch, m, n), np.float32)
    if out.size and k:
        device = device or default_device()
        spec = choose_spec(device, m, n, tile=tile)
        left32 = np.broadcast_to(left32, (*batch, m, k))
        right32 = np.broadcast_to(right32, (*batch, k, n))
        for i in np.ndindex(batch):
            _product(device, spec, left32[i], right32[i], out[i])
    rows = () if left.ndim == 1 else (m,)
    cols = () if right.ndim == 1 else (n,)
    product = out.reshape((*batch, *rows, *cols))
    return product[()] if product.ndim == 0 else product  # A scalar, as NumPy returns.


def spec_of(tile: Tile) -> Spec:
    """The kernel of a tile edge, or of "naive"."""
    if tile == "naive":
        return Spec("matmul/naive", inputs=2, outputs=1, threads=NAIVE_EDGE**2)
    edge = int(tile)
    staged_bytes = 2 * edge * edge * dtypes.F32.itemsize
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
    return [spec_of("naive"), *map(spec_of, TILES)]


def check_tile(tile: Tile) -> None:
    """Raises LimitError for a tile there is no kernel for."""
    if tile not in ("auto", "naive", *TILES):
        tiles = ", ".join(map(str, TILES))
        raise LimitError(f"matmul: no such tile: {tile!r}; choose {tiles}, 'naive' or 'auto'")


def choose_spec(device: Device, m: int, n: int, *, tile: Tile = "auto") -> Spec:
    """The kernel for an m x n result: the one asked for, else by a rule of thumb.

    A CPU driver has caches and no use for tiles. A GPU wants large tiles, and enough of them to fill it.
    Raises LimitError where the device has no room for the tile asked for.
    """
    if tile != "auto":
        spec = spec_of(tile)
        check_workgroup(device, spec)
        return spec
    if device.adapter.is_cpu:
        return spec_of("naive")
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
    edge = dict(spec.constants).get("TILE", NAIVE_EDGE)
    most_flops = device.pace.flops(spec)
    widest = device.limits.groups * edge
    blocks = split(
        (m, n, k),
        most=(widest, widest, _deepest(device, spec)),
        multiple=edge,
        fits=lambda block: block.flops <= most_flops,
    )
    return [
        prepare(
            device,
            spec,
            inputs=[a, b],
            outputs=[c],
            dims=(m, n, k, block.row0, block.col0, block.k0, block.k1, int(add or block.k0 > 0)),
            workgroups=(ceil_div(block.cols, edge), ceil_div(block.rows, edge), 1),
            flops=block.flops,
        )
        for block in blocks
    ]


def _deepest(device: Device, spec: Spec) -> int:
    """The longest sum of one dispatch: a tiled kernel loops once more for every tile of it."""
    tile = dict(spec.constants).get("TILE")
    steps = device.limits.loop_steps
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
    most = min(device.limits.binding_bytes, device.limits.buffer_bytes) // dtypes.F32.itemsize

    def fits(block: Block) -> bool:
        areas = (block.rows * block.depth, block.depth * block.cols, block.rows * block.cols)
        return max(areas) <= most

    for block in split((m, n, k), most=(m, n, k), multiple=max(TILES), fits=fits):
        rows, cols = slice(block.row0, block.row1), slice(block.col0, block.col1)
        depth = slice(block.k0, block.k1)
        a_block = device.upload(np.ascontiguousarray(a[rows, depth]), label="a")
        b_block = device.upload(np.ascontiguousarray(b[depth, cols]), label="b")
        if block.k0 == 0:
            c_block = device.empty(block.rows * block.cols * dtypes.F32.itemsize, label="c")
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
