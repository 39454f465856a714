// vec<T, N>, and packed_vec<T, N> that is aligned as its scalars are.
#pragma once

namespace metal {

template <class T, int N>
struct vec;
template <class T, int N>
struct packed_vec;

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
        T elements[4];  // As large as four, as Metal has it.
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
struct alignas(sizeof(T) * (N == 3 ? 4 : N)) vec : components<T, N> {
    using components<T, N>::elements;

    vec() = default;

    // As large as four, a vector of three is copied without the fourth: nobody has written that.
    vec(const vec& other) { copy(other); }
    vec& operator=(const vec& other) {
        copy(other);
        return *this;
    }

    // One scalar for all components.
    template <class S, class = if_scalar<S>>
    explicit vec(S value) {
        for (int i = 0; i < N; i++) elements[i] = static_cast<T>(value);
    }

    template <class S>
    explicit vec(vec<S, N> other) {
        for (int i = 0; i < N; i++) elements[i] = static_cast<T>(other.elements[i]);
    }

    vec(packed_vec<T, N> other) {
        for (int i = 0; i < N; i++) elements[i] = other.elements[i];
    }

    template <class S>
    explicit vec(packed_vec<S, N> other) {
        for (int i = 0; i < N; i++) elements[i] = static_cast<T>(other.elements[i]);
    }

    // Scalars and shorter vectors in a row: float4(xy, z, 1.0).
    template <class A, class B, class... More>
    vec(A a, B b, More... more) {
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
        return (*const_cast<vec*>(this))[index];
    }

  private:
    void copy(const vec& other) {
        for (int i = 0; i < N; i++) elements[i] = other.elements[i];
    }

    template <class S, class = if_scalar<S>>
    void append(int& filled, S value) {
        elements[filled++] = static_cast<T>(value);
    }

    template <class S, int M>
    void append(int& filled, vec<S, M> values) {
        for (int i = 0; i < M; i++) elements[filled++] = static_cast<T>(values.elements[i]);
    }
};

template <class T, int N>
struct packed_vec {
    T elements[N];

    packed_vec() = default;

    packed_vec(vec<T, N> other) {
        for (int i = 0; i < N; i++) elements[i] = other.elements[i];
    }

    template <class S>
    explicit packed_vec(vec<S, N> other) {
        for (int i = 0; i < N; i++) elements[i] = static_cast<T>(other.elements[i]);
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
};

// f(a[i]), f(a[i], b[i]) and so on, for each component.
template <class F, class T, int N>
inline auto map(F f, vec<T, N> a) {
    vec<decltype(f(a.elements[0])), N> result;
    for (int i = 0; i < N; i++) result.elements[i] = f(a.elements[i]);
    return result;
}

template <class F, class T, class S, int N>
inline auto map(F f, vec<T, N> a, vec<S, N> b) {
    vec<decltype(f(a.elements[0], b.elements[0])), N> result;
    for (int i = 0; i < N; i++) result.elements[i] = f(a.elements[i], b.elements[i]);
    return result;
}

template <class F, class T, class S, class R, int N>
inline auto map(F f, vec<T, N> a, vec<S, N> b, vec<R, N> c) {
    vec<decltype(f(a.elements[0], b.elements[0], c.elements[0])), N> result;
    for (int i = 0; i < N; i++) result.elements[i] = f(a.elements[i], b.elements[i], c.elements[i]);
    return result;
}

// The operators between two vectors, and between a vector and a scalar on either side. What C++ promotes to int
// goes back to T, or a `char4` would become an `int4`.
#define ARITHMETIC(op)                                                                        \
    template <class T, int N>                                                                 \
    inline vec<T, N> operator op(vec<T, N> a, vec<T, N> b) {                                  \
        return map([](T x, T y) { return static_cast<T>(x op y); }, a, b);                    \
    }                                                                                         \
    template <class T, int N, class S, class = if_scalar<S>>                                  \
    inline vec<T, N> operator op(vec<T, N> a, S b) {                                          \
        return a op vec<T, N>(b);                                                             \
    }                                                                                         \
    template <class T, int N, class S, class = if_scalar<S>>                                  \
    inline vec<T, N> operator op(S a, vec<T, N> b) {                                          \
        return vec<T, N>(a) op b;                                                             \
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
#define SHIFT(op)                                                                             \
    template <class T, class S, int N>                                                        \
    inline vec<T, N> operator op(vec<T, N> a, vec<S, N> b) {                                  \
        return map([](T x, S y) { return static_cast<T>(x op y); }, a, b);                    \
    }
SHIFT(<<)
SHIFT(>>)
#undef SHIFT

#define COMPARISON(op)                                                                        \
    template <class T, int N>                                                                 \
    inline vec<bool, N> operator op(vec<T, N> a, vec<T, N> b) {                               \
        return map([](T x, T y) { return x op y; }, a, b);                                    \
    }                                                                                         \
    template <class T, int N, class S, class = if_scalar<S>>                                  \
    inline vec<bool, N> operator op(vec<T, N> a, S b) {                                       \
        return a op vec<T, N>(b);                                                             \
    }
COMPARISON(<)
COMPARISON(>)
COMPARISON(<=)
COMPARISON(>=)
COMPARISON(==)
COMPARISON(!=)
#undef COMPARISON

template <class T, int N>
inline vec<T, N> operator-(vec<T, N> a) {
    return map([](T x) { return static_cast<T>(-x); }, a);
}
template <class T, int N>
inline vec<T, N> operator~(vec<T, N> a) {
    return map([](T x) { return static_cast<T>(~x); }, a);
}
template <int N>
inline vec<bool, N> operator!(vec<bool, N> a) {
    return map([](bool x) { return !x; }, a);
}
// Both sides are computed, as in Metal.
template <int N>
inline vec<bool, N> operator||(vec<bool, N> a, vec<bool, N> b) {
    return a | b;
}
#define NAMED(T)                  \
    typedef vec<T, 2> T##2;       \
    typedef vec<T, 3> T##3;       \
    typedef vec<T, 4> T##4;       \
    typedef packed_vec<T, 2> packed_##T##2; \
    typedef packed_vec<T, 3> packed_##T##3; \
    typedef packed_vec<T, 4> packed_##T##4;
NAMED(bool)
NAMED(char)
NAMED(uchar)
NAMED(int)
NAMED(uint)
NAMED(long)
NAMED(ulong)
NAMED(half)
NAMED(float)
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
NAMED(bool)
NAMED(char)
NAMED(uchar)
NAMED(int)
NAMED(uint)
NAMED(long)
NAMED(ulong)
NAMED(half)
NAMED(float)
#undef NAMED
