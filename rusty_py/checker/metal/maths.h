// Functions of numbers, component by component. `half` computes in float and rounds.
#pragma once

namespace metal {

// A function of one, two or three numbers: for float, for half, and for vectors of both.
#define UNARY(name, expression)                               \
    inline float name(float x) { return expression; }         \
    inline half name(half x) { return half(name(float(x))); } \
    template <class T, int N>                                 \
    inline vec<T, N> name(packed_vec<T, N> a) {               \
        return map([](T x) { return name(x); }, a);           \
    }
#define BINARY(name, expression)                                                \
    inline float name(float x, float y) { return expression; }                  \
    inline half name(half x, half y) { return half(name(float(x), float(y))); } \
    template <class T, int N>                                                   \
    inline vec<T, N> name(packed_vec<T, N> a, packed_vec<T, N> b) {             \
        return map([](T x, T y) { return name(x, y); }, a, b);                  \
    }
#define TERNARY(name, expression)                                                       \
    inline float name(float x, float y, float z) { return expression; }                 \
    inline half name(half x, half y, half z) {                                          \
        return half(name(float(x), float(y), float(z)));                                \
    }                                                                                   \
    template <class T, int N>                                                           \
    inline vec<T, N> name(packed_vec<T, N> a, packed_vec<T, N> b, packed_vec<T, N> c) { \
        return map([](T x, T y, T z) { return name(x, y, z); }, a, b, c);               \
    }

UNARY(acos, acosf(x))
UNARY(acosh, acoshf(x))
UNARY(asin, asinf(x))
UNARY(asinh, asinhf(x))
UNARY(atan, atanf(x))
UNARY(atanh, atanhf(x))
UNARY(ceil, ceilf(x))
UNARY(cos, cosf(x))
UNARY(cosh, coshf(x))
UNARY(exp, expf(x))
UNARY(exp2, exp2f(x))
UNARY(floor, floorf(x))
UNARY(log, logf(x))
UNARY(log2, log2f(x))
UNARY(rint, rintf(x))
UNARY(rsqrt, 1.0f / sqrtf(x))
UNARY(saturate, fminf(fmaxf(x, 0.0f), 1.0f))
UNARY(sign, x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : 0.0f)
UNARY(sin, sinf(x))
UNARY(sinh, sinhf(x))
UNARY(sqrt, sqrtf(x))
UNARY(tan, tanf(x))
UNARY(tanh, tanhf(x))
UNARY(trunc, truncf(x))

BINARY(atan2, atan2f(x, y))
BINARY(fmod, fmodf(x, y))
BINARY(pow, powf(x, y))
BINARY(step, y < x ? 0.0f : 1.0f)

TERNARY(fma, fmaf(x, y, z))
TERNARY(mix, x + (y - x) * z)

inline float smoothstep(float low, float high, float x) {
    const float t = saturate((x - low) / (high - low));
    return t * t * (3.0f - 2.0f * t);
}
inline half smoothstep(half low, half high, half x) {
    return half(smoothstep(float(low), float(high), float(x)));
}
template <class T, int N>
inline vec<T, N> smoothstep(packed_vec<T, N> low, packed_vec<T, N> high, packed_vec<T, N> a) {
    return map([](T l, T h, T x) { return smoothstep(l, h, x); }, low, high, a);
}

template <class T, int N>
inline vec<T, N> mix(packed_vec<T, N> a, packed_vec<T, N> b, T z) {
    return mix(a, b, vec<T, N>(z));
}

// What is left above floor(x): less than one, even where the difference rounds to it.
inline float fract(float x) {
    const float part = x - floorf(x);
    return part == 1.0f ? 0x1.fffffep-1f : part;
}
inline half fract(half x) {
    const half part = x - floor(x);
    return part == half(1) ? half(0x1.ffcp-1f) : part;
}
template <class T, int N>
inline vec<T, N> fract(packed_vec<T, N> a) {
    return map([](T x) { return fract(x); }, a);
}

#undef UNARY
#undef BINARY
#undef TERNARY

// For integers, too. A NaN loses against a number, as in IEEE 754-2008.
template <class T>
inline if_integer<T> min(T x, T y) {
    return y < x ? y : x;
}
template <class T>
inline if_integer<T> max(T x, T y) {
    return x < y ? y : x;
}
template <class T>
inline if_integer<T> abs(T x) {
    return x < 0 ? static_cast<T>(-x) : x;
}
inline float min(float x, float y) { return fminf(x, y); }
inline float max(float x, float y) { return fmaxf(x, y); }
inline float abs(float x) { return fabsf(x); }
inline half min(half x, half y) { return half(fminf(x, y)); }
inline half max(half x, half y) { return half(fmaxf(x, y)); }
inline half abs(half x) { return half(fabsf(x)); }

template <class T>
inline if_scalar<T> clamp(T x, T low, T high) {
    return min(max(x, low), high);
}

template <class T, int N>
inline vec<T, N> min(packed_vec<T, N> a, packed_vec<T, N> b) {
    return map([](T x, T y) { return min(x, y); }, a, b);
}
template <class T, int N>
inline vec<T, N> max(packed_vec<T, N> a, packed_vec<T, N> b) {
    return map([](T x, T y) { return max(x, y); }, a, b);
}
template <class T, int N>
inline vec<T, N> abs(packed_vec<T, N> a) {
    return map([](T x) { return abs(x); }, a);
}
template <class T, int N>
inline vec<T, N> clamp(packed_vec<T, N> a, packed_vec<T, N> low, packed_vec<T, N> high) {
    return min(max(a, low), high);
}
template <class T, int N, class S, class = if_scalar<S>>
inline vec<T, N> clamp(packed_vec<T, N> a, S low, S high) {
    return clamp(a, vec<T, N>(low), vec<T, N>(high));
}

// x = mantissa * 2^exponent, the mantissa from 0.5 up to 1. naga calls these two with floats only.
inline float frexp(float x, int& exponent) { return frexpf(x, &exponent); }
inline float modf(float x, float& whole) { return modff(x, &whole); }
inline float ldexp(float x, int exponent) { return ldexpf(x, exponent); }
inline half ldexp(half x, int exponent) { return half(ldexpf(x, exponent)); }

template <int N>
inline vec<float, N> frexp(packed_vec<float, N> a, vec<int, N>& exponents) {
    vec<float, N> result;
    for (int i = 0; i < N; i++) result.elements[i] = frexp(a.elements[i], exponents.elements[i]);
    return result;
}
template <int N>
inline vec<float, N> modf(packed_vec<float, N> a, vec<float, N>& whole) {
    vec<float, N> result;
    for (int i = 0; i < N; i++) result.elements[i] = modf(a.elements[i], whole.elements[i]);
    return result;
}
template <class T, int N>
inline vec<T, N> ldexp(packed_vec<T, N> a, packed_vec<int, N> exponents) {
    return map([](T x, int e) { return ldexp(x, e); }, a, exponents);
}

}  // namespace metal
