// Arrays that check each index. naga's `T inner[N]` and `typedef T name[1]` become these two.
#pragma once

namespace metal {

// `array<T, N>`.
template <class T, uint N>
struct fixed_array {
    T elements[N];

    template <class I>
    T& operator[](I index) {
        if (!checker::in_range(index, N))
            return *static_cast<T*>(checker_outside(this, static_cast<int64_t>(index), N, sizeof(T)));
        return elements[index];
    }

    template <class I>
    const T& operator[](I index) const {
        return (*const_cast<fixed_array*>(this))[index];
    }
};

// `array<T>`: as long as the rest of its buffer is.
template <class T>
struct runtime_array {
    T first;

    template <class I>
    T& operator[](I index) {
        const uint64_t length = checker_length(this, sizeof(T));
        if (!checker::in_range(index, length))
            return *static_cast<T*>(checker_outside(this, static_cast<int64_t>(index), length, sizeof(T)));
        return (&first)[index];
    }

    template <class I>
    const T& operator[](I index) const {
        return (*const_cast<runtime_array*>(this))[index];
    }
};

}  // namespace metal

namespace checker {

// The bytes of what an index of a variable counts; 0 where the variable is no array.
template <class T, class = void>
struct element {
    static constexpr uint64_t bytes = 0;
};
template <class T>
struct element<metal::runtime_array<T>> {
    static constexpr uint64_t bytes = sizeof(T);
};
template <class T, uint N>
struct element<metal::fixed_array<T, N>> {
    static constexpr uint64_t bytes = sizeof(T);
};
// naga wraps each array of a fixed length into a struct.
template <class T>
struct element<T, std::void_t<decltype(T::inner)>> : element<decltype(T::inner)> {};

}  // namespace checker
