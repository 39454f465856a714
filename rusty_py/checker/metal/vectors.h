// packed_vec<T, N>, that is aligned as its scalars are, and vec<T, N>, aligned and as large as a power of two.
//
// A vec is a packed_vec. So functions and operators take packed ones, which both are, and return a vec. What C++
// prefers to them, as a template of any T fits a vec better, is for scalars only: if_scalar.
#pragma once

namespace metal {

template <class T, int N>
struct vec;

// The components by name. Of the swizzles only those that the kernel's text uses: it defines these macros.
template <class T, int N>
struct components;

template <class T>
struct components<T, 2> {
    union {
        T elements[2];
        struct {
            T x, y;
        };
    };
    SWIZZLES_OF_2
};

template <class T>
struct components<T, 3> {
    union {
        T elements[3];
        struct {
            T x, y, z;
        };
    };
    SWIZZLES_OF_2
    SWIZZLES_OF_3
};

template <class T>
struct components<T, 4> {
    union {
        T elements[4];
        struct {
            T x, y, z, w;
        };
    };
    SWIZZLES_OF_2
    SWIZZLES_OF_3
    SWIZZLES_OF_4
};

template <class T, int N>
struct packed_vec : components<T, N> {
    using components<T, N>::elements;

    packed_vec() = default;

    // Component by component: what follows the third of a vec of three is not copied, as nobody has written it.
    packed_vec(const packed_vec& other) { copy(other); }
    packed_vec& operator=(const packed_vec& other) {
        copy(other);
        return *this;
    }

    // One scalar for all components.
    template <class S, class = if_scalar<S>>
    explicit packed_vec(S value) {
        for (int i = 0; i < N; i++) elements[i] = static_cast<T>(value);
    }

    template <class S>
    explicit packed_vec(const packed_vec<S, N>& other) {
        for (int i = 0; i < N; i++) elements[i] = static_cast<T>(other.elements[i]);
    }

    // Scalars and shorter vectors in a row: float4(xy, z, 1.0).
    template <class A, class B, class... More>
    packed_vec(A a, B b, More... more) {
        int filled = 0;
        append(filled, a);
        append(filled, b);
        (append(filled, more), ...);
    }

    template <class I>
    T& operator[](I index) {
        if (!checker::in_range(index, N))
            return *static_cast<T*>(checker_outside(this, static_cast<int64_t>(index), N, sizeof(T)));
        return elements[index];
    }

    template <class I>
    const T& operator[](I index) const {
        return (*const_cast<packed_vec*>(this))[index];
    }

  private:
    void copy(const packed_vec& other) {
        for (int i = 0; i < N; i++) elements[i] = other.elements[i];
    }

    template <class S, class = if_scalar<S>>
    void append(int& filled, S value) {
        elements[filled++] = static_cast<T>(value);
    }

    template <class S, int M>
    void append(int& filled, packed_vec<S, M> values) {
        for (int i = 0; i < M; i++) elements[filled++] = static_cast<T>(values.elements[i]);
    }
};

// A vector of three is as large as one of four.
template <class T, int N>
struct alignas(sizeof(T) * (N == 3 ? 4 : N)) vec : packed_vec<T, N> {
    using packed_vec<T, N>::packed_vec;

