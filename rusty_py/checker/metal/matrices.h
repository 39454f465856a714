// matrix<T, COLUMNS, ROWS>, column by column.
#pragma once

namespace metal {

template <class T, int COLUMNS, int ROWS>
struct matrix {
    typedef vec<T, ROWS> column_type;
    column_type columns[COLUMNS];

    matrix() = default;

    template <class... Columns, class = std::enable_if_t<sizeof...(Columns) == COLUMNS>>
    explicit matrix(Columns... values) : columns{column_type(values)...} {}

    template <class S>
    explicit matrix(matrix<S, COLUMNS, ROWS> other) {
        for (int i = 0; i < COLUMNS; i++) columns[i] = column_type(other.columns[i]);
    }

    template <class I>
    column_type& operator[](I index) {
        if (!checker::in_range(index, COLUMNS)) {
            const int64_t at = static_cast<int64_t>(index);
            return *static_cast<column_type*>(checker_outside(this, at, COLUMNS, sizeof(column_type)));
        }
        return columns[index];
    }

    template <class I>
    const column_type& operator[](I index) const {
        return (*const_cast<matrix*>(this))[index];
    }
};

template <class T, int C, int R>
inline matrix<T, C, R> operator+(matrix<T, C, R> a, matrix<T, C, R> b) {
    for (int i = 0; i < C; i++) a.columns[i] = a.columns[i] + b.columns[i];
    return a;
}
template <class T, int C, int R>
inline matrix<T, C, R> operator-(matrix<T, C, R> a, matrix<T, C, R> b) {
    for (int i = 0; i < C; i++) a.columns[i] = a.columns[i] - b.columns[i];
    return a;
}
template <class T, int C, int R, class S, class = if_scalar<S>>
inline matrix<T, C, R> operator*(matrix<T, C, R> a, S b) {
    for (int i = 0; i < C; i++) a.columns[i] = a.columns[i] * b;
    return a;
}
template <class T, int C, int R, class S, class = if_scalar<S>>
inline matrix<T, C, R> operator*(S a, matrix<T, C, R> b) {
    return b * a;
}

// Matrix times column.
template <class T, int C, int R>
inline vec<T, R> operator*(matrix<T, C, R> a, packed_vec<T, C> x) {
    vec<T, R> sum = a.columns[0] * x.elements[0];
    for (int i = 1; i < C; i++) sum = sum + a.columns[i] * x.elements[i];
    return sum;
}

// Row times matrix.
template <class T, int C, int R>
inline vec<T, C> operator*(packed_vec<T, R> x, matrix<T, C, R> a) {
    vec<T, C> result;
    for (int i = 0; i < C; i++) {
        T sum = x.elements[0] * a.columns[i].elements[0];
        for (int j = 1; j < R; j++) sum = sum + x.elements[j] * a.columns[i].elements[j];
        result.elements[i] = sum;
    }
    return result;
}

template <class T, int C, int R, int K>
inline matrix<T, C, R> operator*(matrix<T, K, R> a, matrix<T, C, K> b) {
    matrix<T, C, R> result;
    for (int i = 0; i < C; i++) result.columns[i] = a * b.columns[i];
    return result;
}

template <class T, int C, int R>
inline matrix<T, R, C> transpose(matrix<T, C, R> a) {
    matrix<T, R, C> result;
    for (int i = 0; i < C; i++)
        for (int j = 0; j < R; j++) result.columns[j].elements[i] = a.columns[i].elements[j];
    return result;
}

template <class T>
inline T determinant(matrix<T, 2, 2> a) {
    return a[0][0] * a[1][1] - a[0][1] * a[1][0];
}

// By the first column, and the matrices that are left without it and a row.
template <class T, int N>
inline T determinant(matrix<T, N, N> a) {
    T sum = T(0);
    for (int row = 0; row < N; row++) {
        matrix<T, N - 1, N - 1> rest;
        for (int i = 1; i < N; i++)
            for (int j = 0, to = 0; j < N; j++)
                if (j != row) rest.columns[i - 1].elements[to++] = a.columns[i].elements[j];
        const T part = a.columns[0].elements[row] * determinant(rest);
        sum = row % 2 ? sum - part : sum + part;
    }
    return sum;
}

#define NAMED(T)                      \
    typedef matrix<T, 2, 2> T##2x2;   \
    typedef matrix<T, 2, 3> T##2x3;   \
    typedef matrix<T, 2, 4> T##2x4;   \
    typedef matrix<T, 3, 2> T##3x2;   \
    typedef matrix<T, 3, 3> T##3x3;   \
    typedef matrix<T, 3, 4> T##3x4;   \
    typedef matrix<T, 4, 2> T##4x2;   \
    typedef matrix<T, 4, 3> T##4x3;   \
    typedef matrix<T, 4, 4> T##4x4;
NAMED(half)
NAMED(float)
#undef NAMED

}  // namespace metal
