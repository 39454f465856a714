"""WGSL by which the unrolled kernels load rows of an array and store rows of the result.

A row is found in one of four ways: "vec4", four neighbouring columns at once; "vec8", for f16, eight in 16
bytes, of results only; "scalar", columns one by one, with any strides; and "channels", columns one by one, of
one, two or four neighbouring channels each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rusty_py import shaders
from rusty_py.arrays import Array
from rusty_py.dtypes import F16, Dtype
from rusty_py.shapes import ceil_div

Access = Literal["vec8", "vec4", "scalar", "channels"]


def access_of(x: Array, *, channels_last: bool, cols: int = 4) -> Access | None:
    """How rows of (batch, channels, height, width) are loaded; None if four channels can't be at once.

    A thread's columns begin at a multiple of `cols`.
    """
    if channels_last:
        aligned = _fours(x.offset, x.shape[1], x.strides[0], *x.strides[2:])
        return "channels" if aligned and x.strides[1] == 1 else None
    aligned = _fours(cols, x.offset, x.shape[3], *x.strides[:3])
    return "vec4" if aligned and x.strides[3] == 1 else "scalar"


def stored_access(out: Array, *, channels_last: bool, cols: int) -> Access:
    """How rows of a new array, `cols` columns of a thread, are stored."""
    access = access_of(out, channels_last=channels_last, cols=cols)
    assert access is not None
    if access == "vec4" and out.kind == F16 and out.shape[3] % 8 == 0 and cols % 8 == 0:
        return "vec8"
    return access


def vector(scalar: str, size: int) -> str:
    """`scalar`, or a vector of it."""
    return scalar if size == 1 else f"vec{size}<{scalar}>"


def _fours(*numbers: int) -> bool:
    """Whether all are multiples of 4."""
    return not any(each % 4 for each in numbers)


@dataclass(frozen=True)
class LoadedRow:
    """A row as a thread loads it: `count` columns from `unit * step - before` on.

    `name` is "x" for rows of images, "g" for rows of windows. `scalar` is the type of the values, and
    `convert` an expression of what was loaded, v, as the same. Values outside are zeros, or the nearest ones
    with `nearest`; with `whole`, those that matter are all inside. `channels` are of a column.
    """

    name: Literal["x", "g"]
    access: Access
    count: int
    step: int
    before: int
    scalar: str
    convert: str
    whole: bool = False
    nearest: bool = False
    channels: int = 1

    @property
    def unit(self) -> int:
        """Elements that are loaded at once."""
        return {"vec4": 4, "channels": self.channels}.get(self.access, 1)

    @property
    def loaded(self) -> str:
        """The type of what one load gives, as values."""
        return vector(self.scalar, self.unit)

    @property
    def value(self) -> str:
        """The type of the value of a column."""
        return vector(self.scalar, self.channels)

    @property
    def binding(self) -> str:
        """The type of what the buffer holds."""
        return vector("elem", self.unit)

    @property
    def text(self) -> str:
        """load_x(at, y, unit) or load_g(at, y, unit) -> array<value, count>."""
        height, width = ("height", "width") if self.name == "x" else ("out_height", "out_width")
        prefix = self.name.upper()
        is_vec4 = self.access == "vec4"
        lead = ceil_div(self.before, 4) * 4 if is_vec4 else self.before
        loop = _VEC4 if is_vec4 else _EACH
        nearest = _NEAREST_OF_VEC4 if is_vec4 else "loaded"
        text = loop.replace("<CHOSEN>", nearest if self.nearest else _ZERO_OUTSIDE)
        values = {
            "NAME": self.name,
            "PREFIX": prefix,
            "HEIGHT": f"uniforms.{height}",
            "WIDTH": f"uniforms.{width}",
            "LOADED": self.loaded,
            "VALUE": self.value,
            "CONVERT": self.convert,
            "UNIT": str(self.unit),
        }
        for key, value in values.items():
            text = text.replace(f"<{key}>", value)
        shift = lead - self.before
        numbers = {
            "COLS": self.count,
            "STEP": self.step,
            "BEFORE": lead,
            "SHIFT": shift,
            "VECS": ceil_div(shift + self.count, 4),
            "WHOLE": self.whole,
        }
        return shaders.constants({f"{prefix}_{key}": value for key, value in numbers.items()}) + text


NEAREST = """
// Of 0 to size - 1, the nearest to i, which may be less than 0 modulo 2^32.
fn nearest(i: u32, size: u32) -> u32 {
    return u32(clamp(i32(i), 0, i32(size) - 1));
}
"""

_ZERO_OUTSIDE = "select(<LOADED>(), loaded, <PREFIX>_WHOLE || (y < <HEIGHT> && column < <WIDTH>))"
# Columns before the first are larger than the width, too.
_NEAREST_OF_VEC4 = (
    "select(loaded, <LOADED>(select(loaded.w, loaded.x, 4u * i < <PREFIX>_BEFORE)), column >= <WIDTH>)"
)

_VEC4 = """
fn load_<NAME>(at: u32, y: u32, unit: u32) -> array<<VALUE>, <PREFIX>_COLS> {
    let start = at + nearest(y, <HEIGHT>) * uniforms.<NAME>_row;
    var vecs = array<<LOADED>, <PREFIX>_VECS>();
    for (var i = 0u; i < <PREFIX>_VECS; i++) { // unroll
        let column = unit * <PREFIX>_STEP + 4u * i - <PREFIX>_BEFORE;
        let v = <NAME>_in[(start + nearest(column, <WIDTH> - 3u)) / 4u];
        let loaded = <CONVERT>;
        vecs[i] = <CHOSEN>;
    }
    var row = array<<VALUE>, <PREFIX>_COLS>();
    for (var c = 0u; c < <PREFIX>_COLS; c++) { // unroll
        row[c] = vecs[(c + <PREFIX>_SHIFT) / 4u][(c + <PREFIX>_SHIFT) % 4u];
    }
    return row;
}
"""

_EACH = """
fn load_<NAME>(at: u32, y: u32, unit: u32) -> array<<VALUE>, <PREFIX>_COLS> {
    let start = at + nearest(y, <HEIGHT>) * uniforms.<NAME>_row;
    var row = array<<VALUE>, <PREFIX>_COLS>();
    for (var c = 0u; c < <PREFIX>_COLS; c++) { // unroll
        let column = unit * <PREFIX>_STEP + c - <PREFIX>_BEFORE;
        let v = <NAME>_in[(start + nearest(column, <WIDTH>) * uniforms.<NAME>_column) / <UNIT>u];
        let loaded = <CONVERT>;
        row[c] = <CHOSEN>;
    }
    return row;
}
"""


def store_text(access: Access, dtype: Dtype, count: int, size: tuple[str, str], *, channels: int) -> str:
    """store_out(at, y, unit, array<result, count>), a row of a result whose height and width are `size`."""
    height, width = size
    text = {"vec8": _STORE_VEC8, "vec4": _STORE_VEC4, "scalar": _STORE_SCALAR, "channels": _STORE_CHANNELS}
    return (
        f"alias elem = {dtype.wgsl};\nalias result = {vector('elem', channels)};\n"
        f"const OUT_COLS: u32 = {count}u;\n"
        f"fn result_height() -> u32 {{\n    return uniforms.{height};\n}}\n"
        f"fn result_width() -> u32 {{\n    return uniforms.{width};\n}}\n{text[access]}"
    )


def stored_type(access: Access, *, channels: int) -> str:
    """The type of what the buffer of the result holds."""
    return {"vec8": "vec4<u32>", "vec4": "vec4<elem>"}.get(access, vector("elem", channels))


_STORE_VEC8 = """
// Their bits; f16 values are not rounded again.
fn pair(low: result, high: result) -> u32 {
    return pack2x16float(vec2<f32>(f32(low), f32(high)));
}

