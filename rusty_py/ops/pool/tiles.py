"""Pooling with common windows on GPUs: a thread computes a tile, in text that is unrolled for the window.

Neighbouring threads load neighbouring elements, and store neighbouring results.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

from rusty_py import shaders
from rusty_py.arrays import Array
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.ops.pool.access import (
    NEAREST,
    Access,
    LoadedRow,
    access_of,
    store_text,
    stored_access,
    stored_type,
    vector,
)
from rusty_py.ops.pool.loops import divisor_text
from rusty_py.ops.pool.problem import Kind, Pooling, inputs_text
from rusty_py.ops.pool.tile_sizes import COMMON, SquareWindow, Tile, tile_for
from rusty_py.ops.pool.window import PoolWindow, channels_first, in_layout
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec, launch
from rusty_py.shapes import ceil_div

THREADS = 64


@dataclass(frozen=True)
class TiledPooling:
    """What the unrolled kernels are specialised for.

    `whole`, for averages: all taps are inside of the images. `divisors`: of averages, "equal", or those of
    windows that include the padding, "padded", or not, "inside".
    """

    kind: Kind
    dtype: Dtype
    square: SquareWindow
    tile: Tile
    x: Access
    out: Access
    g: Access = "scalar"
    whole: bool = False
    divisors: str = "equal"

    def __str__(self) -> str:
        parts = [self.kind, self.dtype.name, str(self.square), f"{self.x} {self.g} to {self.out}"]
        parts += [f"{self.tile.rows}x{self.tile.cols}x{self.tile.channels}", "whole" * self.whole]
        parts += [f"{self.divisors} divisors" * (self.kind == "avg")]
        return " ".join(filter(None, parts))


def square_of(device: Device, window: PoolWindow) -> SquareWindow | None:
    """The window as one that kernels are unrolled for; None if it is another, or on a CPU driver."""
    square = SquareWindow(window.kernel[0], window.stride[0], window.padding[0])
    pairs = (window.kernel, window.stride, window.padding)
    if device.adapter.is_cpu or any(a != b for a, b in pairs) or window.dilation != (1, 1):
        return None
    return square if square in COMMON else None


def pooled(problem: Pooling, x: Array, *, operation: str) -> Array | None:
    """The maximum or average of each window; None where only loops compute it."""
    square, last = square_of(x.device, problem.window), problem.channels_last
    access = access_of(x, channels_last=last)
    if square is None or access is None:
        return None
    tile = tile_for(problem.kind, problem.dtype.name, square, channels_last=last)
    out = problem.of_windows(x.device, operation=operation)
    tiling = TiledPooling(
        problem.kind,
        problem.dtype,
        square,
        tile,
        access,
        stored_access(out, channels_last=last, cols=tile.cols),
        whole=problem.kind == "avg" and problem.window.stays_inside(problem.size, problem.out),
        divisors=_divisors(problem),
    )
    tiles = ceil_div(problem.out[0], tile.rows), ceil_div(problem.out[1], tile.cols)
    _launch(problem, windows_spec(tiling), tiles, tile.channels, {"x": x}, out)
    return out


def gradient(problem: Pooling, g: Array, x: Array | None, *, operation: str) -> Array | None:
    """The gradient of the images; x are the images, for maxima. None where only loops compute it."""
    square, last = square_of(g.device, problem.window), problem.channels_last
    if square is None or (last and problem.shape[1] % 4):
        return None
    if access_of(g, channels_last=last) is None:
        g = channels_first(in_layout(g, "NHWC").copy(), "NHWC")
    arrays = {"g": g} if x is None else {"g": g, "x": x}
    tile = tile_for(f"{problem.kind} gradient", problem.dtype.name, square, channels_last=last)
    cols = tile.cols * square.stride
    of_g = access_of(g, channels_last=last, cols=tile.cols)
    of_x = of_g if x is None else access_of(x, channels_last=last, cols=cols)
    if of_g is None or of_x is None:
        return None
    out = problem.images(g.device, operation=operation)
    stored, divisors = stored_access(out, channels_last=last, cols=cols), _divisors(problem)
    tiling = TiledPooling(problem.kind, problem.dtype, square, tile, of_x, stored, of_g, divisors=divisors)
    # Rows of windows that begin before the last row of the images.
    rows = (problem.size[0] - 1 + square.padding) // square.stride + 1
    tiles = ceil_div(rows, tile.rows), ceil_div(problem.size[1], cols)
    _launch(problem, gradient_spec(tiling), tiles, tile.channels, arrays, out)
    return out


def _divisors(problem: Pooling) -> str:
    if problem.kind == "max" or problem.equal_divisors:
        return "equal"
    return "padded" if problem.window.count_include_pad else "inside"


def _launch(
    problem: Pooling,
    spec: Spec,
    tiles: tuple[int, int],
    vector_size: int,
    arrays: dict[str, Array],
    out: Array,
) -> None:
    """One launch over `tiles`, along height and width, of each plane, or image and vector of channels."""
    batch, channels = problem.shape[:2]
    tasks, planes = tiles[0] * tiles[1], batch * channels
    if problem.channels_last:
        tasks, planes = tasks * (channels // vector_size), batch
    launch(
        out.device,
        spec,
        inputs=[each.buffer for each in arrays.values()],
        outputs=[out.buffer],
        uniforms=problem.uniforms(**arrays, tasks=(planes, tasks, tiles[1])),
        workgroups=(min(ceil_div(planes * tasks, THREADS), out.device.limits.groups), 1, 1),
        flops=problem.windows * problem.window.taps,
    )


@cache
def windows_spec(tiling: TiledPooling) -> Spec:
    """The kernel for maxima or averages."""
    square, tile, is_max = tiling.square, tiling.tile, tiling.kind == "max"
    count = (tile.cols - 1) * square.stride + square.kernel
    row = _row_of_images(tiling, count, tile.cols * square.stride, square.padding)
    text = _common(tiling, tile.cols, ("out_height", "out_width")) + row.text
    text += f"alias total = {row.value};\n"
    if is_max:
        text += _keys(row) + _COMBINE.format(result="max(a, b)") + _FINISHED.format(result="float_of(x)")
    else:
        text += _COMBINE.format(result="a + b") + _FINISHED.format(result="quotient(x, y, column)")
        text += _quotient(tiling, row.value)
    text = inputs_text((("x_in", row.binding),), stored_type(tiling.out, channels=tile.channels)) + text
    return Spec("pool2d/tiles", 1, 1, THREADS, definitions=text, variant=str(tiling))


@cache
def gradient_spec(tiling: TiledPooling) -> Spec:
    """The kernel for the gradient of either."""
    square, tile = tiling.square, tiling.tile
    kernel, stride = square.kernel, square.stride
    before = (kernel - 1 - square.padding) // stride
    lead = square.padding + stride * before
    g_cols = tile.cols + before + (stride - 1 + square.padding) // stride
    of_g = LoadedRow("g", tiling.g, g_cols, tile.cols, before, "f32", "", channels=tile.channels)
    of_g = replace(of_g, convert=f"{of_g.loaded}(v)")
    bindings = [("g_in", of_g.binding)]
    text = _common(tiling, tile.cols * stride, ("height", "width")) + of_g.text
    text += shaders.constants({"LEAD": lead, "BEFORE": before}) + f"alias value = {of_g.value};\n"
    if tiling.kind == "max":
        of_x = _row_of_images(tiling, (g_cols - 1) * stride + kernel, tile.cols * stride, lead)
        bindings.append(("x_in", of_x.binding))
        text += f"alias key = {of_x.value};\nalias total = key;\n"
        text += f"alias flags = {vector('bool', tile.channels)};\n" + of_x.text + _keys(of_x)
    else:
        text += _quotient(tiling, of_g.value)
    text = inputs_text(tuple(bindings), stored_type(tiling.out, channels=tile.channels)) + text
    name = f"pool2d/tiles_{tiling.kind}_gradient"
    return Spec(name, len(bindings), 1, THREADS, definitions=text, variant=str(tiling))


def _common(tiling: TiledPooling, out_cols: int, size: tuple[str, str]) -> str:
    """What both kernels declare, for results of a height and width that the uniforms name."""
    square, tile = tiling.square, tiling.tile
    constants = {
        "ROWS": tile.rows,
        "COLS": tile.cols,
        "KERNEL": square.kernel,
        "STRIDE": square.stride,
        "PADDING": square.padding,
        "CHANNELS": tile.channels,
    }
    place = shaders.read("pool2d/channels" if tiling.out == "channels" else "pool2d/planes")
    stores = store_text(tiling.out, tiling.dtype, out_cols, size, channels=tile.channels)
    return shaders.constants(constants) + NEAREST + place + stores


def _row_of_images(tiling: TiledPooling, count: int, step: int, before: int) -> LoadedRow:
    """Keys for maxima, elements for averages."""
    is_max = tiling.kind == "max"
    row = LoadedRow(
        "x",
        tiling.x,
        count,
        step,
        before,
        "u32" if is_max else "f32",
        "",
        whole=tiling.whole,
        nearest=is_max,
        channels=tiling.tile.channels,
    )
    floats = vector("f32", row.unit)
    return replace(row, convert=f"key_of({floats}(v))" if is_max else f"{floats}(v)")


def _keys(row: LoadedRow) -> str:
    """Keys of what a row loads, and floats of its values, whose type is `total`."""
    types = [("floats", "f32"), ("keys", "u32"), ("ints", "i32")]
    text = "".join(f"alias {name} = {vector(scalar, row.unit)};\n" for name, scalar in types)
    for name, scalar in (("total_floats", "f32"), ("total_ints", "i32")):
        text += f"alias {name} = {vector(scalar, row.channels)};\n"
    return text + shaders.read("pool2d/keys")


def _quotient(tiling: TiledPooling, value: str) -> str:
    """quotient(x, y, column) -> value, x by the divisor of a window, which may be 0 beyond the last one."""
    found, text = f"x * (1.0 / {tiling.square.kernel**2}.0)", ""
    if tiling.divisors != "equal":
        found, text = "x / max(divisor(y, column), 1.0)", divisor_text(tiling.divisors == "padded")
    return f"{text}fn quotient(x: {value}, y: u32, column: u32) -> {value} {{\n    return {found};\n}}\n"


_COMBINE = "fn combine(a: total, b: total) -> total {{\n    return {result};\n}}\n"
_FINISHED = "fn finished(x: total, y: u32, column: u32) -> result {{\n    return result({result});\n}}\n"


def variants() -> list[Spec]:
    """Each window in f32, with vec4, scalar and channels accesses; in f16, each size and stride, no scalars.

    Other texts combine the same functions: scalar loads with vec4 stores, or the reverse, for views; f16 as
    scalars; taps outside without padding, by `ceil_mode`; other divisors with other windows.
    """
    found: list[Spec] = []
    kinds: tuple[Kind, ...] = ("max", "avg")
    for kind, square in product(kinds, COMMON):
        for access in _ACCESSES:
            found += _both(kind, F32, square, access)
        if square.padding == 1 or square.kernel == 2:
            found += [*_both(kind, F16, square, "vec4"), *_both(kind, F16, square, "channels")]
    for divisors in ("padded", "inside"):
        found += _both("avg", F32, SquareWindow(3, 2, 1), "scalar", divisors=divisors)
    return found


_ACCESSES: tuple[Access, ...] = ("vec4", "scalar", "channels")


def _both(
    kind: Kind, dtype: Dtype, square: SquareWindow, access: Access, *, divisors: str = "equal"
) -> Iterator[Spec]:
    """The kernel of windows and that of the gradient. 3x3 windows without padding have unaligned rows."""
    last = access == "channels"
    of_windows = "scalar" if access == "vec4" and square.kernel == 3 and square.padding == 0 else access
    tile = tile_for(kind, dtype.name, square, channels_last=last)
    out = _stored(of_windows, dtype, tile.cols)
    whole = kind == "avg" and square.padding == 0
    yield windows_spec(TiledPooling(kind, dtype, square, tile, access, out, whole=whole, divisors=divisors))
    tile = tile_for(f"{kind} gradient", dtype.name, square, channels_last=last)
    of_g = "scalar" if of_windows == "vec4" and tile.cols % 4 else of_windows
    out = _stored(access, dtype, tile.cols * square.stride)
    of_x = access if kind == "max" else of_g
    yield gradient_spec(TiledPooling(kind, dtype, square, tile, of_x, out, of_g, divisors=divisors))


def _stored(access: Access, dtype: Dtype, cols: int) -> Access:
    """How a row is stored that is aligned enough."""
    return "vec8" if access == "vec4" and dtype == F16 and cols % 8 == 0 else access
