// Choosing and comparing.
#pragma once

namespace metal {

// b where the condition holds, else a.
template <class T>
inline T select(T a, if_scalar<T> b, bool condition) {
    return condition ? b : a;
}
template <class T, int N>
inline vec<T, N> select(packed_vec<T, N> a, packed_vec<T, N> b, packed_vec<bool, N> condition) {
    return map([](T x, T y, bool c) { return c ? y : x; }, a, b, condition);
}
// A scalar stands for a vector of it, as the sign of integers has one.
template <class T, int N, class S, class = if_scalar<S>>
inline vec<T, N> select(packed_vec<T, N> a, S b, packed_vec<bool, N> condition) {
    return select(a, vec<T, N>(b), condition);
}

template <int N>
inline bool all(packed_vec<bool, N> a) {
    for (bool each : a.elements)
        if (!each) return false;
    return true;
}
template <int N>
inline bool any(packed_vec<bool, N> a) {
    return !all(!a);
}

}  // namespace metal
