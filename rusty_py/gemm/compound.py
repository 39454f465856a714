"""Compound axes: rows, columns and depth of a product that each run over up to three axes of an array.

A convolution is such a product without a copy of its image: the rows are (image, y, x) and the depth is
(tap y, tap x, channel), with strides in the image for all six.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from rusty_py.dtypes import Dtype
from rusty_py.gemm.problem import GemmProblem, MatrixLayout, Signature
from rusty_py.shapes import ceil_div


class Triple(NamedTuple):
    """Sizes, or strides in elements, of three axes; the inner one varies fastest."""

    outer: int
    middle: int
    inner: int

    @property
    def product(self) -> int:
        return self.outer * self.middle * self.inner


class Side(NamedTuple):
    """A matrix: the strides along its rows and its columns, where it starts, and from product to product.

    `start` may be a symbol, of which only the remainder by 4 is known. `padded`: lines may be loaded up to a
    multiple of 4.
    """

    rows: Triple
    cols: Triple
    start: Any
    batch_stride: int
    padded: bool = False


@dataclass(frozen=True)
class Bounds:
    """An image outside of which an operand is zero: pixels of `size` from `start` on, as (y, x).

    `lines` and `depth`: how far the three axes of its lines and of k go in the image, as `place(y, x)`.
    """

    operand: str
    lines: Triple
    depth: Triple
    start: tuple[int, int]
    size: tuple[int, int]

    @property
    def uniforms(self) -> tuple[int, ...]:
        """The words line_places and depth_places of `Uniforms`."""
        return (*self.lines, place(*self.start), *self.depth, place(*self.size))


def place(y: int, x: int) -> int:
    """A position in an image, or a distance there, in one word."""
    return y << 16 | x


@dataclass(frozen=True)
class CompoundAxes:
    """Sizes of the compound axes m, n and k, and the strides of a, b and c along their two."""

    m: Triple
    n: Triple
    k: Triple
    a: tuple[Triple, Triple]
    b: tuple[Triple, Triple]
    c: tuple[Triple, Triple]
    bounds: Bounds | None = None

    @property
    def uniforms(self) -> tuple[int, ...]:
        """The words of `Uniforms` of kernels with compound axes after bias_batch_stride and its padding."""
        strides = (*self.a, *self.b, *self.c)
        words = tuple(word & 0xFFFFFFFF for each in strides for word in (*each, 0))
        return words if self.bounds is None else words + self.bounds.uniforms

    @property
    def sizes(self) -> tuple[int, ...]:
        """The words m_sizes, n_sizes and k_sizes there."""
        return (*self.m[1:], *self.n[1:], *self.k[1:])


@dataclass(frozen=True)
class Contraction:
    """c[m, n] = sum_k a[m, k] * b[k, n] over compound axes of these sizes."""

    m: Triple
    n: Triple
    k: Triple
    a: Side
    b: Side
    c: Side
    bounds: Bounds | None = None

    @property
    def axes(self) -> CompoundAxes:
        a, b, c = ((each.rows, each.cols) for each in (self.a, self.b, self.c))
        return CompoundAxes(self.m, self.n, self.k, a, b, c, self.bounds)

    def layouts(self) -> tuple[MatrixLayout, MatrixLayout, MatrixLayout]:
        """Of a, b and c; the strides of compound axes are not used."""
        a, b = (
            plain_layout(side, rows, cols) or MatrixLayout(side.start, side.batch_stride, 0, 0)
            for side, rows, cols in ((self.a, self.m, self.k), (self.b, self.k, self.n))
        )
        row = linear(self.m, self.c.rows)
        return a, b, MatrixLayout(self.c.start, self.c.batch_stride, row or 0, 1)

    def problem(self, dtype: Dtype, products: int) -> GemmProblem:
        """The problem for a GEMM kernel, without an epilogue."""
        m, n, k = self.m.product, self.n.product, self.k.product
        a_along_k, a_vec4, a_plain = _access(self.a, self.m, self.k)
        b_across_k, b_vec4, b_plain = _access(self.b, self.k, self.n)
        bounded = self.bounds.operand if self.bounds else ""
        c_vec4 = _vec4(self.c, self.n, self.c.cols, self.m, self.c.rows)
        plain = {
            "a": a_plain and bounded != "a",
            "b": b_plain and bounded != "b",
            "m": linear(self.m, self.c.rows) is not None,
            "n": self.n.product == 1 or linear(self.n, self.c.cols) == 1,
        }
        compound = "".join(each for each, is_plain in plain.items() if not is_plain)
        signature = Signature(
            a_along_k,
            not b_across_k,
            a_vec4=a_vec4,
            b_vec4=b_vec4,
            c_vec4=c_vec4,
            stored=dtype,
            result=dtype,
            compound=compound,
            bounded=bounded,
        )
        return GemmProblem(m, k, n, products, signature)


def plain_layout(side: Side, rows: Triple, cols: Triple) -> MatrixLayout | None:
    """The layout of a matrix whose rows and columns have one stride each, one of them 1; else None."""
    row, col = linear(rows, side.rows), linear(cols, side.cols)
    if row is None or col is None:
        return None
    layout = MatrixLayout(side.start, side.batch_stride, row, col).normalized(rows.product, cols.product)
    return layout if 1 in layout[2:] else None


def linear(sizes: Triple, strides: Triple) -> int | None:
    """The one stride of a compound axis, if it has one."""
    stride, step = None, 1
    for size, each in zip(reversed(sizes), reversed(strides), strict=True):
        if size > 1:
            if stride is None:
                stride = each
            elif each != stride * step:
                return None
            step *= size
    return stride or 0


def _access(side: Side, rows: Triple, cols: Triple) -> tuple[bool, bool, bool]:
    """Whether a matrix is read along its columns' axis, by vec4s, and as one without compound axes."""
    layout = plain_layout(side, rows, cols)
    along_cols = _vec4(side, cols, side.cols, rows, side.rows)
    along_rows = _vec4(side, rows, side.rows, cols, side.cols)
    if layout is not None:
        along = layout.col_stride == 1
        return along, along_cols if along else along_rows, True
    if along_cols or along_rows:
        return along_cols, True, False
    return side.cols.inner == 1 and cols.inner > 1, False, False


def _vec4(side: Side, sizes: Triple, strides: Triple, other_sizes: Triple, other_strides: Triple) -> bool:
    """Whether each four elements along an axis, from a multiple of 4 on, are neighbours and aligned.

    Sizes and strides of that axis, then of the other one of the matrix.
    """
    run = 1
    rest = [stride for size, stride in zip(other_sizes, other_strides, strict=True) if size > 1]
    others = len(rest)
    for size, stride in zip(reversed(sizes), reversed(strides), strict=True):
        if size > 1:
            if stride == run and len(rest) == others:
                run *= size
            else:
                rest.append(stride)
    if side.padded and len(rest) == others:
        run = ceil_div(run, 4) * 4
    return run % 4 == 0 and not any(each % 4 for each in (side.start, side.batch_stride, *rest))
