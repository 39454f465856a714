"""WGSL by which the unrolled kernels load rows of an array and store rows of the result.

A row is found in one of three ways: "vec4", four neighbouring columns at once; "scalar", columns one by one,
with any strides; and "channels", columns one by one, of four neighbouring channels each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rusty_py.arrays import Array
from rusty_py.dtypes import Dtype
from rusty_py.shapes import ceil_div

Access = Literal["vec4", "scalar", "channels"]


def access_of(x: Array, *, channels_last: bool) -> Access | None:
    """How rows of (batch, channels, height, width) are loaded; None if four channels can't be at once."""
    if channels_last:
        aligned = _fours(x.offset, x.shape[1], x.strides[0], *x.strides[2:])
        return "channels" if aligned and x.strides[1] == 1 else None
    aligned = _fours(x.offset, x.shape[3], *x.strides[:3])
    return "vec4" if aligned and x.strides[3] == 1 else "scalar"


def _fours(*numbers: int) -> bool:
    """Whether all are multiples of 4."""
    return not any(each % 4 for each in numbers)


@dataclass(frozen=True)
class LoadedRow:
    """A row as a thread loads it: `count` columns from `unit * step - before` on.

    `name` is "x" for rows of images, "g" for rows of windows. `scalar` is the type of the values, and
    `convert` an expression of what was loaded, v, as the same. Columns outside are zeros; with `whole`, those
    that matter are all inside.
    """

    name: Literal["x", "g"]
    access: Access
    count: int
    step: int
    before: int
    scalar: str
    convert: str
    whole: bool = False

    @property
    def loaded(self) -> str:
        """The type of what one load gives, as values."""
        return self.scalar if self.access == "scalar" else f"vec4<{self.scalar}>"

    @property
    def value(self) -> str:
        """The type of the value of a column."""
        return self.loaded if self.access == "channels" else self.scalar

    @property
    def binding(self) -> str:
        """The type of what the buffer holds."""
        return "elem" if self.access == "scalar" else "vec4<elem>"

    @property
    def text(self) -> str:
        """load_x(at, y, unit) or load_g(at, y, unit) -> array<value, count>."""
        height, width = ("height", "width") if self.name == "x" else ("out_height", "out_width")
        prefix = self.name.upper()
        text = _VEC4 if self.access == "vec4" else _EACH
        lead = ceil_div(self.before, 4) * 4
        values = {
            "NAME": self.name,
            "PREFIX": prefix,
            "HEIGHT": f"uniforms.{height}",
            "WIDTH": f"uniforms.{width}",
            "LOADED": self.loaded,
            "VALUE": self.value,
            "CONVERT": self.convert,
            "UNIT": "1" if self.access == "scalar" else "4",
        }
        for key, value in values.items():
            text = text.replace(f"<{key}>", value)
        shift = lead - self.before
        numbers = {
            "COLS": self.count,
            "STEP": self.step,
            "BEFORE": lead if self.access == "vec4" else self.before,
            "SHIFT": shift,
            "VECS": ceil_div(shift + self.count, 4),
        }
        constants = "".join(f"const {prefix}_{key}: u32 = {value}u;\n" for key, value in numbers.items())
        return f"{constants}const {prefix}_WHOLE: bool = {str(self.whole).lower()};\n{text}"


_VEC4 = """
fn load_<NAME>(at: u32, y: u32, unit: u32) -> array<<VALUE>, <PREFIX>_COLS> {
    let start = at + min(y, <HEIGHT> - 1u) * uniforms.<NAME>_row;
    var vecs = array<<LOADED>, <PREFIX>_VECS>();
    for (var i = 0u; i < <PREFIX>_VECS; i++) { // unroll
        let column = unit * <PREFIX>_STEP + 4u * i - <PREFIX>_BEFORE;
        let v = <NAME>_in[(start + min(column, <WIDTH> - 4u)) / 4u];
        vecs[i] = select(<LOADED>(), <CONVERT>, <PREFIX>_WHOLE || (y < <HEIGHT> && column < <WIDTH>));
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
    let start = at + min(y, <HEIGHT> - 1u) * uniforms.<NAME>_row;
    var row = array<<VALUE>, <PREFIX>_COLS>();
    for (var c = 0u; c < <PREFIX>_COLS; c++) { // unroll
        let column = unit * <PREFIX>_STEP + c - <PREFIX>_BEFORE;
        let v = <NAME>_in[(start + min(column, <WIDTH> - 1u) * uniforms.<NAME>_column) / <UNIT>u];
        row[c] = select(<LOADED>(), <CONVERT>, <PREFIX>_WHOLE || (y < <HEIGHT> && column < <WIDTH>));
    }
    return row;
}
"""


def store_text(access: Access, dtype: Dtype, count: int, size: tuple[str, str]) -> str:
    """store_out(at, y, unit, array<result, count>), a row of a result whose height and width are `size`."""
    height, width = size
    text = {"vec4": _STORE_VEC4, "scalar": _STORE_SCALAR, "channels": _STORE_CHANNELS}[access]
    result = "vec4<elem>" if access == "channels" else "elem"
    return (
        f"alias elem = {dtype.wgsl};\nalias result = {result};\nconst OUT_COLS: u32 = {count}u;\n"
        f"fn result_height() -> u32 {{\n    return uniforms.{height};\n}}\n"
        f"fn result_width() -> u32 {{\n    return uniforms.{width};\n}}\n{text}"
    )


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
            out[(at + (y * result_width() + column) * uniforms.channels) / 4u] = values[c];
        }
    }
}
"""
