"""Pooling with common windows on GPUs: a thread computes a tile, in text that is unrolled for the window.

Every element is loaded once by a thread that needs it, and neighbouring threads load neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from rusty_py import shaders
from rusty_py.arrays import Array
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.ops.pool.access import Access, LoadedRow, access_of, store_text
from rusty_py.ops.pool.loops import divisor_text
from rusty_py.ops.pool.problem import Kind, Pooling, inputs_text
from rusty_py.ops.pool.window import PoolWindow, channels_first, in_layout
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec, launch
from rusty_py.shapes import ceil_div

THREADS = 64


@dataclass(frozen=True)
class SquareWindow:
    """A square window: taps a side, from one to the next, and padding."""

    kernel: int
    stride: int
    padding: int

    def __str__(self) -> str:
        return f"{self.kernel}x{self.kernel} stride {self.stride} padding {self.padding}"


COMMON = (
    SquareWindow(2, 2, 0),
    SquareWindow(3, 2, 0),
    SquareWindow(3, 2, 1),
    SquareWindow(3, 1, 0),
    SquareWindow(3, 1, 1),
)
"""Those that kernels are unrolled for."""

ROWS = 4
"""Rows of windows that a thread computes."""

GRADIENT_ROWS = 4
"""Rows of a plane of which a thread computes the gradient, a multiple of the strides."""

CHANNEL_CELLS = 2
"""Rows of cells of which a thread computes the gradient for four channels: more need too many registers."""

PLANE_COLS, CHANNEL_COLS = 4, 2
"""Columns of a thread's tile, windows or cells: in a plane, and of four channels each."""


@dataclass(frozen=True)
class TiledPooling:
    """What the unrolled kernels are specialised for.

    `whole`: all taps are inside of the images. `divisors`: of averages, "equal", or those of windows that
    include the padding, "padded", or not, "inside".
    """

    kind: Kind
    dtype: Dtype
    square: SquareWindow
    x: Access
    out: Access
    g: Access = "scalar"
    whole: bool = False
    divisors: str = "equal"

    @property
    def cols(self) -> int:
        return CHANNEL_COLS if self.out == "channels" else PLANE_COLS

    def __str__(self) -> str:
        parts = [self.kind, self.dtype.name, str(self.square), f"{self.x} {self.g} to {self.out}"]
        parts += ["whole" * self.whole, f"{self.divisors} divisors" * (self.kind == "avg")]
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
    square = square_of(x.device, problem.window)
    access = access_of(x, channels_last=problem.channels_last)
    if square is None or access is None:
        return None
    out = problem.of_windows(x.device, operation=operation)
    tiling = TiledPooling(
        problem.kind,
        problem.dtype,
        square,
        access,
        _stored(problem, out),
        whole=problem.window.stays_inside(problem.size, problem.out),
        divisors=_divisors(problem),
    )
    tiles = ceil_div(problem.out[0], ROWS), ceil_div(problem.out[1], tiling.cols)
    _launch(problem, windows_spec(tiling), tiles, {"x": x}, out)
    return out


def gradient(problem: Pooling, g: Array, x: Array | None, *, operation: str) -> Array | None:
    """The gradient of the images; x are the images, for maxima. None where only loops compute it."""
    square = square_of(g.device, problem.window)
    if square is None or (problem.channels_last and problem.shape[1] % 4):
        return None
    if access_of(g, channels_last=problem.channels_last) is None:
        g = channels_first(in_layout(g, "NHWC").copy(), "NHWC")
    arrays = {"g": g} if x is None else {"g": g, "x": x}
    of_g, of_x = (access_of(each, channels_last=problem.channels_last) for each in (g, arrays.get("x", g)))
    if of_g is None or of_x is None:
        return None
    out = problem.images(g.device, operation=operation)
    stored, divisors = _stored(problem, out), _divisors(problem)
    tiling = TiledPooling(problem.kind, problem.dtype, square, of_x, stored, of_g, divisors=divisors)
    rows, cols = _gradient_rows(tiling) * square.stride, tiling.cols * square.stride
    tiles = ceil_div(problem.size[0], rows), ceil_div(problem.size[1], cols)
    _launch(problem, gradient_spec(tiling), tiles, arrays, out)
    return out


def _stored(problem: Pooling, out: Array) -> Access:
    """How rows of the result, a new array, are stored."""
    access = access_of(out, channels_last=problem.channels_last)
    assert access is not None
    return access


