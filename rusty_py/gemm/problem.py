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


class Place(NamedTuple):
    """Where matrices lie in a buffer, in elements: (i, j) of matrix p at + p * step + i * row + j * col."""

    at: int
    step: int
    row: int
    col: int

    def lies_by_fours(self, rows: int, cols: int) -> bool:
        """Whether vectors of four neighbours cover it: all but the stride of 1 is a multiple of 4."""
        along, line = (cols, self.row) if self.col == 1 else (rows, self.col)
        return not (along % 4 or line % 4 or self.at % 4 or self.step % 4)

    def settled(self, rows: int, cols: int) -> "Place":
        """The same elements; an axis of one element gets the stride 1 if the other has another."""
        if rows == 1:
            return self._replace(row=1 if self.col != 1 else cols)
        if cols == 1:
            return self._replace(col=1 if self.row != 1 else rows)
        return self

    def turned(self) -> "Place":
        """Where the transposes lie."""
        return self._replace(row=self.col, col=self.row)


Places = tuple[Place, Place, Place]
"""Of a, b and c."""


def contiguous(m: int, k: int, n: int, products: int = 1, *, layout: str = "nn") -> Places:
    """The places of (products, m, k) by (products, k, n) matrices, each operand a buffer without gaps.

    `layout` has a letter for a and one for b, as in BLAS: "n" for row-major, "t" for column-major.
    """
    a, b = (
        Place(0, rows * cols if products > 1 else 0, *((cols, 1) if letter == "n" else (1, rows))).settled(
            rows, cols
        )
        for letter, rows, cols in zip(layout, (m, k), (k, n), strict=True)
    )
    return a, b, Place(0, m * n if products > 1 else 0, n, 1)


@dataclass(frozen=True)
class Form:
    """What the text of a kernel depends on beside its own sizes.

    `a_fours`, `b_fours` and `c_fours`: vectors of four neighbours cover the matrix. `stored` is the dtype of
    a, b and the bias, `result` of c, `sums` of the sums. `activation` is one of `ACTIVATIONS`, or "".
    `clamps`: what lies beyond a block of c must not be read. `pairs`: a and b are f16, two neighbours along k
    side by side, and k counts the pairs.
    """

    a_along_k: bool = True
    b_along_k: bool = False
    a_fours: bool = True
    b_fours: bool = True
    c_fours: bool = True
    stored: Dtype = F32
    result: Dtype = F32
    sums: Dtype = F32
    bias: bool = False
    activation: str = ""
    clamps: bool = False
    pairs: bool = False

    def turned(self) -> "Form":
        """Of c^T = b^T a^T. The result is stored one by one, and the bias goes along its rows."""
        return replace(
            self,
            a_along_k=self.b_along_k,
            b_along_k=self.a_along_k,
            a_fours=self.b_fours,
            b_fours=self.a_fours,
            c_fours=False,
        )

    @property
    def layout(self) -> str:
        """The letters of a and b: "n" for row-major, "t" for column-major."""
        return "nt"[not self.a_along_k] + "nt"[self.b_along_k]

    def __str__(self) -> str:
        fours = [
            x
            for x, by_fours in zip("abc", (self.a_fours, self.b_fours, self.c_fours), strict=True)
            if by_fours
        ]
        kinds = [self.stored.name, self.sums.name, self.result.name]
        parts = [self.layout, f"{' '.join(fours)} by fours" if fours else "one by one"]
        parts += [" ".join(kinds)] * (set(kinds) != {F32.name}) + ["pairs"] * self.pairs
        return ", ".join(parts + ["bias"] * self.bias + [self.activation] * bool(self.activation))


@dataclass(frozen=True)
class Problem:
    """`products` matrix products, (m, k) by (k, n) each."""

    m: int
    k: int
    n: int
    products: int = 1
    form: Form = Form()

    @classmethod
    def of(
        cls,
        m: int,
        k: int,
        n: int,
        products: int = 1,
        *,
        places: Places,
        dtype: Dtype = F32,
        sums: Dtype = F32,
        bias: bool = False,
        activation: str = "",
    ) -> "Problem":
        """The problem of matrices of `dtype` at `places`, each with a stride of 1, those of c along rows."""
        a, b, c = places
        form = Form(
            a_along_k=a.col == 1,
            b_along_k=b.col != 1,
            a_fours=a.lies_by_fours(m, k),
            b_fours=b.lies_by_fours(k, n),
            c_fours=c.lies_by_fours(m, n),
            stored=dtype,
            result=dtype,
            sums=sums,
            bias=bias,
            activation=activation,
        )
        return cls(m, k, n, products, form)

    @property
    def flops(self) -> int:
        return 2 * self.m * self.k * self.n * self.products

    def turned(self) -> "Problem":
        """c^T = b^T a^T."""
        return replace(self, m=self.n, n=self.m, form=self.form.turned())

    def __str__(self) -> str:
        batch = f"{self.products}×" if self.products > 1 else ""
        return f"{batch}{self.m}×{self.k}×{self.n}"
