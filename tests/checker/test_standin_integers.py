"""Integers of 32 and 64 bits, their operators, bits and conversions, compared with NumPy's, exactly."""

from collections.abc import Callable

import numpy as np
import pytest

from .expressions import ROWS, Case, Numbers, Sheet, compare, exact, rng, shapes

KINDS = [np.dtype(name) for name in ("int32", "uint32", "int64", "uint64")]


def anything(name: str, shape: tuple[int, ...], kind: np.dtype) -> Numbers:
    """Of all sizes, limits included."""
    limits, random = np.iinfo(kind), rng(name)
    values = random.integers(limits.min, limits.max, shape, kind, endpoint=True)
    values >>= random.integers(0, limits.bits, shape).astype(kind)
    special = np.array([0, 1, 2, 3, limits.max, limits.max - 1, limits.min, limits.min + 1], kind)
    special = np.concatenate([special, ~special[:2]])
    for column in values.reshape(ROWS, -1).T:
        column[: len(special)] = random.permutation(special)
    return values


def wrapped(name: str, wgsl: str, given: tuple[Numbers, ...], of: Callable[..., object]) -> Case:
    """What Python's integers give, whose bits beyond the type's are dropped."""
    kind = given[0].dtype
    bits = np.iinfo(kind).bits
    exactly = np.asarray(of(*(each.astype(object) for each in given)))
    return exact(name, wgsl, given, (exactly & ((1 << bits) - 1)).astype(f"uint{bits}").view(kind))


def quotient(a: int, b: int) -> int:
    """Towards zero; a itself where there is none, as WGSL has it. The one that overflows wraps around."""
    return a if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def remainder(a: int, b: int) -> int:
    return 0 if b == 0 else a - b * quotient(a, b)


ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "a * b": lambda a, b: a * b,
    "a / b": quotient,
    "a % b": remainder,
    "a & b": lambda a, b: a & b,
    "a | b": lambda a, b: a | b,
    "a ^ b": lambda a, b: a ^ b,
    "min(a, b)": min,
    "max(a, b)": max,
    "~a + b": lambda a, b: ~a + b,
}
COMPARISONS: dict[str, Callable[[Numbers, Numbers], Numbers]] = {
    "a == b": np.equal,
    "a != b": np.not_equal,
    "a < b": np.less,
    "a <= b": np.less_equal,
    "a > b": np.greater,
    "a >= b": np.greater_equal,
}


def bit_length(x: int) -> int:
    return (~x if x < 0 else x).bit_length()


def bits_of(x: int, bits: int) -> str:
    """The first one highest."""
    return f"{x & ((1 << bits) - 1):0{bits}b}"


def of_bits(bits: int, count: Callable[[str], int]) -> Callable[[object], object]:
    return np.vectorize(lambda x: count(bits_of(x, bits)), otypes=[object])


def functions(shape: tuple[int, ...], kind: np.dtype) -> list[Case]:
    name, bits = f"{kind.name}-{shape[1:]}", np.iinfo(kind).bits
    a, b, c = (anything(f"{name}{letter}", shape, kind) for letter in "abc")
    near = np.where(rng(name).random(shape) < 0.5, a, b)
    cases = [
        wrapped(f"{op}-{name}", op, (a, b), np.vectorize(of, otypes=[object]))
        for op, of in ARITHMETIC.items()
    ]
    cases += [exact(f"{op}-{name}", op, (a, near), of(a, near)) for op, of in COMPARISONS.items()]
    one: dict[str, Callable[[object], object]] = {
        "abs(a)": np.abs,
        "countLeadingZeros(a)": of_bits(bits, lambda x: len(x) - len(x.lstrip("0"))),
        "countTrailingZeros(a)": of_bits(bits, lambda x: len(x) - len(x.rstrip("0"))),
        "countOneBits(a)": of_bits(bits, lambda x: x.count("1")),
        "firstLeadingBit(a)": np.vectorize(lambda x: bit_length(x) - 1, otypes=[object]),
        "firstTrailingBit(a)": of_bits(bits, lambda x: len(x) - 1 - x.rindex("1") if "1" in x else -1),
        "reverseBits(a)": of_bits(bits, lambda x: int(x[::-1], 2)),
    }
    if kind.kind == "i":
        one |= {"-a": np.negative, "sign(a)": np.sign}
    cases += [wrapped(f"{wgsl}-{name}", wgsl, (a,), of) for wgsl, of in one.items()]
    clamp = "clamp(a, min(b, c), max(b, c))"
    cases.append(exact(f"{clamp}-{name}", clamp, (a, b, c), np.clip(a, np.minimum(b, c), np.maximum(b, c))))
    return cases + fields(shape, kind)


