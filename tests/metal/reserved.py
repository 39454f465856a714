"""The words that are no identifiers in the Metal Shading Language, which is C++14 and more.

naga renames those it knows, and it does not know all. Stricter than need be: a new name costs nothing.
"""

import re

from . import declared

# The standard's keywords and alternative tokens (N4431, 2.11 and 2.5).
_CPP = """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t class compl
    const const_cast constexpr continue decltype default delete do double dynamic_cast else enum explicit
    export extern false float for friend goto if inline int long mutable namespace new noexcept not not_eq
    nullptr operator or or_eq private protected public register reinterpret_cast return short signed sizeof
    static static_assert static_cast struct switch template this thread_local throw true try typedef typeid
    typename union unsigned using virtual void volatile wchar_t while xor xor_eq
"""

# Address spaces, function qualifiers, types, namespaces and macros of Metal and its headers.
_METAL = """
    constant device object_data ray_data thread threadgroup threadgroup_imageblock
    fragment kernel vertex
    as_type atomic bfloat complex half imaginary llong matrix ptrdiff_t quad sampler size_t uchar uint ullong
    ulong ushort vec
    metal simd std
    CHAR_BIT HUGE_VAL HUGE_VALF HUGE_VALH INFINITY MAXDOUBLE MAXFLOAT MAXHALF NAN assert defined restrict
"""

_PACKED = frozenset((_CPP + _METAL).split())

_FAMILIES = re.compile(
    r"(packed_|simd_)?(bool|u?char|u?short|u?int|u?long|half|bfloat|float)[234](x[234])?"
    r"|u?int(8|16|32|64|ptr)_t"
    r"|(atomic|texture|depth2d|depthcube)\w*|packed_vec"
    r"|(FLT|DBL|HALF|FP)_\w+|[SU]?(CHAR|SHRT|INT|LONG|LLONG)_(MAX|MIN)|M_[A-Z0-9_]+"
    r"|_[A-Z]\w*|\w*__\w*"  # The implementation's own.
)


def reserved_names(wgsl: str) -> list[str]:
    """The identifiers that `wgsl` declares and Metal keeps for itself. Not `main`: naga always renames it."""
    return sorted(name for name in declared.names(wgsl) if name in _PACKED or _FAMILIES.fullmatch(name))
