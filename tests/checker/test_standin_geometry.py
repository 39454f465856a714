"""Geometry of vectors, and blends of numbers, compared with NumPy's in float64.

An error grows by half an eps of the terms' sizes with each rounding on a number's way.
"""

from dataclasses import replace

import numpy as np
import pytest

from .expressions import ROWS, Case, Numbers, Sheet, compare, rng, shapes

F32, F16 = np.dtype(np.float32), np.dtype(np.float16)


def normal(name: str, shape: tuple[int, ...], kind: np.dtype) -> Numbers:
    return (rng(name).standard_normal(shape) * 3).astype(kind)


def within(
    wgsl: str, given: tuple[Numbers, ...], expected: Numbers, *, roundings: float, of: Numbers
) -> Case:
    """A case that may be off by so many roundings of numbers of the size `of`."""
    kind = given[0].dtype
    bound = 1.01 * roundings * float(np.finfo(kind).eps) / 2 * np.abs(of)
    bound += float(np.finfo(kind).smallest_subnormal)
    return Case(f"{wgsl}-{kind.name}-{given[0].shape[1:]}", wgsl, given, expected, kind, bound)


def dots(a: Numbers, b: Numbers) -> tuple[Numbers, Numbers]:
    """The product of each row, and the sum of its terms' sizes."""
    return (a * b).sum(axis=-1), np.abs(a * b).sum(axis=-1)


def geometry(width: int, kind: np.dtype) -> list[Case]:
    name = f"geometry{kind.name}{width}"
    a, b, c = (normal(f"{name}{letter}", (ROWS, width), kind) for letter in "abc")
    # Where the sign of a product decides, one that no rounding changes.
    c[np.abs(dots(b.astype(float), c.astype(float))[0]) < 0.1] = b[0]
    c[np.abs(dots(b.astype(float), c.astype(float))[0]) < 0.1] = b[1]
    x, y, z = (values.astype(np.float64) for values in (a, b, c))
    dot, size = dots(x, y)
    length, distance = np.linalg.norm(x, axis=1), np.linalg.norm(x - y, axis=1)
    forward = np.where(dots(y, z)[0][:, None] < 0, x, -x)
    sizes = np.abs(x) + 2 * size[:, None] * np.abs(y)
    reflected = x - 2 * dot[:, None] * y
    cases = [
        within("dot(a, b)", (a, b), dot, roundings=width, of=size),
        within("length(a)", (a,), length, roundings=width, of=length),
        within("distance(a, b)", (a, b), distance, roundings=width + 1, of=distance),
        within("normalize(a)", (a,), x / length[:, None], roundings=width + 4, of=x / length[:, None]),
        within("faceForward(a, b, c)", (a, b, c), forward, roundings=0, of=forward),
        within("reflect(a, b)", (a, b), reflected, roundings=width + 4, of=sizes),
        refraction(width, kind),
    ]
    if width == 3:
        terms = np.abs(np.roll(x, -1, 1) * np.roll(y, 1, 1)) + np.abs(np.roll(x, 1, 1) * np.roll(y, -1, 1))
        cases.append(within("cross(a, b)", (a, b), np.cross(x, y), roundings=2, of=terms))
    return cases


def refraction(width: int, kind: np.dtype) -> Case:
    """Of unit vectors, some of them reflected in whole: k = 1 - ratio^2 (1 - dot^2) is below zero."""
    name = f"refract{kind.name}{width}"
    a, n = (normal(f"{name}{letter}", (ROWS, width), kind).astype(np.float64) for letter in "an")
    a, n = ((v / np.linalg.norm(v, axis=1)[:, None]).astype(kind) for v in (a, n))
    ratio = rng(name).uniform(0.3, 3, ROWS).astype(kind)
    x, y = a.astype(np.float64), n.astype(np.float64)
    dot, size = dots(x, y)

    def left(r: Numbers) -> Numbers:
        return 1 - r**2 * (1 - dot**2)

    ratio[np.abs(left(ratio.astype(np.float64))) < 0.1] = 0.5
    r = ratio.astype(np.float64)
    k = left(r)
    root = np.sqrt(np.maximum(k, 0))
    expected = np.where(k[:, None] < 0, 0, r[:, None] * x - (r * dot + root)[:, None] * y)
    # Of k: ratio^2 and the difference, twice, and the dot product, squared. Of its root: half of that.
    of_k = 2 + r**2 * (5 + (2 * width + 1) * size**2)
    of_root = of_k / (2 * np.sqrt(np.abs(k))) + root
    of_factor = r * size * (width + 2) + of_root + root
    sizes = np.abs(r[:, None] * x) * 2 + (2 * of_factor)[:, None] * np.abs(y)
    return within("refract(a, b, c)", (a, n, ratio), expected, roundings=1, of=sizes)


def lengths_of_scalars(kind: np.dtype) -> list[Case]:
    a, b = (normal(f"scalars{kind.name}{letter}", (ROWS,), kind) for letter in "ab")
    difference = np.abs(a.astype(np.float64) - b)
    return [
        within("length(a)", (a,), np.abs(a).astype(np.float64), roundings=0, of=difference),
        within("distance(a, b)", (a, b), difference, roundings=1, of=difference),
    ]


def blends(shape: tuple[int, ...], kind: np.dtype) -> list[Case]:
    name = f"blends{kind.name}{shape}"
    a, b, c = (normal(f"{name}{letter}", shape, kind) for letter in "abc")
    x, y, z = (values.astype(np.float64) for values in (a, b, c))
    part = np.abs((y - x) * z)
    low, high = np.minimum(a, b), np.maximum(a, b) + kind.type(1)
    t = np.clip((z - low) / (high.astype(np.float64) - low), 0, 1)
    smooth = t * t * (3 - 2 * t)
    cases = [
        # A difference, a product and a sum.
        within("mix(a, b, c)", (a, b, c), x + (y - x) * z, roundings=4, of=np.abs(x) + part),
        # t has three roundings, and counts three times at most; four more follow.
        within("smoothstep(a, b, c)", (low, high, c), smooth, roundings=16, of=smooth),
    ]
    if len(shape) > 1:
        one = normal(f"{name}one", (ROWS,), kind)
        part = np.abs((y - x) * one.astype(np.float64)[:, None])
        mixed = x + (y - x) * one.astype(np.float64)[:, None]
        by_one = within("mix(a, b, c)", (a, b, one), mixed, roundings=4, of=np.abs(x) + part)
        cases.append(replace(by_one, name=f"{by_one.name} by a scalar"))
    return cases


SHEETS = [
    Sheet(
        (
            *(case for kind in (F32, F16) for width in (2, 3, 4) for case in geometry(width, kind)),
            *(case for kind in (F32, F16) for case in lengths_of_scalars(kind)),
        )
    )
]
SHEETS += [
    Sheet(tuple(case for kind in (F32, F16) for shape in shapes(kind) for case in blends(shape, kind)))
]
KERNELS = [sheet.wgsl for sheet in SHEETS]


@pytest.mark.parametrize("sheet", SHEETS)
def test_expression_of_geometry(sheet: Sheet) -> None:
    compare(sheet)
