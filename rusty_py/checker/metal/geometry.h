// Functions of whole vectors.
#pragma once

namespace metal {

template <class T, int N>
inline T dot(packed_vec<T, N> a, packed_vec<T, N> b) {
    T sum = a.elements[0] * b.elements[0];
    for (int i = 1; i < N; i++) sum = sum + a.elements[i] * b.elements[i];
    return sum;
}

template <class T>
inline vec<T, 3> cross(packed_vec<T, 3> a, packed_vec<T, 3> b) {
    return vec<T, 3>(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x);
}

template <class T, int N>
inline T length(packed_vec<T, N> a) {
    return sqrt(dot(a, a));
}

template <class T, int N>
inline T distance(packed_vec<T, N> a, packed_vec<T, N> b) {
    return length(a - b);
}

template <class T, int N>
inline vec<T, N> normalize(packed_vec<T, N> a) {
    return a * rsqrt(dot(a, a));
}

template <class T, int N>
inline vec<T, N> faceforward(packed_vec<T, N> n, packed_vec<T, N> incident, packed_vec<T, N> reference) {
    return dot(reference, incident) < T(0) ? n : -n;
}

template <class T, int N>
inline vec<T, N> reflect(packed_vec<T, N> incident, packed_vec<T, N> n) {
    return incident - n * (T(2) * dot(n, incident));
}

template <class T, int N>
inline vec<T, N> refract(packed_vec<T, N> incident, packed_vec<T, N> n, T ratio) {
    const T along = dot(n, incident);
    const T k = T(1) - ratio * ratio * (T(1) - along * along);
    return k < T(0) ? vec<T, N>(T(0)) : incident * ratio - n * (ratio * along + sqrt(k));
}

}  // namespace metal