def _divisors(problem: Pooling) -> str:
    if problem.kind == "max" or problem.equal_divisors:
        return "equal"
    return "padded" if problem.window.count_include_pad else "inside"


def _launch(
    problem: Pooling,
    spec: Spec,
    tiles: tuple[int, int],
    arrays: dict[str, Array],
    out: Array,
) -> None:
    """One launch over `tiles`, along height and width, of each plane, or image and four channels."""
    batch, channels = problem.shape[:2]
    tasks, planes = tiles[0] * tiles[1], batch * channels
    if problem.channels_last:
        tasks, planes = tasks * (channels // 4), batch
    lanes = min(THREADS, 1 << (tasks - 1).bit_length())
    groups = ceil_div(tasks, lanes), ceil_div(planes * lanes, THREADS)
    limit = out.device.limits.groups
    launch(
        out.device,
        spec,
        inputs=[each.buffer for each in arrays.values()],
        outputs=[out.buffer],
        uniforms=problem.uniforms(**arrays, tasks=(lanes, planes, tasks, tiles[1])),
        workgroups=(min(groups[0], limit), min(groups[1], limit), 1),
        flops=problem.windows * problem.window.taps,
    )


@cache
def windows_spec(tiling: TiledPooling) -> Spec:
    """The kernel for maxima or averages."""
    square, cols, is_max = tiling.square, tiling.cols, tiling.kind == "max"
    scalar = "u32" if is_max else "f32"
    count = (cols - 1) * square.stride + square.kernel
    row = _row_of_images(tiling, scalar, count, cols * square.stride, square.padding, whole=tiling.whole)
    floats = _vector("f32", row.value)
    text = inputs_text((("x_in", row.binding),), "elem" if tiling.out == "scalar" else "vec4<elem>")
    text += _constants(
        ROWS=ROWS, COLS=cols, KERNEL=square.kernel, STRIDE=square.stride, PADDING=square.padding
    )
    text += (
        row.text + _place(tiling) + store_text(tiling.out, tiling.dtype, cols, ("out_height", "out_width"))
    )
    text += f"alias total = {row.value};\nalias total_floats = {floats};\n"
    if is_max:
        text += _keys(row) + _COMBINE.format(result="max(a, b)") + _FINISHED.format(result="float_of(x)")
    else:
        text += _COMBINE.format(result="a + b") + _FINISHED.format(result="x / divisor(y, column)")
        text += _divisor(tiling)
    return Spec("pool2d/tiles", 1, 1, THREADS, definitions=text, variant=str(tiling))


@cache
def gradient_spec(tiling: TiledPooling) -> Spec:
    """The kernel for the gradient of either."""
    square, cols, is_max = tiling.square, tiling.cols, tiling.kind == "max"
    rows, (kernel, stride) = _gradient_rows(tiling), (square.kernel, square.stride)
    before = (kernel - 1 - square.padding) // stride
    lead = square.padding + stride * before
    after = (stride - 1 + square.padding) // stride
    g_rows, g_cols = (size + before + after for size in (rows, cols))
    convert = "f32(v)" if tiling.g == "scalar" else "vec4<f32>(v)"
    of_g = LoadedRow("g", tiling.g, g_cols, cols, before, "f32", convert)
    bindings = [("g_in", of_g.binding)]
    text = _constants(ROWS=rows, COLS=cols, KERNEL=kernel, STRIDE=stride, LEAD=lead)
    text += _constants(BEFORE=before, G_ROWS=g_rows) + of_g.text + _place(tiling)
    text += store_text(tiling.out, tiling.dtype, cols * stride, ("height", "width"))
    text += f"alias value = {of_g.value};\nalias code = {_vector('u32', of_g.value)};\n"
    if is_max:
        count = (g_cols - 1) * stride + kernel
        of_x = _row_of_images(tiling, "u32", count, cols * stride, lead, key="key_of_tap")
        bindings.append(("x_in", of_x.binding))
        text += of_x.text + "alias total = code;\nalias total_floats = value;\n" + _keys(of_x) + _KEY_OF_TAP
        text += shaders.read("pool2d/codes") + _SHARE_MAX
    else:
        text += _SHARE_AVG + _divisor(tiling)
    text = inputs_text(tuple(bindings), "elem" if tiling.out == "scalar" else "vec4<elem>") + text
    return Spec("pool2d/tiles_gradient", len(bindings), 1, THREADS, definitions=text, variant=str(tiling))


def _gradient_rows(tiling: TiledPooling) -> int:
    """Cells along the height of a tile."""
    return CHANNEL_CELLS if tiling.out == "channels" else GRADIENT_ROWS // tiling.square.stride


def _row_of_images(
    tiling: TiledPooling,
    scalar: str,
    count: int,
    step: int,
    before: int,
    *,
    whole: bool = False,
    key: str = "key_of",
) -> LoadedRow:
    floats = "f32" if tiling.x == "scalar" else "vec4<f32>"
    convert = f"{key}({floats}(v))" if scalar == "u32" else f"{floats}(v)"
    return LoadedRow("x", tiling.x, count, step, before, scalar, convert, whole)


def _vector(scalar: str, like: str) -> str:
    """`scalar`, or a vec4 of it where `like` is one."""
    return f"vec4<{scalar}>" if like.startswith("vec4") else scalar


def _constants(**values: int) -> str:
    return "".join(f"const {name}: u32 = {value}u;\n" for name, value in values.items())


def _place(tiling: TiledPooling) -> str:
    return shaders.read("pool2d/channels" if tiling.out == "channels" else "pool2d/planes")


def _keys(row: LoadedRow) -> str:
    floats = _vector("f32", row.loaded)
    return f"alias floats = {floats};\nalias keys = {row.loaded};\n{shaders.read('pool2d/keys')}"


def _divisor(tiling: TiledPooling) -> str:
    if tiling.divisors != "equal":
        return divisor_text(tiling.divisors == "padded")
    count = tiling.square.kernel**2
    return f"fn divisor(y: u32, x: u32) -> f32 {{\n    return {count}.0;\n}}\n"


_COMBINE = "fn combine(a: total, b: total) -> total {{\n    return {result};\n}}\n"
_FINISHED = "fn finished(x: total, y: u32, column: u32) -> result {{\n    return result({result});\n}}\n"
# Between what is outside, 0, and the keys of what is inside.
_KEY_OF_TAP = """
fn key_of_tap(x: floats) -> keys {
    return min(key_of(x), keys(0xfffffffeu)) + keys(1u);
}
"""
_SHARE_MAX = """
fn share_of(g: value, codes: code, tap: u32) -> value {
    return select(value(), g, codes == code(tap));
}
fn divided(g: value, y: u32, x: u32) -> value {
    return g;
}
"""
_SHARE_AVG = """
fn codes_of(place: Place) -> array<code, G_ROWS * G_COLS> {
    return array<code, G_ROWS * G_COLS>();
}
fn share_of(g: value, codes: code, tap: u32) -> value {
    return g;
}
// Beyond the last window the divisor may be 0.
fn divided(g: value, y: u32, x: u32) -> value {
    return g / max(divisor(y, x), 1.0);
}
"""


def variants() -> list[Spec]:
    """Kernels that cover each text for each access, with maxima and averages, and each dtype."""
    small, large, dense = SquareWindow(2, 2, 0), SquareWindow(3, 2, 1), SquareWindow(3, 1, 1)
    found = []
    kinds: tuple[Kind, ...] = ("max", "avg")
    for kind in kinds:
        for dtype in (F32, F16):
            found += _both(TiledPooling(kind, dtype, large, "vec4", "vec4", "vec4"))
            found += _both(TiledPooling(kind, dtype, small, "channels", "channels", "channels", whole=True))
        found += _both(TiledPooling(kind, F32, small, "vec4", "vec4", "vec4", whole=True))
        found += _both(TiledPooling(kind, F32, large, "channels", "channels", "channels"))
        found += _both(TiledPooling(kind, F32, dense, "vec4", "vec4", "vec4"))
        found += _both(TiledPooling(kind, F32, SquareWindow(3, 1, 0), "scalar", "scalar", whole=True))
    for divisors in ("padded", "inside"):
        found += _both(TiledPooling("avg", F32, large, "scalar", "scalar", divisors=divisors))
    return found


def _both(tiling: TiledPooling) -> list[Spec]:
    """The kernel of windows, which has no access to g, and that of the gradient, which is never `whole`."""
    return [windows_spec(replace(tiling, g="scalar")), gradient_spec(replace(tiling, whole=False))]
