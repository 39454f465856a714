"""Keys that sorting compares, unsigned integers that order as the elements do, and the WGSL to make them."""

from __future__ import annotations

from rusty_py.dtypes import BOOL, F16, F32, I32, U32, Dtype

KEY_BITS = {F32: 32, I32: 32, U32: 32, F16: 16, BOOL: 1}
"""How many bits the key of an element has; those above them are 0."""


def flip_mask(kind: Dtype, *, descending: bool) -> int:
    """What keys are combined with by exclusive or, to be in the order that is asked for."""
    return (1 << KEY_BITS[kind]) - 1 if descending else 0


# The key of a float has the sign turned; a negative number's other bits as well. NaN is the largest key.
_TO_KEY = {
    F32: """
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return 0xffffffffu;
    }
    return select(~bits, bits | 0x80000000u, bits < 0x80000000u);""",
    F16: """
    if ((bits & 0x7fffu) > 0x7c00u) {
        return 0xffffu;
    }
    return select(bits ^ 0xffffu, bits | 0x8000u, bits < 0x8000u);""",
    I32: "\n    return bits ^ 0x80000000u;",
    U32: "\n    return bits;",
    BOOL: "\n    return select(0u, 1u, bits != 0u);",
}

_FROM_KEY = {
    F32: "select(~key, key ^ 0x80000000u, key >= 0x80000000u)",
    F16: "select(key ^ 0xffffu, key ^ 0x8000u, key >= 0x8000u)",
    I32: "key ^ 0x80000000u",
    U32: "key",
    BOOL: "key",
}

_NEGATIVE_ZERO = {F32: "0x80000000u", F16: "0x8000u"}


def to_key(kind: Dtype, *, zeros_equal: bool) -> str:
    """`to_key(bits) -> u32`: the key of an element, by its bits; -0 has that of 0 if `zeros_equal`."""
    body = _TO_KEY[kind]
    if zeros_equal and kind in _NEGATIVE_ZERO:
        zero = f"\n    let bits = select(word, 0u, word == {_NEGATIVE_ZERO[kind]});"
        return f"fn to_key(word: u32) -> u32 {{{zero}{body}\n}}\n"
    return f"fn to_key(bits: u32) -> u32 {{{body}\n}}\n"


def bits_of(kind: Dtype, buffer: str, at: str) -> str:
    """WGSL of the bits of element `at` of `buffer`, which is bound as words."""
    if kind is F16:
        return f"({buffer}[{at} / 2u] >> (16u * ({at} & 1u))) & 0xffffu"
    return f"{buffer}[{at}]"


def element_of_key(kind: Dtype, key: str) -> str:
    """WGSL of the element that has the key `key`, as it is stored: a word, or an f16."""
    bits = _FROM_KEY[kind].replace("key", key)
    return f"f16(unpack2x16float({bits}).x)" if kind is F16 else bits
