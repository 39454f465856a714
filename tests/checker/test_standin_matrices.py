"""Matrices of all sizes, their operators and functions, compared with NumPy's in float64.

Here a matrix is (columns, rows), as WGSL has it: what NumPy calls its transpose.
"""

from itertools import product

import numpy as np
import pytest

from .expressions import ROWS, Case, Numbers, Sheet, compare, exact, rng

F32, F16, U32 = (np.dtype(name) for name in ("float32", "float16", "uint32"))
SIZES = {
    F32: list(product((2, 3, 4), repeat=2)),
    F16: [(2, 2), (3, 3), (4, 4), (4, 3), (2, 3)],
}


def normal(name: str, shape: tuple[int, ...], kind: np.dtype) -> Numbers:
    return (rng(name).standard_normal((ROWS, *shape)) * 3).astype(kind)


def within(name: str, wgsl: str, given: tuple[Numbers, ...], expected: Numbers, bound: Numbers) -> Case:
    """May be off by `bound` half eps of its type."""
    kind = given[0].dtype
    limits = np.finfo(kind)
    allowed = 1.01 * float(limits.eps) / 2 * bound + float(limits.smallest_subnormal)
    return Case(name, wgsl, given, expected, kind, allowed)


def products(columns: int, rows: int, kind: np.dtype) -> list[Case]:
    """An element of a product of k terms each has k roundings on its way, at most."""
    name = f"{columns}x{rows}-{kind.name}"
    m, column, row = (
        normal(f"{name}{number}", shape, kind)
        for number, shape in enumerate([(columns, rows), (columns,), (rows,)])
    )
    scalar = normal(f"{name}scalar", (), kind)
    x, c, r, s = (values.astype(np.float64) for values in (m, column, row, scalar))
    by_column, by_row, by_scalar = "ncr,nc->nr", "ncr,nr->nc", "ncr,n->ncr"
    cases = [
        within(f"{wgsl} {of}-{name}", wgsl, given, np.einsum(of, x, y), k * np.einsum(of, abs(x), abs(y)))
        for wgsl, given, of, y, k in (
            ("a * b", (m, column), by_column, c, columns),
            ("a * b", (row, m), by_row, r, rows),
            ("a * b", (m, scalar), by_scalar, s, 1),
        )
    ]
    scaled = np.einsum(by_scalar, x, s)
    cases.append(within(f"scalar * matrix-{name}", "a * b", (scalar, m), scaled, abs(scaled)))
    for left in (2, 3, 4):
        # (columns, rows) times (left, columns) is (left, rows).
        other = normal(f"{name}{left}", (left, columns), kind)
        y = other.astype(np.float64)
        cases.append(within(f"a * b {left}-{name}", "a * b", (m, other), y @ x, columns * (abs(y) @ abs(x))))
    return cases


def elements(columns: int, rows: int, kind: np.dtype) -> list[Case]:
    name = f"{columns}x{rows}-{kind.name}"
    scalar = "f32" if kind == F32 else "f16"
    matrix = f"mat{columns}x{rows}<{scalar}>"
    a, b = (normal(f"{name}{letter}", (columns, rows), kind) for letter in "ab")
    at = rng(name).integers(0, 2, ROWS, U32)
    each_row = np.arange(ROWS)
    swapped = a[:, ::-1].copy()
    swapped[:, 0, 1] += kind.type(1)
    scalars = ", ".join(f"a[{i}][{j}]" for i in range(columns) for j in range(rows))
    vectors = ", ".join(f"a[{i}]" for i in reversed(range(columns)))
    return [
        exact(f"a + b-{name}", "a + b", (a, b), a + b),
        exact(f"a - b-{name}", "a - b", (a, b), a - b),
        exact(f"transpose(a)-{name}", "transpose(a)", (a,), a.swapaxes(1, 2)),
        exact(f"a[b]-{name}", "a[b]", (a, at), a[each_row, at]),
        exact(f"a[1][b]-{name}", "a[1][b]", (a, at), a[each_row, 1, at]),
        exact(f"of scalars-{name}", f"{matrix}({scalars})", (a,), a),
        exact(f"zero-{name}", f"{matrix}() + a", (a,), a),
        exact(f"of vectors-{name}", f"set_{columns}x{rows}_{scalar}({matrix}({vectors}))", (a,), swapped),
        exact(f"of a matrix-{name}", f"{matrix}(a)", (a,), a),
    ]


def determinants(size: int, kind: np.dtype) -> Case:
    """By its first column: beside a smaller one's, a term has a product's and size - 1 sums' roundings."""
    a = normal(f"determinant{size}{kind.name}", (size, size), kind)
    x = a.astype(np.float64)
    return within(
        f"determinant-{size}-{kind.name}",
        "determinant(a)",
        (a,),
        np.linalg.det(x),
        (size * (size + 1) // 2 - 1) * permanent(np.abs(x)),
    )


def permanent(x: Numbers) -> Numbers:
    """The determinant with all its terms added."""
    if x.shape[-1] == 1:
        return x[:, 0, 0]
    return sum(x[:, 0, i] * permanent(np.delete(x[:, 1:], i, axis=2)) for i in range(x.shape[-1]))


def converted(columns: int, rows: int) -> Case:
    a = normal(f"converted{columns}{rows}", (columns, rows), F32)
    name = f"mat{columns}x{rows}<f16>(a)"
    return exact(name, name, (a,), a.astype(F16))


SET = """fn set_{0}x{1}_{2}(a: mat{0}x{1}<{2}>) -> mat{0}x{1}<{2}> {{
    var m = a;
    m[0][1] += {2}(1);
    return m;
}}
"""


def sheet(kind: np.dtype) -> Sheet:
    cases = [case for size in SIZES[kind] for case in (*products(*size, kind), *elements(*size, kind))]
    preamble = "".join(SET.format(*size, "f32" if kind == F32 else "f16") for size in SIZES[kind])
    return Sheet((*cases, *(determinants(size, kind) for size in (2, 3, 4))), preamble)


SHEETS = [sheet(F32), sheet(F16), Sheet(tuple(converted(*size) for size in SIZES[F32]))]
KERNELS = [each.wgsl for each in SHEETS]


@pytest.mark.parametrize("sheet", SHEETS)
def test_expression_of_matrices(sheet: Sheet) -> None:
    compare(sheet)
