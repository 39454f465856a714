// SIMD-group functions: the values of all lanes that take part, and a plain loop over them.
#pragma once

namespace metal {

// What the lanes gave. Lanes that take no part have no value.
template <class T>
struct lanes {
    static_assert(sizeof(T) <= CHECKER_LANE_BYTES, "a lane's value is larger than its slot");
    checker_lanes all;

    lanes(T mine, uint line) { checker_gather(line, &mine, sizeof mine, &all); }

    bool takes_part(uint lane) const { return lane < all.count && (all.active >> lane & 1); }
    T of(uint lane) const {
        T value;
        __builtin_memcpy(static_cast<void*>(&value), all.values[lane], sizeof value);
        return value;
    }
    // The value of `lane`; zero where that takes no part, which Metal leaves undefined.
    T or_zero(uint lane) const { return takes_part(lane) ? of(lane) : T(0); }
};

// f over the lanes below `end` that take part, from left to right, beginning with `first`.
template <class T, class F>
inline T fold(const lanes<T>& given, T first, uint end, F f) {
    T result = first;
    for (uint lane = 0; lane < end; lane++)
        if (given.takes_part(lane)) result = f(result, given.of(lane));
    return result;
}

// The same without a number to begin with: at least one lane takes part, the caller's.
template <class T, class F>
inline T fold(const lanes<T>& given, F f) {
    uint lane = 0;
    while (!given.takes_part(lane)) lane++;
    T result = given.of(lane);
    while (++lane < given.all.count)
        if (given.takes_part(lane)) result = f(result, given.of(lane));
    return result;
}

// Sums and products of integers wrap around, lane by lane.
template <class T>
inline if_scalar<T> wrapping_product(T a, T b) {
    if constexpr (std::is_integral<T>::value) {
        typedef std::make_unsigned_t<T> U;
        return static_cast<T>(static_cast<U>(a) * static_cast<U>(b));
    } else {
        return a * b;
    }
}
template <class T, int N>
inline vec<T, N> wrapping_sum(packed_vec<T, N> a, packed_vec<T, N> b) {
    return map([](T x, T y) { return wrapping_sum(x, y); }, a, b);
}
template <class T, int N>
inline vec<T, N> wrapping_product(packed_vec<T, N> a, packed_vec<T, N> b) {
    return map([](T x, T y) { return wrapping_product(x, y); }, a, b);
}

#define REDUCTION(name, expression)                                             \
    template <class T>                                                          \
    inline T name(T mine, uint line = __builtin_LINE()) {                       \
        return fold(lanes<T>(mine, line), [](T x, T y) { return expression; }); \
    }
REDUCTION(simd_sum, wrapping_sum(x, y))
REDUCTION(simd_product, wrapping_product(x, y))
REDUCTION(simd_min, min(x, y))
REDUCTION(simd_max, max(x, y))
REDUCTION(simd_and, x & y)
REDUCTION(simd_or, x | y)
REDUCTION(simd_xor, x ^ y)
#undef REDUCTION

template <class T>
inline T simd_prefix_exclusive_sum(T mine, uint line = __builtin_LINE()) {
    const lanes<T> given(mine, line);
    return fold(given, T(0), given.all.lane, [](T x, T y) { return wrapping_sum(x, y); });
}
template <class T>
inline T simd_prefix_inclusive_sum(T mine, uint line = __builtin_LINE()) {
    const lanes<T> given(mine, line);
    return fold(given, T(0), given.all.lane + 1, [](T x, T y) { return wrapping_sum(x, y); });
}
template <class T>
inline T simd_prefix_exclusive_product(T mine, uint line = __builtin_LINE()) {
    const lanes<T> given(mine, line);
    return fold(given, T(1), given.all.lane, [](T x, T y) { return wrapping_product(x, y); });
}
template <class T>
inline T simd_prefix_inclusive_product(T mine, uint line = __builtin_LINE()) {
    const lanes<T> given(mine, line);
    return fold(given, T(1), given.all.lane + 1, [](T x, T y) { return wrapping_product(x, y); });
}

// The value of another lane.
template <class T>
inline T simd_broadcast(T mine, uint lane, uint line = __builtin_LINE()) {
    return lanes<T>(mine, line).or_zero(lane);
}
template <class T>
inline T simd_broadcast_first(T mine, uint line = __builtin_LINE()) {
    return fold(lanes<T>(mine, line), [](T x, T) { return x; });
}
template <class T>
inline T simd_shuffle(T mine, uint lane, uint line = __builtin_LINE()) {
    return lanes<T>(mine, line).or_zero(lane);
}
template <class T>
inline T simd_shuffle_up(T mine, uint delta, uint line = __builtin_LINE()) {
    const lanes<T> given(mine, line);
    return given.or_zero(given.all.lane - delta);
}
template <class T>
inline T simd_shuffle_down(T mine, uint delta, uint line = __builtin_LINE()) {
    const lanes<T> given(mine, line);
    return given.or_zero(given.all.lane + delta);
}
template <class T>
inline T simd_shuffle_xor(T mine, uint mask, uint line = __builtin_LINE()) {
    const lanes<T> given(mine, line);
    return given.or_zero(given.all.lane ^ mask);
}
template <class T>
inline T quad_broadcast(T mine, uint lane, uint line = __builtin_LINE()) {
    const lanes<T> given(mine, line);
    return given.or_zero((given.all.lane & ~3u) + (lane & 3u));
}
template <class T>
inline T quad_shuffle_xor(T mine, uint mask, uint line = __builtin_LINE()) {
    const lanes<T> given(mine, line);
    return given.or_zero(given.all.lane ^ (mask & 3u));
}

// Votes.
struct simd_vote {
    uint64_t bits;
    explicit operator uint64_t() const { return bits; }
};
inline simd_vote simd_ballot(bool mine, uint line = __builtin_LINE()) {
    const lanes<bool> given(mine, line);
    simd_vote vote = {0};
    for (uint lane = 0; lane < given.all.count; lane++)
        if (given.takes_part(lane) && given.of(lane)) vote.bits |= uint64_t(1) << lane;
    return vote;
}
inline bool simd_all(bool mine, uint line = __builtin_LINE()) {
    return fold(lanes<bool>(mine, line), [](bool x, bool y) { return x && y; });
}
inline bool simd_any(bool mine, uint line = __builtin_LINE()) {
    return fold(lanes<bool>(mine, line), [](bool x, bool y) { return x || y; });
}

}  // namespace metal
