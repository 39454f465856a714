"""The kernels of the three transforms, and their launches."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from rusty_py import shaders
from rusty_py.arrays import Array
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.ops.conv.algorithm import Epilogue
from rusty_py.ops.conv.correlation import Correlation, Pair, WeightCorrelation
from rusty_py.ops.conv.winograd.forms import F2, F4, GRADIENT, TAPS, Form, transform_text
from rusty_py.ops.conv.winograd.tiling import Tiling
from rusty_py.runtime.buffer import Buffer
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec, launch
from rusty_py.shapes import ceil_div

THREADS_X, THREADS_Y = 32, 4
MAX_THREADS = 1 << 20
"""Of a launch with more work, a thread does several times as much."""
_WORD = 0xFFFFFFFF


def transform_weights(device: Device, problem: Correlation, tiling: Tiling, u: Buffer) -> None:
    """Writes U, (products, channels, padded outputs)."""
    w = problem.w
    _, output, channel, row, column = w.strides
    sizes = tiling.outputs, tiling.channels
    launch(
        device,
        weights_spec(tiling.form, problem.dtype),
        inputs=[w.buffer],
        outputs=[u],
        uniforms=_words(*sizes, w.offset, output, channel, row, column, tiling.padded_outputs),
        workgroups=_workgroups(device, *sizes),
        flops=tiling.form.products * tiling.outputs * tiling.channels * 8,
    )


def transform_input(device: Device, x: Array, start: Pair, tiling: Tiling, first: int, v: Buffer) -> None:
    """Writes V for the tiles of the chunk that begins with tile `first`; `start` is the first tap's pixel."""
    spec = input_spec(tiling.form, x.kind, tiling.along_tiles)
    _transform_tiles(device, spec, x, start, tiling, first, tiling.input_strides, v)


def transform_gradient(device: Device, dout: Array, tiling: Tiling, first: int, m: Buffer) -> None:
    """Writes the transformed gradient of the result, in the layout of M."""
    spec = gradient_spec(dout.kind, tiling.along_tiles)
    _transform_tiles(device, spec, dout, (0, 0), tiling, first, tiling.output_strides, m)


def _transform_tiles(
    device: Device,
    spec: Spec,
    x: Array,
    start: Pair,
    tiling: Tiling,
    first: int,
    strides: tuple[int, int, int],
    v: Buffer,
) -> None:
    """Writes the transformed tiles of x, with these strides of products, tiles and channels."""
    batch, _, channel, row, column = x.strides
    channels = x.shape[2]
    launch(
        device,
        spec,
        inputs=[x.buffer],
        outputs=[v],
        uniforms=_words(
            *(first, tiling.tiles, tiling.tiles_y, tiling.tiles_x, channels),
            *(*x.shape[3:], *start),
            *(x.offset, batch, channel, row, column),
            *strides,
        ),
        workgroups=_workgroups(device, *_counts(tiling, channels)),
        flops=tiling.form.products * channels * tiling.tiles * 8,
    )


def transform_output(device: Device, problem: Correlation, tiling: Tiling, first: int, m: Buffer) -> None:
    """Writes the result for the tiles of the chunk that begins with tile `first`."""
    out = problem.out
    batch, _, channel, row, column = out.strides
    epilogue = Epilogue.of(problem)
    launch(
        device,
        output_spec(tiling.form, epilogue, tiling.along_tiles, stores_rows(problem, tiling)),
        inputs=[m] if problem.bias is None else [m, problem.bias.buffer],
        outputs=[out.buffer],
        uniforms=_words(
            *(first, tiling.tiles, tiling.tiles_y, tiling.tiles_x, tiling.outputs),
            *problem.out_size,
            *(out.offset, batch, channel, row, column),
            *tiling.output_strides,
        ),
        workgroups=_workgroups(device, *_counts(tiling, tiling.outputs)),
        flops=tiling.form.products * tiling.outputs * tiling.tiles * 8,
    )


def transform_weights_back(device: Device, problem: WeightCorrelation, tiling: Tiling, u: Buffer) -> None:
    """Writes the gradient of the weights, by the sums of products in the layout of U."""
    dw = problem.dw
    _, output, channel, row, column = dw.strides
    sizes = tiling.outputs, tiling.channels
    launch(
        device,
        weights_back_spec(problem.dtype),
        inputs=[u],
        outputs=[dw.buffer],
        uniforms=_words(*sizes, dw.offset, output, channel, row, column, tiling.padded_outputs),
        workgroups=_workgroups(device, *sizes),
        flops=tiling.form.products * tiling.outputs * tiling.channels * 8,
    )


def stores_rows(problem: Correlation, tiling: Tiling) -> bool:
    """Whether a row of a tile of the result is one aligned vector, and no tile crosses its edges."""
    out, width = problem.out, tiling.form.outputs
    *strides, column = out.strides
    return column == 1 and not any(each % width for each in (out.shape[4], out.offset, *strides))


@cache
def weights_spec(form: Form, dtype: Dtype) -> Spec:
    """The weight transform."""
    text = f"alias elem = {dtype.wgsl};\n" + transform_text(form.weights)
    return _spec("weights", 1, form, text, dtype.name)