fn store_out(at: u32, y: u32, unit: u32, values: array<result, OUT_COLS>) {
    let start = at + y * result_width();
    for (var i = 0u; i < OUT_COLS / 8u; i++) { // unroll
        let column = unit * OUT_COLS + 8u * i;
        if (column < result_width()) {
            out[(start + column) / 8u] = vec4<u32>(
                pair(values[8u * i], values[8u * i + 1u]),
                pair(values[8u * i + 2u], values[8u * i + 3u]),
                pair(values[8u * i + 4u], values[8u * i + 5u]),
                pair(values[8u * i + 6u], values[8u * i + 7u]),
            );
        }
    }
}
"""

_STORE_VEC4 = """
fn store_out(at: u32, y: u32, unit: u32, values: array<result, OUT_COLS>) {
    let start = at + y * result_width();
    for (var i = 0u; i < OUT_COLS / 4u; i++) { // unroll
        let column = unit * OUT_COLS + 4u * i;
        if (column < result_width()) {
            out[(start + column) / 4u] =
                vec4<elem>(values[4u * i], values[4u * i + 1u], values[4u * i + 2u], values[4u * i + 3u]);
        }
    }
}
"""

_STORE_SCALAR = """
fn store_out(at: u32, y: u32, unit: u32, values: array<result, OUT_COLS>) {
    let start = at + y * result_width();
    for (var c = 0u; c < OUT_COLS; c++) { // unroll
        let column = unit * OUT_COLS + c;
        if (column < result_width()) {
            out[start + column] = values[c];
        }
    }
}
"""

_STORE_CHANNELS = """
fn store_out(at: u32, y: u32, unit: u32, values: array<result, OUT_COLS>) {
    for (var c = 0u; c < OUT_COLS; c++) { // unroll
        let column = unit * OUT_COLS + c;
        if (column < result_width()) {
            out[(at + (y * result_width() + column) * uniforms.channels) / CHANNELS] = values[c];
        }
    }
}
"""
