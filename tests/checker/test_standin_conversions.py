"""Conversions, bits taken for another type, packing, and floats taken apart: compared with NumPy's."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

from .expressions import ROWS, Case, Numbers, Sheet, compare, exact, rng, shapes, ulps_of

KINDS = {
    name: np.dtype(kind)
    for name, kind in {
        "f32": "float32",
        "f16": "float16",
        "i32": "int32",
        "u32": "uint32",
        "i64": "int64",
        "u64": "uint64",
        "bool": "bool",
    }.items()
}
F32, F16, I32, U32 = (KINDS[name] for name in ("f32", "f16", "i32", "u32"))


def anything(name: str, shape: tuple[int, ...], kind: np.dtype) -> Numbers:
    """Of all sizes, those out of other types' range, limits and NaN included."""
    random = rng(name)
    if kind.kind == "b":
        return random.random(shape) < 0.5
    if kind.kind == "f":
        values = (random.standard_normal(shape) * 10 ** random.uniform(-2, 12, shape)).astype(np.float64)
        special = [0.0, -0.0, 0.5, -0.5, 0.99, -0.99, 1.5, -1.5, np.nan, np.inf, -np.inf, 2.0**31, -(2.0**31)]
        special += [2.0**31 - 128, 2.0**32, 2.0**63, -(2.0**63), 2.0**64, 65504.0, 65520.0, 2.0**-24]
    else:
        limits = np.iinfo(kind)
        values = random.integers(limits.min, limits.max, shape, kind, endpoint=True)
        values >>= random.integers(0, limits.bits, shape).astype(kind)
        special = [0, 1, limits.max, limits.min, 2**24 + 1, 65504, 65519, 65520]
    for column in values.reshape(ROWS, -1).T:
        column[: len(special)] = random.permutation(np.array(special, values.dtype))
    with np.errstate(over="ignore"):
        return values.astype(kind)


def to_integer(values: Numbers, kind: np.dtype) -> Numbers:
    """Towards zero, after naga's clamp to what both types have; a NaN becomes the least."""
    limits = np.iinfo(kind)
    limit = float(np.finfo(values.dtype).max)
    below = np.nextafter(np.float32(float(limits.max) + 1), np.float32(0))
    clamped = np.fmin(np.fmax(values.astype(np.float64), max(limits.min, -limit)), min(float(below), limit))
    return np.trunc(clamped).astype(kind)


def converted(values: Numbers, kind: np.dtype) -> Numbers:
    if kind.kind == "b":
        return values != 0
    if values.dtype.kind == "f" and kind.kind in "iu":
        return to_integer(values, kind)
    return values.astype(np.float64 if kind.kind == "f" else kind)


def conversion(shape: tuple[int, ...], source: str, target: str) -> Case:
    name = f"{target}({source})-{shape[1:]}"
    values = anything(name, shape, KINDS[source])
    wgsl = f"{target}(a)" if len(shape) == 1 else f"vec{shape[1]}<{target}>(a)"
    expected = converted(values, KINDS[target])
    # float64 does not hold all of 64 bits.
    bound = 0.501 * ulps_of(expected, KINDS[target]) if source.endswith("64") and target[0] == "f" else None
    return Case(name, wgsl, (values,), expected, KINDS[target], bound)


def bitcasts(shape: tuple[int, ...]) -> list[Case]:
    cases = []
    for source, target in product(("i32", "u32", "f32"), repeat=2):
        bits = rng(f"{source}{target}{shape}").integers(0, 2**32, shape, np.uint32).view(KINDS[source])
        kind = target if len(shape) == 1 else f"vec{shape[1]}<{target}>"
        cases.append(
            exact(f"bitcast<{kind}>({source})", f"bitcast<{kind}>(a)", (bits,), bits.view(KINDS[target]))
        )
    return cases


def normalized(kind: np.dtype, wgsl: str, sign: str) -> list[Case]:
    """Packed and unpacked: near the middle of each step, so that no rounding decides, and out of range."""
    limits, width = np.iinfo(kind), 4 // kind.itemsize
    minimum = -limits.max if sign == "s" else 0
    random = rng(wgsl)
    steps = random.integers(minimum, limits.max, (ROWS, width), endpoint=True)
    values = ((steps + random.uniform(-0.4, 0.4, steps.shape)) / limits.max).astype(F32)
    values[:4], steps[:4] = [[3.0], [-2.0], [np.inf], [-np.inf]], [[limits.max], [minimum]] * 2
    packed = steps.astype(kind).view(U32)[:, 0]
    bits = random.integers(0, 2**32, ROWS, np.uint32)
    unpacked = np.fmax(bits.view(kind).reshape(ROWS, width) / float(limits.max), -1)
    half_an_ulp = 0.5 * ulps_of(unpacked, F32)
    return [
        exact(f"pack{wgsl}", f"pack{wgsl}(a)", (values,), packed),
        Case(f"unpack{wgsl}", f"unpack{wgsl}(a)", (bits,), unpacked, F32, half_an_ulp),
    ]


