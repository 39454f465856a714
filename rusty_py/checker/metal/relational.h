// Choosing and comparing.
#pragma once

namespace metal {

// b where the condition holds, else a.
template <class T>
inline T select(T a, if_scalar<T> b, bool condition) {
    return condition ? b : a;
}
template <class T, int N>
inline vec<T, N> select(vec<T, N> a, vec<T, N> b, vec<bool, N> condition) {
    return map([](T x, T y, bool c) { return c ? y : x; }, a, b, condition);
}
// A scalar stands for a vector of it, as the sign of integers has one.
template <class T, int N, class S, class = if_scalar<S>>
inline vec<T, N> select(vec<T, N> a, S b, vec<bool, N> condition) {
    return select(a, vec<T, N>(b), condition);
}

template <int N>
inline bool all(vec<bool, N> a) {
    for (bool each : a.elements)
        if (!each) return false;
    return true;
}
template <>
inline bool all(vec<bool, 3> a) {
    return a.x && a.y && a.z;
}
template <int N>
inline bool any(vec<bool, N> a) {
    return !all(!a);
}

}  // namespace metal
