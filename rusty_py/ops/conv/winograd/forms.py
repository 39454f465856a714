"""Winograd's minimal filtering F(m x m, r x r): its matrices, and the WGSL of the three transforms.

m outputs of a 1-D correlation of m + r - 1 inputs d with r weights g are A^T ((G g) * (B^T d)), where * is
the elementwise product (Winograd 1980; Lavin and Gray 2016). In 2-D, each matrix is applied along both axes.
The matrices are those of Toom and Cook: polynomials evaluated at m + r - 2 points and at infinity.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import prod

Matrix = tuple[tuple[Fraction, ...], ...]

TAPS = 3
"""Weights of a convolution along each axis."""


@dataclass(frozen=True)
class Form:
    """F(outputs x outputs, taps x taps) by interpolation at `points` and at infinity."""

    outputs: int
    points: tuple[Fraction, ...]
    taps: int = TAPS

    def __str__(self) -> str:
        return f"F({self.outputs}x{self.outputs},{self.taps}x{self.taps})"

    @property
    def size(self) -> int:
        """Input pixels of a tile along each axis."""
        return self.outputs + self.taps - 1

    @property
    def products(self) -> int:
        """Multiplications for a tile and a channel: the number of matrix products."""
        return self.size**2

    @property
    def saving(self) -> float:
        """How many times fewer multiplications than a direct sum."""
        return (self.outputs * self.taps) ** 2 / self.products

    @cached_property
    def input(self) -> Matrix:
        """B^T: in row i the coefficients of the polynomial that is zero at all points but the i-th."""
        rows = [_polynomial([each for each in self.points if each != point]) for point in self.points]
        return (*((*row, Fraction(0)) for row in rows), _polynomial(self.points))

    @cached_property
    def weights(self) -> Matrix:
        """G: the powers of each point, divided by the value of its row of B^T there."""
        rows = []
        for point in self.points:
            value = prod(point - other for other in self.points if other != point)
            rows.append(tuple(point**i / value for i in range(self.taps)))
        return (*rows, (*[Fraction(0)] * (self.taps - 1), Fraction(1)))

    @cached_property
    def output(self) -> Matrix:
        """A^T: row i has the i-th powers of the points."""
        last = self.outputs - 1
        powers = range(self.outputs)
        return tuple((*(point**i for point in self.points), Fraction(int(i == last))) for i in powers)

    @property
    def roundings(self) -> int:
        """How many roundings the three transforms add to those of the sum over the channels."""
        return 2 * sum(max(map(_roundings, each)) for each in (self.input, self.weights, self.output))


F2 = Form(2, tuple(map(Fraction, (0, 1, -1))))
F4 = Form(4, tuple(map(Fraction, ("0", "1", "-1", "1/2", "-2"))))
"""These points lose the fewest digits (Barabasz et al. 2020): half as many as 0, +-1, +-2."""
GRADIENT = Form(TAPS, F2.points, taps=F2.outputs)
"""For gradients of weights: F(3x3,2x2), of which tiles of the result's gradient are the weights.

The tiles of the input, and their transform, are those of F2."""


def transform_text(matrix: Matrix, *, rows: bool = False) -> str:
    """WGSL of transform(source, destination), which computes y = M d M^T without loops.

    It calls load(source, i, j) for the elements of d and store(destination, number, value) for those of y in
    row-major order; with `rows` store_row(destination, i, values) for each row of y.
    """
    size = len(matrix[0])
    lines = [f"let d_{i}_{j} = load(source, {i}u, {j}u);" for i in range(size) for j in range(size)]
    for i, row in enumerate(matrix):
        lines += [f"let t_{i}_{j} = {_sum(row, [f'd_{k}_{j}' for k in range(size)])};" for j in range(size)]
    for i in range(len(matrix)):
        values = [_sum(row, [f"t_{i}_{k}" for k in range(size)]) for row in matrix]
        if rows:
            lines.append(f"store_row(destination, {i}u, vec{len(matrix)}<f32>({', '.join(values)}));")
        else:
            lines += [
                f"store(destination, {i * len(matrix) + j}u, {value});" for j, value in enumerate(values)
            ]
    body = "".join(f"    {line}\n" for line in lines)
    return f"fn transform(source: Source, destination: Destination) {{\n{body}}}\n"


def _sum(row: tuple[Fraction, ...], terms: list[str]) -> str:
    """WGSL for the sum of a row's coefficients times `terms`, those that are 0 left out."""
    pairs = sorted(((c, term) for c, term in zip(row, terms, strict=True) if c), key=lambda each: each[0] < 0)
    (first, text), *others = pairs
    text = text if first == 1 else f"{float(first)} * {text}"
    for c, term in others:
        added = f"{text} {'+' if c > 0 else '-'} {term}"
        text = added if abs(c) == 1 else f"fma({float(c)}, {term}, {text})"
    return text


def _roundings(row: tuple[Fraction, ...]) -> int:
    """Of one sum: its additions, and of one term the coefficient and the product where they are not exact."""
    terms = [each for each in row if each]
    inexact = [
        (not _is_power(c.denominator)) + (not _is_power(abs(c.numerator * c.denominator))) for c in terms
    ]
    return len(terms) - 1 + max(inexact)


def _is_power(n: int) -> bool:
    """Whether it is a power of two."""
    return n & (n - 1) == 0


def _polynomial(roots: tuple[Fraction, ...] | list[Fraction]) -> tuple[Fraction, ...]:
    """The coefficients of the product of (x - root), of x^0 first."""
    found = [Fraction(1)]
    for root in roots:
        found = [
            low - root * high for low, high in zip([Fraction(0), *found], [*found, Fraction(0)], strict=True)
        ]
    return tuple(found)
