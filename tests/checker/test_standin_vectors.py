"""Vectors: made, taken apart, compared, chosen from, and beside scalars, compared with NumPy's."""

import numpy as np
import pytest

from .expressions import ROWS, Case, Numbers, Sheet, compare, exact, rng, shapes

F32, F16, I32, U32 = (np.dtype(name) for name in ("float32", "float16", "int32", "uint32"))
WIDTHS = (2, 3, 4)
SCALARS = {F32: "f32", F16: "f16", I32: "i32", U32: "u32"}


def normal(name: str, shape: tuple[int, ...], kind: np.dtype) -> Numbers:
    return (rng(name).standard_normal(shape) * 3).astype(kind)


def comparisons(shape: tuple[int, ...], kind: np.dtype) -> list[Case]:
    name = f"{kind.name}-{shape[1:]}"
    a, other = (normal(f"{name}{letter}", shape, kind) for letter in "ab")
    b = np.where(rng(name).random(shape) < 0.5, a, other)
    b[0], a[1] = np.nan, np.nan
    condition = rng(f"{name}?").random(shape) < 0.5
    one = rng(f"{name}!").random(ROWS) < 0.5
    of = {
        "a == b": a == b,
        "a != b": a != b,
        "a < b": a < b,
        "a <= b": a <= b,
        "a > b": a > b,
        "a >= b": a >= b,
    }
    whole = one.reshape(ROWS, *[1] * (len(shape) - 1))
    return [
        *(exact(f"{wgsl}-{name}", wgsl, (a, b), expected) for wgsl, expected in of.items()),
        exact(f"select-{name}", "select(a, b, c)", (a, b, condition), np.where(condition, b, a)),
        exact(f"select one-{name}", "select(a, b, c)", (a, b, one), np.where(whole, b, a)),
    ]


def with_scalars(width: int, kind: np.dtype) -> list[Case]:
    """Operators between a vector and a scalar."""
    name = f"{kind.name}-{width}"
    vector = rng(name).integers(1, 100, (ROWS, width)).astype(kind)
    scalar = rng(f"{name}s").integers(1, 100, ROWS).astype(kind)
    column = scalar[:, None]
    cases = []
    with np.errstate(over="ignore"):
        for op, of in {"+": np.add, "-": np.subtract, "*": np.multiply}.items():
            cases += [
                exact(f"vector {op} scalar-{name}", f"a {op} b", (vector, scalar), of(vector, column)),
                exact(f"scalar {op} vector-{name}", f"a {op} b", (scalar, vector), of(column, vector)),
            ]
    for op, of in {"/": np.divide, "%": np.fmod}.items():
        forward, backward = of(vector, column), of(column, vector)
        if op == "/" and kind.kind != "f":
            forward, backward = vector // column, column // vector
        cases += [
            exact(f"vector {op} scalar-{name}", f"a {op} b", (vector, scalar), forward.astype(kind)),
            exact(f"scalar {op} vector-{name}", f"a {op} b", (scalar, vector), backward.astype(kind)),
        ]
    return cases


def made(kind: np.dtype) -> list[Case]:
    """Constructors, swizzles, and components by number."""
    scalar = SCALARS[kind]
    one = rng(scalar).integers(0, 100, (ROWS,)).astype(kind)
    two, three, four = (rng(f"{scalar}{w}").integers(0, 100, (ROWS, w)).astype(kind) for w in WIDTHS)
    number = rng("number").integers(0, 3, ROWS, np.uint32)
    rows = np.arange(ROWS)
    column = one[:, None]
    vec2, vec3, vec4 = (f"vec{width}<{scalar}>" for width in WIDTHS)
    of: dict[str, tuple[tuple[Numbers, ...], Numbers]] = {
        f"{vec2}(a)": ((one,), column.repeat(2, 1)),
        f"{vec3}(a)": ((one,), column.repeat(3, 1)),
        f"{vec4}(a)": ((one,), column.repeat(4, 1)),
        f"{vec3}()": ((one,), np.zeros_like(three)),
        f"{vec3}(a, b)": ((two, one), np.hstack([two, column])),
        f"{vec3}(b, a)": ((two, one), np.hstack([column, two])),
        f"{vec4}(a, a)": ((two,), np.hstack([two, two])),
        f"{vec4}(b, a, b)": ((two, one), np.hstack([column, two, column])),
        f"{vec4}(a, b, b)": ((two, one), np.hstack([two, column, column])),
        f"{vec4}(a, b)": ((three, one), np.hstack([three, column])),
        f"{vec4}(b, a)": ((three, one), np.hstack([column, three])),
        f"{vec4}(a, a, a, a)": ((one,), column.repeat(4, 1)),
        "a.zyx": ((three,), three[:, ::-1]),
        "a.yx": ((two,), two[:, ::-1]),
        "a.xxyy": ((two,), two[:, [0, 0, 1, 1]]),
        "a.wzyx": ((four,), four[:, ::-1]),
        "a.rgb": ((four,), four[:, :3]),
        "a.yw + a.xz": ((four,), four[:, [1, 3]] + four[:, [0, 2]]),
        "a.y": ((three,), three[:, 1]),
        "a[2]": ((three,), three[:, 2]),
        "a[b]": ((four, number), four[rows, number]),
        "a.zyxw[b]": ((four, number), four[:, [2, 1, 0, 3]][rows, number]),
        f"set_{scalar}(a, b)": ((three, number), set_components(three, number)),
    }
    return [exact(f"{wgsl}-{scalar}-{given[0].shape}", wgsl, given, x) for wgsl, (given, x) in of.items()]


def set_components(vectors: Numbers, number: Numbers) -> Numbers:
    vectors = vectors.copy()
    vectors[np.arange(ROWS), number] += vectors.dtype.type(7)
    vectors[:, 1] = vectors[:, 2] * 2
    return vectors


SET = """fn set_{0}(a: vec3<{0}>, at: u32) -> vec3<{0}> {{
    var v = a;
    v[at] += {0}(7);
    let p = &v;
    (*p).y = p.z * {0}(2);
    return v;
}}"""


SHEETS = [
    Sheet(tuple(case for kind in (F32, F16) for shape in shapes(kind) for case in comparisons(shape, kind))),
    Sheet(
        tuple(case for kind in SCALARS for shape in shapes(kind)[1:] for case in with_scalars(shape[1], kind))
    ),
]
SHEETS += [
    Sheet(
        tuple(case for kind in SCALARS for case in made(kind)),
        "".join(map(SET.format, SCALARS.values())),
    )
]
KERNELS = [sheet.wgsl for sheet in SHEETS]


@pytest.mark.parametrize("sheet", SHEETS)
def test_expression_of_vectors(sheet: Sheet) -> None:
    compare(sheet)