def packing() -> list[Case]:
    with np.errstate(over="ignore"):
        floats = anything("floats", (ROWS, 2), F32)
        halves = floats.astype(F16)
    number = ~np.isnan(floats).any(axis=1)
    floats[~number], halves[~number] = 1, 1  # NaNs have many bits.
    words, others = (rng(name).integers(0, 2**32, ROWS, np.uint32) for name in ("words", "others"))
    signed, unsigned = words.view(np.int8).reshape(ROWS, 4), words.view(np.uint8).reshape(ROWS, 4)
    integers = rng("integers").integers(-300, 300, (ROWS, 4), np.int32)
    naturals = np.abs(integers).astype(U32)

    def packed(values: Numbers) -> Numbers:
        return values.astype(np.uint8).view(U32)[:, 0]

    def dot(kind: type[np.generic], result: np.dtype) -> Numbers:
        rows = [each.view(kind).reshape(ROWS, 4).astype(result) for each in (words, others)]
        return (rows[0] * rows[1]).sum(axis=1, dtype=result)

    return [
        exact("pack2x16float", "pack2x16float(a)", (floats,), halves.view(U32)[:, 0]),
        exact("unpack2x16float", "unpack2x16float(a)", (halves.view(U32)[:, 0],), halves.astype(F32)),
        exact("pack4xI8", "pack4xI8(a)", (integers,), packed(integers)),
        exact("pack4xU8", "pack4xU8(a)", (naturals,), packed(naturals)),
        exact("pack4xI8Clamp", "pack4xI8Clamp(a)", (integers,), packed(np.clip(integers, -128, 127))),
        exact("pack4xU8Clamp", "pack4xU8Clamp(a)", (naturals,), packed(np.clip(naturals, 0, 255))),
        exact("unpack4xI8", "unpack4xI8(a)", (words,), signed.astype(I32)),
        exact("unpack4xU8", "unpack4xU8(a)", (words,), unsigned.astype(U32)),
        exact("dot4I8Packed", "dot4I8Packed(a, b)", (words, others), dot(np.int8, I32)),
        exact("dot4U8Packed", "dot4U8Packed(a, b)", (words, others), dot(np.uint8, U32)),
    ]


def parts(shape: tuple[int, ...]) -> list[Case]:
    """frexp, modf, and what f16 leaves of an f32. naga makes C++ of none of them for an f16."""
    name = f"{shape[1:]}"
    values = anything(name, shape, F32)
    finite = np.where(np.isfinite(values), values, np.float32(0.75))
    fraction, exponent = np.frexp(finite)
    rest, whole = np.modf(values)
    with np.errstate(over="ignore"):
        quantized = values.astype(F16).astype(F32)
    return [
        exact(f"frexp.fract-{name}", "frexp(a).fract", (finite,), fraction),
        exact(f"frexp.exp-{name}", "frexp(a).exp", (finite,), exponent),
        exact(f"modf.whole-{name}", "modf(a).whole", (values,), whole),
        exact(f"modf.fract-{name}", "modf(a).fract", (values,), rest),
        exact(f"quantizeToF16-{name}", "quantizeToF16(a)", (values,), quantized),
    ]


def scaled(shape: tuple[int, ...], kind: np.dtype) -> Case:
    name = f"ldexp-{kind.name}-{shape[1:]}"
    values, exponents = anything(name, shape, kind), rng(name).integers(-40, 30, shape, np.int32)
    return Case(
        name, "ldexp(a, b)", (values, exponents), np.ldexp(values.astype(np.float64), exponents), kind
    )


def angles(shape: tuple[int, ...], kind: np.dtype) -> list[Case]:
    """A constant, itself rounded, times a number: an ulp each at most."""
    values = rng(f"angles{shape}").uniform(-400, 400, shape).astype(kind)
    of: dict[str, Callable[[Numbers], Numbers]] = {"degrees(a)": np.degrees, "radians(a)": np.radians}
    return [
        Case(
            f"{wgsl}-{kind.name}-{shape[1:]}",
            wgsl,
            (values,),
            function(values.astype(np.float64)),
            kind,
            2 * ulps_of(function(values.astype(np.float64)), kind),
        )
        for wgsl, function in of.items()
    ]


SHEETS = [
    Sheet(
        tuple(
            conversion(shape, *pair) for pair in product(KINDS, repeat=2) for shape in shapes(KINDS[pair[0]])
        )
    ),
    Sheet(tuple(case for shape in shapes(I32) for case in bitcasts(shape))),
    Sheet(tuple(case for shape in shapes(F32) for case in parts(shape))),
    Sheet(
        (
            *packing(),
            *normalized(np.dtype(np.int8), "4x8snorm", "s"),
            *normalized(np.dtype(np.uint8), "4x8unorm", "u"),
            *normalized(np.dtype(np.int16), "2x16snorm", "s"),
            *normalized(np.dtype(np.uint16), "2x16unorm", "u"),
        )
    ),
    Sheet(
        tuple(
            case
            for kind in (F32, F16)
            for shape in shapes(kind)
            for case in (scaled(shape, kind), *angles(shape, kind))
        )
    ),
]
KERNELS = [sheet.wgsl for sheet in SHEETS]


@pytest.mark.parametrize("sheet", SHEETS)
def test_conversion(sheet: Sheet) -> None:
    compare(sheet)
