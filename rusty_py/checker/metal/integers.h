// Bits of integers: as Metal Shading Language Specification 4, section 6.4, has them.
#pragma once

namespace metal {

template <class T>
using unsigned_of = std::make_unsigned_t<T>;

// Zeros before the first one; all bits for 0.
template <class T>
inline if_integer<T> clz(T x) {
    const int bits = 8 * sizeof(T);
    return x == 0 ? T(bits) : T(__builtin_clzll(static_cast<unsigned_of<T>>(x)) - (64 - bits));
}

// Zeros after the last one; all bits for 0.
template <class T>
inline if_integer<T> ctz(T x) {
    return x == 0 ? T(8 * sizeof(T)) : T(__builtin_ctzll(static_cast<unsigned_of<T>>(x)));
}

template <class T>
inline if_integer<T> popcount(T x) {
    return T(__builtin_popcountll(static_cast<unsigned_of<T>>(x)));
}

template <class T>
inline if_integer<T> reverse_bits(T x) {
    unsigned_of<T> from = static_cast<unsigned_of<T>>(x), to = 0;
    for (size_t i = 0; i < 8 * sizeof(T); i++, from >>= 1) to = (to << 1) | (from & 1);
    return static_cast<T>(to);
}

// `bits` bits of x from `offset` on, extended by their sign where T has one.
template <class T>
inline if_integer<T> extract_bits(T x, uint offset, uint bits) {
    const uint width = 8 * sizeof(T);
    if (bits == 0) return 0;
    const unsigned_of<T> left = static_cast<unsigned_of<T>>(x) << (width - bits - offset);
    return static_cast<T>(left) >> (width - bits);
}

// `base`, with `bits` bits from `offset` on replaced by those of `insert`.
template <class T>
inline if_integer<T> insert_bits(T base, T insert, uint offset, uint bits) {
    typedef unsigned_of<T> U;
    if (bits == 0) return base;
    const U mask = static_cast<U>(static_cast<U>(~U(0)) >> (8 * sizeof(T) - bits)) << offset;
    return static_cast<T>((static_cast<U>(base) & ~mask) | ((static_cast<U>(insert) << offset) & mask));
}

#define LIFT(name)                                  \
    template <class T, int N>                       \
    inline vec<T, N> name(packed_vec<T, N> a) {     \
        return map([](T x) { return name(x); }, a); \
    }
LIFT(clz)
LIFT(ctz)
LIFT(popcount)
LIFT(reverse_bits)
#undef LIFT

template <class T, int N>
inline vec<T, N> extract_bits(packed_vec<T, N> a, uint offset, uint bits) {
    return map([=](T x) { return extract_bits(x, offset, bits); }, a);
}
template <class T, int N>
inline vec<T, N> insert_bits(packed_vec<T, N> a, packed_vec<T, N> b, uint offset, uint bits) {
    return map([=](T x, T y) { return insert_bits(x, y, offset, bits); }, a, b);
}

}  // namespace metal
