// Numbers from -1 or 0 to 1, in 8 or 16 bits each, the first in the lowest bits.
#pragma once

namespace metal {

// COUNT components of T in one uint; `largest` is what 1 becomes.
template <class T, int COUNT>
inline uint pack_normalized(vec<float, COUNT> a, float smallest, float largest) {
    const uint bits = 32 / COUNT;
    uint packed = 0;
    for (int i = 0; i < COUNT; i++) {
        const float value = rintf(clamp(a.elements[i], smallest, 1.0f) * largest);
        packed |= static_cast<uint>(static_cast<std::make_unsigned_t<T>>(static_cast<T>(value))) << (i * bits);
    }
    return packed;
}

template <class T, int COUNT>
inline vec<float, COUNT> unpack_normalized(uint packed, float largest) {
    const uint bits = 32 / COUNT;
    vec<float, COUNT> result;
    for (int i = 0; i < COUNT; i++) {
        const T value = static_cast<T>(static_cast<std::make_unsigned_t<T>>(packed >> (i * bits)));
        result.elements[i] = max(static_cast<float>(value) / largest, -1.0f);
    }
    return result;
}

inline uint pack_float_to_unorm4x8(float4 a) { return pack_normalized<uchar>(a, 0.0f, 255.0f); }
inline uint pack_float_to_snorm4x8(float4 a) { return pack_normalized<signed char>(a, -1.0f, 127.0f); }
inline uint pack_float_to_unorm2x16(float2 a) { return pack_normalized<ushort>(a, 0.0f, 65535.0f); }
inline uint pack_float_to_snorm2x16(float2 a) { return pack_normalized<short>(a, -1.0f, 32767.0f); }
inline float4 unpack_unorm4x8_to_float(uint x) { return unpack_normalized<uchar, 4>(x, 255.0f); }
inline float4 unpack_snorm4x8_to_float(uint x) { return unpack_normalized<signed char, 4>(x, 127.0f); }
inline float2 unpack_unorm2x16_to_float(uint x) { return unpack_normalized<ushort, 2>(x, 65535.0f); }
inline float2 unpack_snorm2x16_to_float(uint x) { return unpack_normalized<short, 2>(x, 32767.0f); }

}  // namespace metal
