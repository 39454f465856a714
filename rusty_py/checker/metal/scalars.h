// The scalar types that C++ lacks, `half` above all, and reinterpreting bits.
#pragma once

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;

// 16 bits: computed in float, and rounded after each operation. A float has more than twice the digits and two
// more, so that rounding twice, to float and to half, gives what rounding once would (Figueroa 1995).
struct half {
    __fp16 bits;

    half() = default;
    template <class T, class = std::enable_if_t<std::is_arithmetic<T>::value>>
    half(T value) : bits(static_cast<__fp16>(static_cast<float>(value))) {}

    operator float() const { return static_cast<float>(bits); }
};

inline half operator+(half a, half b) { return half(float(a) + float(b)); }
inline half operator-(half a, half b) { return half(float(a) - float(b)); }
inline half operator*(half a, half b) { return half(float(a) * float(b)); }
// naga's degrees and radians.
inline float operator*(half a, float b) { return float(a) * b; }
inline half operator/(half a, half b) { return half(float(a) / float(b)); }
inline half operator-(half a) { return half(-float(a)); }
inline bool operator<(half a, half b) { return float(a) < float(b); }
inline bool operator>(half a, half b) { return float(a) > float(b); }
inline bool operator<=(half a, half b) { return float(a) <= float(b); }
inline bool operator>=(half a, half b) { return float(a) >= float(b); }
inline bool operator==(half a, half b) { return float(a) == float(b); }
inline bool operator!=(half a, half b) { return float(a) != float(b); }

// 1.5h
inline half operator""h(long double value) { return half(static_cast<float>(value)); }
inline half operator""h(unsigned long long value) { return half(value); }

template <class To, class From>
inline To as_type(From from) {
    static_assert(sizeof(To) == sizeof(From), "as_type: sizes differ");
    To to;
    __builtin_memcpy(static_cast<void*>(&to), static_cast<const void*>(&from), sizeof to);
    return to;
}

namespace metal {

using ::half;
using ::uchar;
using ::uint;
using ::ulong;
using ::ushort;

template <class T>
constexpr bool is_scalar = std::is_arithmetic<T>::value || std::is_same<T, half>::value;

// Enables a function for scalars of one kind, so that literals convert as they do in Metal.
template <class T>
using if_scalar = std::enable_if_t<is_scalar<T>, T>;
template <class T>
using if_integer = std::enable_if_t<std::is_integral<T>::value, T>;

}  // namespace metal