@cache
def input_spec(form: Form, dtype: Dtype, along_tiles: bool) -> Spec:
    """The input transform."""
    text = f"alias elem = {dtype.wgsl};\n" + _constants(form, along_tiles) + transform_text(form.input)
    return _spec("input", 1, form, text, f"{dtype.name}, {_order(along_tiles)}")


@cache
def gradient_spec(dtype: Dtype, along_tiles: bool) -> Spec:
    """The transform of the gradient of the result: of tiles of F2's outputs, as the weights of GRADIENT."""
    text = f"alias elem = {dtype.wgsl};\n" + _constants(F2, along_tiles) + transform_text(GRADIENT.weights)
    return _spec("input", 1, GRADIENT, text, f"gradient, {dtype.name}, {_order(along_tiles)}")


@cache
def weights_back_spec(dtype: Dtype) -> Spec:
    """The transform that gives the gradient of the weights."""
    constants = shaders.constants({"TAPS": TAPS, "SIZE": GRADIENT.size})
    text = f"alias elem = {dtype.wgsl};\n{constants}" + transform_text(GRADIENT.output, rows=True)
    return _spec("weights_back", 1, GRADIENT, text, dtype.name)


@cache
def output_spec(form: Form, epilogue: Epilogue, along_tiles: bool, rows: bool) -> Spec:
    """The output transform; with `rows` each row of a tile is stored as a vector."""
    width = form.outputs
    stored = f"vec{width}<elem>" if rows else "elem"
    inputs = 1 + epilogue.bias
    values = ", ".join(f"elem(activation(values[{j}] + destination.bias))" for j in range(width))
    text = (
        epilogue.functions(bias_binding=1)
        + f"@group(0) @binding({inputs}) var<storage, read_write> out: array<{stored}>;\n"
        + f"@group(0) @binding({inputs + 1}) var<uniform> uniforms: Uniforms;\n"
        + _constants(form, along_tiles)
        + shaders.constants({"SIZE": form.size})
        + (_STORE_ROW if rows else _STORE_ELEMENTS).format(width=width, stored=stored, values=values)
        + transform_text(form.output, rows=True)
    )
    variant = f"{epilogue}, {_order(along_tiles)}{', rows' * rows}"
    return _spec("output", inputs, form, text, variant)


_STORE_ROW = """fn store_row(destination: Destination, i: u32, values: vec{width}<f32>) {{
    let row = destination.row + i;
    if (row < uniforms.height) {{
        let at = destination.plane + row * uniforms.out_row + destination.column;
        out[at / OUTPUTS] = {stored}({values});
    }}
}}
"""
_STORE_ELEMENTS = """fn store_row(destination: Destination, i: u32, values: vec{width}<f32>) {{
    let row = destination.row + i;
    if (row >= uniforms.height) {{
        return;
    }}
    for (var j = 0u; j < OUTPUTS; j++) {{ // unroll
        let column = destination.column + j;
        if (column < uniforms.width) {{
            let at = destination.plane + row * uniforms.out_row + column * uniforms.out_column;
            out[at] = elem(activation(values[j] + destination.bias));
        }}
    }}
}}
"""


def _spec(stage: str, inputs: int, form: Form, text: str, variant: str) -> Spec:
    return Spec(
        f"conv2d/winograd_{stage}",
        inputs,
        1,
        THREADS_X * THREADS_Y,
        definitions=text,
        variant=f"{form}, {variant}",
    )


def _constants(form: Form, along_tiles: bool) -> str:
    return shaders.constants({"OUTPUTS": form.outputs, "ALONG_TILES": along_tiles})


def _order(along_tiles: bool) -> str:
    return "tiles contiguous" if along_tiles else "channels contiguous"


def _counts(tiling: Tiling, channels: int) -> tuple[int, int]:
    """The axes of a launch: that of neighbours first."""
    return (tiling.tiles, channels) if tiling.along_tiles else (channels, tiling.tiles)


def _workgroups(device: Device, inner: int, outer: int) -> tuple[int, int, int]:
    limit = device.limits.groups
    x = min(limit, ceil_div(inner, THREADS_X))
    y = min(limit, ceil_div(outer, THREADS_Y), max(1, MAX_THREADS // (x * THREADS_X * THREADS_Y)))
    return x, y, 1


def _words(*words: int) -> tuple[int, ...]:
    return tuple(each & _WORD for each in words)


def variants() -> Iterator[Spec]:
    """Every line of the kernels, for both forms and dtypes."""
    for form, dtype in ((F2, F32), (F2, F16), (F4, F32)):
        yield weights_spec(form, dtype)
        for along_tiles in (True, False):
            yield input_spec(form, dtype, along_tiles)
            yield output_spec(form, Epilogue(dtype), along_tiles, rows=along_tiles)
        yield output_spec(form, Epilogue(dtype, bias=True, activation="relu"), True, rows=False)
    for dtype in (F32, F16):
        yield weights_back_spec(dtype)
        for along_tiles in (True, False):
            yield gradient_spec(dtype, along_tiles)
