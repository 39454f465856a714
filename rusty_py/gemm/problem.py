"""GEMM problems as kernels see them: sizes, matrix layouts and dtypes. Pure data."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from rusty_py.dtypes import F32, Dtype


class MatrixLayout(NamedTuple):
    """The layout of matrices in a buffer, in elements.

    Element (i, j) of matrix p is at offset + p * batch_stride + i * row_stride + j * col_stride.
    """

    offset: int
    batch_stride: int
    row_stride: int
    col_stride: int

    def vec4_aligned(self, rows: int, cols: int) -> bool:
        """Whether the matrix can be accessed as vec4: all but the unit stride are multiples of 4."""
        along, line = (cols, self.row_stride) if self.col_stride == 1 else (rows, self.col_stride)
        return not (along % 4 or line % 4 or self.offset % 4 or self.batch_stride % 4)

    def normalized(self, rows: int, cols: int) -> "MatrixLayout":
        """The same elements, with stride 1 for an axis of one element unless the other axis has it."""
        if rows == 1:
            return self._replace(row_stride=1 if self.col_stride != 1 else cols)
        if cols == 1:
            return self._replace(col_stride=1 if self.row_stride != 1 else rows)
        return self

    def transposed(self) -> "MatrixLayout":
        """The layout of the transposed matrices."""
        return self._replace(row_stride=self.col_stride, col_stride=self.row_stride)


MatrixLayouts = tuple[MatrixLayout, MatrixLayout, MatrixLayout]
"""The layouts of a, b and c."""


def contiguous(m: int, k: int, n: int, products: int = 1, *, layout: str = "nn") -> MatrixLayouts:
    """The layouts of contiguous (products, m, k) and (products, k, n) operands and their product.

    `layout` has one letter each for a and b, as in BLAS: "n" for row-major, "t" for column-major.
    """
    a, b = (
        MatrixLayout(
            0, rows * cols if products > 1 else 0, *((cols, 1) if letter == "n" else (1, rows))
        ).normalized(rows, cols)
        for letter, rows, cols in zip(layout, (m, k), (k, n), strict=True)
    )
    return a, b, MatrixLayout(0, m * n if products > 1 else 0, n, 1)


@dataclass(frozen=True)
class Signature:
    """What a kernel is specialized for, apart from its tile sizes.

    `a_along_k`, `b_along_k`: the matrix is contiguous along k. `a_vec4`, `b_vec4`, `c_vec4`: it can be
    accessed as vec4. `stored` is the dtype of a, b and the bias, `result` that of c, `accumulate_dtype` that
    of the accumulators. `activation` is one of `activations.ACTIVATIONS`, or "". `clamps`: loads beyond a
    block of c must be clamped. `half2`: a and b are packed f16, two adjacent steps of k per element, and k
    counts these. `compound` names those of a and b whose axes are compound (compound.py), and those of m and
    n that are compound in c. `bounded` names the operand that is zero outside of an image. `bias_by_row`: the
    bias is added along the rows of c. `bias_batched`: each product has a bias of its own.
    """

    a_along_k: bool = True
    b_along_k: bool = False
    a_vec4: bool = True
    b_vec4: bool = True
    c_vec4: bool = True
    stored: Dtype = F32
    result: Dtype = F32
    accumulate_dtype: Dtype = F32
    bias: bool = False
    activation: str = ""
    clamps: bool = False
    half2: bool = False
    compound: str = ""
    bounded: str = ""
    bias_by_row: bool = False
    bias_batched: bool = False

    def transposed(self) -> "Signature":
        """The signature of c^T = b^T a^T: c is stored as scalars, and the bias applies along its rows."""
        return replace(
            self,
            a_along_k=self.b_along_k,
            b_along_k=self.a_along_k,
            a_vec4=self.b_vec4,
            b_vec4=self.a_vec4,
            c_vec4=False,
        )

    @property
    def c_compound(self) -> bool:
        """Whether an axis of c is compound."""
        return "m" in self.compound or "n" in self.compound

    @property
    def blocked_only(self) -> bool:
        """Whether only blocked kernels support it."""
        return bool(self.compound) or (self.bias and (self.bias_by_row or self.bias_batched))

    @property
    def layout(self) -> str:
        """The BLAS letters of a and b: "n" for row-major, "t" for column-major."""
        return "nt"[not self.a_along_k] + "nt"[self.b_along_k]

    def __str__(self) -> str:
        vec4 = [x for x, vec4 in zip("abc", (self.a_vec4, self.b_vec4, self.c_vec4), strict=True) if vec4]
        kinds = [self.stored.name, self.accumulate_dtype.name, self.result.name]
        parts = [self.layout, f"vec4 {' '.join(vec4)}" if vec4 else "scalar"]
        parts += [f"compound {' '.join(self.compound)}"] * bool(self.compound)
        parts += [f"bounded {self.bounded}"] * bool(self.bounded)
        parts += [" ".join(kinds)] * (set(kinds) != {F32.name}) + ["half2"] * self.half2
        parts += [f"bias{' by row' * self.bias_by_row}{' batched' * self.bias_batched}"] * self.bias
        return ", ".join(parts + [self.activation] * bool(self.activation))


@dataclass(frozen=True)
class GemmProblem:
    """`products` matrix products, (m, k) by (k, n) each."""

    m: int
    k: int
    n: int
    products: int = 1
    signature: Signature = Signature()

    @classmethod
    def of(
        cls,
        m: int,
        k: int,
        n: int,
        products: int = 1,
        *,
        layouts: MatrixLayouts,
        dtype: Dtype = F32,
        accumulate_dtype: Dtype = F32,
        bias: bool = False,
        activation: str = "",
    ) -> "GemmProblem":
        """The problem of matrices with these layouts, each with a unit stride; that of c is its columns'."""
        a, b, c = layouts
        signature = Signature(
            a_along_k=a.col_stride == 1,
            b_along_k=b.col_stride != 1,
            a_vec4=a.vec4_aligned(m, k),
            b_vec4=b.vec4_aligned(k, n),
            c_vec4=c.vec4_aligned(m, n),
            stored=dtype,
            result=dtype,
            accumulate_dtype=accumulate_dtype,
            bias=bias,
            activation=activation,
        )
        return cls(m, k, n, products, signature)

    @property
    def flops(self) -> int:
        return 2 * self.m * self.k * self.n * self.products

    def transposed(self) -> "GemmProblem":
        """The problem c^T = b^T a^T."""
        return replace(self, m=self.n, n=self.m, signature=self.signature.transposed())

    def __str__(self) -> str:
        batch = f"{self.products}×" if self.products > 1 else ""
        return f"{batch}{self.m}×{self.k}×{self.n}"