def fields(shape: tuple[int, ...], kind: np.dtype) -> list[Case]:
    """Fields of bits, none of them included, and shifts. A shift's right side counts modulo the bits."""
    name, bits = f"{kind.name}-{shape[1:]}", np.iinfo(kind).bits
    a, b = (anything(f"{name}{letter}", shape, kind) for letter in "de")
    cases = []
    for offset, count in ((0, bits), (0, 0), (3, 5), (bits - 1, 1), (bits, 0), (bits - 2, 9), (bits + 5, 2)):
        start = min(offset, bits)
        width = min(count, bits - start)
        mask = ((1 << width) - 1) << start
        sign = 1 << (width - 1) if width and kind.kind == "i" else 0
        cases += [
            wrapped(
                f"extractBits(a, {offset}, {count})-{name}",
                f"extractBits(a, {offset}u, {count}u)",
                (a,),
                lambda x, mask=mask, start=start, sign=sign: (((x & mask) >> start) ^ sign) - sign,
            ),
            wrapped(
                f"insertBits(a, b, {offset}, {count})-{name}",
                f"insertBits(a, b, {offset}u, {count}u)",
                (a, b),
                lambda x, y, mask=mask, start=start: (x & ~mask) | ((y << start) & mask),
            ),
        ]
    counts = rng(name).integers(0, 32, shape, np.uint32)
    cases += [
        wrapped(f"a << b-{name}", "a << b", (a, counts), lambda x, y: x << y),
        wrapped(f"a >> b-{name}", "a >> b", (a, counts), lambda x, y: x >> y),
    ]
    return cases


def logic(shape: tuple[int, ...]) -> list[Case]:
    name = f"bool-{shape[1:]}"
    a, b, c = (rng(f"{name}{letter}").random(shape) < 0.5 for letter in "abc")
    rows = tuple(range(1, len(shape)))
    cases = [
        exact(f"a & b-{name}", "a & b", (a, b), a & b),
        exact(f"a | b-{name}", "a | b", (a, b), a | b),
        exact(f"!a-{name}", "!a", (a,), ~a),
        exact(f"a == b-{name}", "a == b", (a, b), a == b),
        exact(f"a != b-{name}", "a != b", (a, b), a != b),
        exact(f"select-{name}", "select(a, b, c)", (a, b, c), np.where(c, b, a)),
        exact(f"all-{name}", "all(a)", (a | b,), (a | b).all(axis=rows)),
        exact(f"any-{name}", "any(a)", (a & b,), (a & b).any(axis=rows)),
    ]
    if not rows:
        cases.append(exact(f"a && b || c-{name}", "a && b || c", (a, b, c), a & b | c))
    return cases


SHEETS = [Sheet(tuple(case for shape in shapes(kind) for case in functions(shape, kind))) for kind in KINDS]
SHEETS += [Sheet(tuple(case for shape in shapes(np.dtype(bool)) for case in logic(shape)))]
KERNELS = [sheet.wgsl for sheet in SHEETS]


@pytest.mark.parametrize("sheet", SHEETS)
def test_expression_of_integers(sheet: Sheet) -> None:
    compare(sheet)
