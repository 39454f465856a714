"""Windows of the input in registers: constants and memory access for window.wgsl and pixels.wgsl."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import gcd

from rusty_py import shaders
from rusty_py.arrays import Array
from rusty_py.ops.conv.algorithm import Epilogue, definitions
from rusty_py.ops.conv.correlation import Correlation, Pair, Taps
from rusty_py.shapes import ceil_div

PIXELS = 4
"""Neighbouring pixels of a thread."""

BUSY_THREADS = 1 << 16
"""So many keep a GPU busy: with fewer, a thread gets fewer rows or channels of the result.

On an H200, 3 to 64 channels at 800x600 are as fast with 120,000 threads as with twice as many.
"""


@dataclass(frozen=True)
class Window:
    """The input of 4 pixels of `out_rows` rows for `taps` of `channels`: the constants of window.wgsl.

    `per_out` and `per_tap` are distances in the window. Neighbours in the window are `step` apart in the
    input; None stands for the stride, which the uniforms have. With `vec4`, rows are loaded in aligned
    vec4s, the first of which begins `phase` columns before the first pixel's.
    """

    channels: int
    out_rows: int
    taps: Pair
    per_out: Pair
    per_tap: Pair
    step: Pair | None = None
    vec4: bool = False
    phase: int = 0

    @property
    def rows(self) -> int:
        return (self.out_rows - 1) * self.per_out[0] + (self.taps[0] - 1) * self.per_tap[0] + 1

    @property
    def columns(self) -> int:
        """Those that pixels use."""
        return (PIXELS - 1) * self.per_out[1] + (self.taps[1] - 1) * self.per_tap[1] + 1

    @property
    def registers(self) -> int:
        return self.channels * self.rows * self.columns

    @property
    def text(self) -> str:
        """window.wgsl with its constants."""
        constants = {
            "CHANNELS": self.channels,
            "OUT_ROWS": self.out_rows,
            "TAP_ROWS": self.taps[0],
            "TAP_COLUMNS": self.taps[1],
            "ROWS_PER_OUT": self.per_out[0],
            "ROWS_PER_TAP": self.per_tap[0],
            "COLUMNS_PER_OUT": self.per_out[1],
            "COLUMNS_PER_TAP": self.per_tap[1],
            "PHASE": self.phase,
        }
        steps = (
            [f"{each}u" for each in self.step] if self.step else ["uniforms.stride_y", "uniforms.stride_x"]
        )
        return (
            shaders.constants({**constants, "X_VEC4": self.vec4})
            + "".join(
                f"fn {name}_step() -> u32 {{\n    return {step};\n}}\n"
                for name, step in zip(("row", "column"), steps, strict=True)
            )
            + shaders.read("conv2d/window")
        )

    def __str__(self) -> str:
        height, width = self.taps
        form = f"{self.out_rows} rows, {self.channels} channels, {height}x{width} taps"
        steps = f"{self.per_out} {self.per_tap} {self.step or ''}".rstrip()
        return f"{form}, {steps}" + f", vec4 {self.phase}" * self.vec4


def one_tap(out_rows: int) -> Window:
    """The window of one tap at a time, of any stride and dilation: for loops over taps."""
    return Window(1, out_rows, (1, 1), (1, 1), (1, 1))


def whole(taps: Taps, kernel: Pair, x: Array, *, channels: int, out_rows: int) -> Window:
    """The window of all taps of `channels`."""
    (height, width), (down, right) = taps.stride, taps.dilation
    row_step, column_step = gcd(height, down), gcd(width, right)
    per_out, per_tap = (height // row_step, width // column_step), (down // row_step, right // column_step)
    window = Window(channels, out_rows, kernel, per_out, per_tap, (row_step, column_step))
    if column_step == 1 and aligned(x):
        window = replace(window, vec4=True, phase=taps.start[1] % 4)
    return window


def row_of_taps(window: Window) -> Window:
    """The window of one row of taps of one channel, for one row of pixels."""
    return replace(window, channels=1, out_rows=1, taps=(1, window.taps[1]))


def aligned(x: Array) -> bool:
    """Whether rows of vec4s fill the planes of an array, each a multiple of 4 away from the start."""
    outer = zip(x.shape[:-1], x.strides[:-1], strict=True)
    beside = x.strides[-1] == 1 and x.shape[-1] % 4 == 0
    return beside and x.offset % 4 == 0 and all(size == 1 or stride % 4 == 0 for size, stride in outer)


def moved_bytes(problem: Correlation) -> int:
    """Bytes of x and out; twice those outside of vec4s, with which a GPU moves others."""
    elements = sum(each.size * (1 + (not aligned(each))) for each in (problem.x, problem.out))
    return elements * problem.dtype.itemsize


def accesses(epilogue: Epilogue, *, x_vec4: bool, out_vec4: bool) -> str:
    """The bindings, the uniforms, pixels.wgsl, store.wgsl, and functions that load x and w and store out."""
    return (
        definitions(epilogue, x="vec4<elem>" if x_vec4 else "elem", out="vec4<elem>" if out_vec4 else "elem")
        + load_text("x", "x_in", vec4=x_vec4)
        + "fn load_w(index: u32) -> f32 {\n    return f32(w_in[index]);\n}\n"
        + store_text(vec4=out_vec4)
        + shaders.read("conv2d/pixels")
        + shaders.read("conv2d/store")
    )


def load_text(name: str, binding: str, *, vec4: bool) -> str:
    """load_name(index) -> f32 and load_name_vec4(index) -> vec4<f32>; the one that is not used returns 0."""
    one = "0.0" if vec4 else f"f32({binding}[index])"
    four = f"vec4<f32>({binding}[index / 4u])" if vec4 else "vec4<f32>()"
    return (
        f"fn load_{name}(index: u32) -> f32 {{\n    return {one};\n}}\n"
        f"fn load_{name}_vec4(index: u32) -> vec4<f32> {{\n    return {four};\n}}\n"
    )


def store_text(*, vec4: bool) -> str:
    """store_out(index, x) and store_out_vec4(index, x); the one that is not used does nothing."""
    one, four = ("", "out[index / 4u] = vec4<elem>(x);") if vec4 else ("out[index] = elem(x);", "")
    return (
        shaders.constants({"OUT_VEC4": vec4}) + f"fn store_out(index: u32, x: f32) {{\n    {one}\n}}\n"
        f"fn store_out_vec4(index: u32, x: vec4<f32>) {{\n    {four}\n}}\n"
    )


def job_count(out_size: Pair, planes: int, out_rows: int) -> int:
    """The threads for so many planes of the result, as pixels.wgsl counts them."""
    height, width = out_size
    return planes * ceil_div(height, out_rows) * ceil_div(width, PIXELS)
