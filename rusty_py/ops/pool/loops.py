"""Pooling with any parameters and strides: a thread per window, or per element of the images."""

from __future__ import annotations

from functools import cache
from typing import Literal

from rusty_py import shaders
from rusty_py.arrays import Array
from rusty_py.dtypes import F16, F32, U32, Dtype
from rusty_py.ops.grid import THREADS, groups_for
from rusty_py.ops.pool.problem import Kind, Pooling, inputs_text
from rusty_py.runtime.launch import Spec, launch

Result = Literal["max", "avg", "code", "selected"]
"""Of a window: its maximum or average; the number of its first largest tap; and the element of v there."""

_KEYS = (
    "alias floats = f32;\nalias keys = u32;\nalias ints = i32;\n"
    "alias total = u32;\nalias total_floats = f32;\nalias total_ints = i32;\n" + shaders.read("pool2d/keys")
)
_LARGEST = """
struct State {
    key: u32,
    found: bool,
    tap: u32,
    y: u32,
    x: u32,
}
fn visit(state: State, at: u32, y: u32, x: u32, tap: u32) -> State {
    let key = key_of(f32(x_in[at]));
    if (state.found && key <= state.key) {
        return state;
    }
    return State(key, true, tap, y, x);
}
"""
_SUM = """
struct State {
    sum: f32,
}
fn visit(state: State, at: u32, y: u32, x: u32, tap: u32) -> State {
    return State(state.sum + f32(x_in[at]));
}
"""
_AT_V = (
    "uniforms.v_offset + plane.n * uniforms.v_batch + plane.c * uniforms.v_channel"
    " + state.y * uniforms.v_row + state.x * uniforms.v_column"
)
_STORED: dict[Result, str] = {
    "max": "elem(float_of(state.key))",
    "avg": "elem(state.sum / divisor(y, x))",
    "code": "select(0xffffffffu, state.tap, state.found)",
    "selected": f"select(elem(0), v_in[{_AT_V}], state.found)",
}
_SHARES: dict[Kind, str] = {"max": "select(0.0, g, codes[window] == tap)", "avg": "g / divisor(y, x)"}


def pooled(problem: Pooling, x: Array, result: Result, *, v: Array | None = None, operation: str) -> Array:
    """The `result` of each window, as (batch, channels, height, width)."""
    dtype = U32 if result == "code" else None
    out = problem.of_windows(x.device, dtype=dtype, operation=operation)
    taps = problem.window.kernel[0] * (problem.window.kernel[1] + 1)
    launch(
        x.device,
        windows_spec(
            result,
            problem.dtype,
            channels_last=problem.channels_last,
            includes_padding=problem.window.count_include_pad,
        ),
        inputs=[x.buffer, *([] if v is None else [v.buffer])],
        outputs=[out.buffer],
        uniforms=problem.uniforms(x=x, v=v),
        workgroups=(groups_for(x.device, problem.windows, operation=operation, steps=taps), 1, 1),
        flops=problem.windows * taps,
    )
    return out


def gradient(problem: Pooling, g: Array, x: Array | None, *, operation: str) -> Array:
    """The gradient of the images by that of the windows, g; x are the images, for maxima."""
    device, window = g.device, problem.window
    codes = [] if x is None else [pooled(problem, x, "code", operation=operation).buffer]
    out = problem.images(device, operation=operation)
    taps = window.kernel[0] * (window.kernel[1] + 1)
    launch(
        device,
        images_spec(
            problem.kind,
            problem.dtype,
            channels_last=problem.channels_last,
            includes_padding=window.count_include_pad,
        ),
        inputs=[g.buffer, *codes],
        outputs=[out.buffer],
        uniforms=problem.uniforms(g=g),
        workgroups=(groups_for(device, out.size, operation=operation, steps=taps), 1, 1),
        flops=out.size * taps,
    )
    return out


@cache
def windows_spec(result: Result, dtype: Dtype, *, channels_last: bool, includes_padding: bool) -> Spec:
    """The kernel with a thread per window. `includes_padding` is for averages."""
    names = [("x_in", "elem"), *[("v_in", "elem")] * (result == "selected")]
    held = "u32" if result == "code" else "elem"
    text = inputs_text(tuple(names), held) + _common(dtype, channels_last)
    text += _SUM + divisor_text(includes_padding) if result == "avg" else _KEYS + _LARGEST
    text += (
        "fn store(i: u32, state: State, plane: Plane, y: u32, x: u32) {\n"
        f"    out[i] = {_STORED[result]};\n}}\n"
    )
    variant = _variant(result, dtype, channels_last, includes_padding or result != "avg")
    return Spec("pool2d/windows", len(names), 1, THREADS, definitions=text, variant=variant)


@cache
def images_spec(kind: Kind, dtype: Dtype, *, channels_last: bool, includes_padding: bool) -> Spec:
    """The kernel with a thread per element of the images. `includes_padding` is for averages."""
    names = [("g_in", "elem"), *[("codes", "u32")] * (kind == "max")]
    text = inputs_text(tuple(names), "elem") + _common(dtype, channels_last)
    text += divisor_text(includes_padding) if kind == "avg" else ""
    text += (
        "fn share(g: f32, window: u32, tap: u32, y: u32, x: u32) -> f32 {\n"
        f"    return {_SHARES[kind]};\n}}\n"
    )
    variant = _variant(kind, dtype, channels_last, includes_padding or kind == "max")
    return Spec("pool2d/images", len(names), 1, THREADS, definitions=text, variant=variant)


def divisor_text(includes_padding: bool) -> str:
    """divisor(y, x) -> f32, that of the window (y, x)."""
    constant = shaders.constants({"INCLUDES_PADDING": includes_padding})
    return constant + shaders.read("pool2d/divisor")


def _common(dtype: Dtype, channels_last: bool) -> str:
    return f"alias elem = {dtype.wgsl};\n" + shaders.constants({"CHANNELS_LAST": channels_last})


def _variant(name: str, dtype: Dtype, channels_last: bool, includes_padding: bool) -> str:
    parts = [name, dtype.name, "channels last" * channels_last, "without padding" * (not includes_padding)]
    return " ".join(filter(None, parts))


def variants() -> list[Spec]:
    """Every kernel that can be launched here, but for averages without padding, one of each text."""
    found = []
    results: tuple[Result, ...] = ("max", "avg", "code", "selected")
    kinds: tuple[Kind, ...] = ("max", "avg")
    for dtype in (F32, F16):
        for last in (False, True):
            found += [
                windows_spec(each, dtype, channels_last=last, includes_padding=True) for each in results
            ]
            found += [images_spec(each, dtype, channels_last=last, includes_padding=True) for each in kinds]
    found.append(windows_spec("avg", F32, channels_last=False, includes_padding=False))
    found.append(images_spec("avg", F32, channels_last=False, includes_padding=False))
    return found
