"""A matrix product as kernels see it: sizes, where the numbers lie, and what they are. Pure data."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from rusty_py.dtypes import F32, Dtype

ACTIVATIONS = {
    "relu": "max(x, vec4(0.0))",
    "tanh": "tanh(clamp(x, vec4(-10.0), vec4(10.0)))",  # Some drivers' tanh overflows beyond 40.
    "sigmoid": "1.0 / (1.0 + exp(-x))",
    "silu": "x / (1.0 + exp(-x))",
    "gelu": "x / (1.0 + exp(-1.5957691216 * (x + 0.044715 * x * x * x)))",
}
"""What may follow a product, as WGSL of x; gelu is the one by tanh, written as x * sigmoid(2y)."""


class MatrixLayout(NamedTuple):
    """Where matrices lie in a buffer, in elements: (i, j) of matrix p at + p * step + i * row + j * col."""

    at: int
    step: int
    row: int
    col: int

    def vec4_aligned(self, rows: int, cols: int) -> bool:
        """Whether vectors of four neighbours cover it: all but the stride of 1 is a multiple of 4."""
        along, line = (cols, self.row) if self.col == 1 else (rows, self.col)
        return not (along % 4 or line % 4 or self.at % 4 or self.step % 4)

    def normalized(self, rows: int, cols: int) -> "MatrixLayout":
        """The same elements; an axis of one element gets the stride 1 if the other has another."""
        if rows == 1:
            return self._replace(row=1 if self.col != 1 else cols)
        if cols == 1:
            return self._replace(col=1 if self.row != 1 else rows)
        return self

    def transposed(self) -> "MatrixLayout":
        """Where the transposes lie."""
        return self._replace(row=self.col, col=self.row)


MatrixLayouts = tuple[MatrixLayout, MatrixLayout, MatrixLayout]
"""Of a, b and c."""


def contiguous(m: int, k: int, n: int, products: int = 1, *, layout: str = "nn") -> MatrixLayouts:
    """The places of (products, m, k) by (products, k, n) matrices, each operand a buffer without gaps.

    `layout` has a letter for a and one for b, as in BLAS: "n" for row-major, "t" for column-major.
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
    """What the text of a kernel depends on beside its own sizes.

    `a_vec4`, `b_vec4` and `c_vec4`: the matrix can be accessed as vec4. `stored` is the dtype of a, b and the
    bias, `result` that of c, `accumulate_dtype` that of the accumulators. `activation` is one of
    `ACTIVATIONS`, or "". `clamps`: elements beyond a block of c must not be read. `half2`: a and b hold pairs
    of f16 that are neighbours along k, and k counts the pairs.
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

    def transposed(self) -> "Signature":
        """Of c^T = b^T a^T. The result is stored one by one, and the bias goes along its rows."""
        return replace(
            self,
            a_along_k=self.b_along_k,
            b_along_k=self.a_along_k,
            a_vec4=self.b_vec4,
            b_vec4=self.a_vec4,
            c_vec4=False,
        )

    @property
    def layout(self) -> str:
        """The letters of a and b: "n" for row-major, "t" for column-major."""
        return "nt"[not self.a_along_k] + "nt"[self.b_along_k]

    def __str__(self) -> str:
        vec4 = [x for x, vec4 in zip("abc", (self.a_vec4, self.b_vec4, self.c_vec4), strict=True) if vec4]
        kinds = [self.stored.name, self.accumulate_dtype.name, self.result.name]
        parts = [self.layout, f"vec4 {' '.join(vec4)}" if vec4 else "scalar"]
        parts += [" ".join(kinds)] * (set(kinds) != {F32.name}) + ["half2"] * self.half2
        return ", ".join(parts + ["bias"] * self.bias + [self.activation] * bool(self.activation))


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
        places: MatrixLayouts,
        dtype: Dtype = F32,
        accumulate_dtype: Dtype = F32,
        bias: bool = False,
        activation: str = "",
    ) -> "GemmProblem":
        """The problem of matrices of `dtype` at `places`, each with a stride of 1, those of c along rows."""
        a, b, c = places
        signature = Signature(
            a_along_k=a.col == 1,
            b_along_k=b.col != 1,
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
        """c^T = b^T a^T."""
        return replace(self, m=self.n, n=self.m, signature=self.signature.transposed())

    def __str__(self) -> str:
        batch = f"{self.products}×" if self.products > 1 else ""
        return f"{batch}{self.m}×{self.k}×{self.n}"