    vec() = default;
    vec(const packed_vec<T, N>& other) : packed_vec<T, N>(other) {}
};

// f(a[i]), f(a[i], b[i]) and so on, for each component.
template <class F, class T, int N>
inline auto map(F f, packed_vec<T, N> a) {
    vec<decltype(f(a.elements[0])), N> result;
    for (int i = 0; i < N; i++) result.elements[i] = f(a.elements[i]);
    return result;
}

template <class F, class T, class S, int N>
inline auto map(F f, packed_vec<T, N> a, packed_vec<S, N> b) {
    vec<decltype(f(a.elements[0], b.elements[0])), N> result;
    for (int i = 0; i < N; i++) result.elements[i] = f(a.elements[i], b.elements[i]);
    return result;
}

template <class F, class T, class S, class R, int N>
inline auto map(F f, packed_vec<T, N> a, packed_vec<S, N> b, packed_vec<R, N> c) {
    vec<decltype(f(a.elements[0], b.elements[0], c.elements[0])), N> result;
    for (int i = 0; i < N; i++) result.elements[i] = f(a.elements[i], b.elements[i], c.elements[i]);
    return result;
}

// The operators between two vectors, and between a vector and a scalar on either side. What C++ promotes to int
// goes back to T, or a `char4` would become an `int4`.
#define ARITHMETIC(op)                                                     \
    template <class T, int N>                                              \
    inline vec<T, N> operator op(packed_vec<T, N> a, packed_vec<T, N> b) { \
        return map([](T x, T y) { return static_cast<T>(x op y); }, a, b); \
    }                                                                      \
    template <class T, int N, class S, class = if_scalar<S>>               \
    inline vec<T, N> operator op(packed_vec<T, N> a, S b) {                \
        return a op vec<T, N>(b);                                          \
    }                                                                      \
    template <class T, int N, class S, class = if_scalar<S>>               \
    inline vec<T, N> operator op(S a, packed_vec<T, N> b) {                \
        return vec<T, N>(a) op b;                                          \
    }
ARITHMETIC(+)
ARITHMETIC(-)
ARITHMETIC(*)
ARITHMETIC(/)
ARITHMETIC(%)
ARITHMETIC(&)
ARITHMETIC(|)
ARITHMETIC(^)
#undef ARITHMETIC

// A shift keeps the type of its left side, whatever the type of its right one.
#define SHIFT(op)                                                          \
    template <class T, class S, int N>                                     \
    inline vec<T, N> operator op(packed_vec<T, N> a, packed_vec<S, N> b) { \
        return map([](T x, S y) { return static_cast<T>(x op y); }, a, b); \
    }
SHIFT(<<)
SHIFT(>>)
#undef SHIFT

#define COMPARISON(op)                                                        \
    template <class T, int N>                                                 \
    inline vec<bool, N> operator op(packed_vec<T, N> a, packed_vec<T, N> b) { \
        return map([](T x, T y) { return x op y; }, a, b);                    \
    }                                                                         \
    template <class T, int N, class S, class = if_scalar<S>>                  \
    inline vec<bool, N> operator op(packed_vec<T, N> a, S b) {                \
        return a op vec<T, N>(b);                                             \
    }
COMPARISON(<)
COMPARISON(>)
COMPARISON(<=)
COMPARISON(>=)
COMPARISON(==)
COMPARISON(!=)
#undef COMPARISON

template <class T, int N>
inline vec<T, N> operator-(packed_vec<T, N> a) {
    return map([](T x) { return static_cast<T>(-x); }, a);
}
template <class T, int N>
inline vec<T, N> operator~(packed_vec<T, N> a) {
    return map([](T x) { return static_cast<T>(~x); }, a);
}
template <int N>
inline vec<bool, N> operator!(packed_vec<bool, N> a) {
    return map([](bool x) { return !x; }, a);
}
// Both sides are computed, as in Metal.
template <int N>
inline vec<bool, N> operator||(packed_vec<bool, N> a, packed_vec<bool, N> b) {
    return a | b;
}
#define EACH_SCALAR(X) X(bool) X(char) X(uchar) X(int) X(uint) X(long) X(ulong) X(half) X(float)
#define NAMED(T)                  \
    typedef vec<T, 2> T##2;       \
    typedef vec<T, 3> T##3;       \
    typedef vec<T, 4> T##4;       \
    typedef packed_vec<T, 2> packed_##T##2; \
    typedef packed_vec<T, 3> packed_##T##3; \
    typedef packed_vec<T, 4> packed_##T##4;
EACH_SCALAR(NAMED)
#undef NAMED

}  // namespace metal

// Metal has the vectors' names outside of its namespace, too.
#define NAMED(T)              \
    using metal::T##2;        \
    using metal::T##3;        \
    using metal::T##4;        \
    using metal::packed_##T##2; \
    using metal::packed_##T##3; \
    using metal::packed_##T##4;
EACH_SCALAR(NAMED)
#undef NAMED
#undef EACH_SCALAR

// A packed vector's bits are the vector's, whose size the other one has.
template <class To, class T, int N>
inline To as_type(metal::packed_vec<T, N> from) {
    return as_type<To>(metal::vec<T, N>(from));
}
