// Atomics. The threads take turns on one processor; the runtime only has to know that they are atomic.
#pragma once

namespace metal {

enum memory_order { memory_order_relaxed };

template <class T>
struct atomic {
    T value;
};
typedef atomic<int> atomic_int;
typedef atomic<uint> atomic_uint;
typedef atomic<float> atomic_float;
typedef atomic<ulong> atomic_ulong;

// What is stored becomes `change(old)`; the old value is returned. A store reads nothing, a load writes nothing.
template <class T, class F>
inline T atomic_change(atomic<T>* at, F change, bool reads = true, bool writes = true) {
    checker_atomic(at, sizeof(T), reads, writes);
    const T old = checker::quiet_read(&at->value);
    if (writes) checker::quiet_write(&at->value, static_cast<T>(change(old)));
    return old;
}

template <class T>
inline T atomic_load_explicit(const atomic<T>* at, memory_order) {
    return atomic_change(const_cast<atomic<T>*>(at), [](T old) { return old; }, true, false);
}
template <class T, class V>
inline void atomic_store_explicit(atomic<T>* at, V value, memory_order) {
    atomic_change(at, [=](T) { return static_cast<T>(value); }, false, true);
}
template <class T, class V>
inline T atomic_exchange_explicit(atomic<T>* at, V value, memory_order) {
    return atomic_change(at, [=](T) { return static_cast<T>(value); });
}

// Sums wrap around, as WGSL's and Metal's do.
template <class T>
inline if_scalar<T> wrapping_sum(T a, T b) {
    if constexpr (std::is_integral<T>::value) {
        typedef std::make_unsigned_t<T> U;
        return static_cast<T>(static_cast<U>(a) + static_cast<U>(b));
    } else {
        return a + b;
    }
}
template <class T, class V>
inline T atomic_fetch_add_explicit(atomic<T>* at, V value, memory_order) {
    return atomic_change(at, [=](T old) { return wrapping_sum(old, static_cast<T>(value)); });
}
template <class T, class V>
inline T atomic_fetch_sub_explicit(atomic<T>* at, V value, memory_order) {
    if constexpr (std::is_integral<T>::value) {
        typedef std::make_unsigned_t<T> U;
        return atomic_change(
            at, [=](T old) { return static_cast<T>(static_cast<U>(old) - static_cast<U>(value)); });
    } else {
        return atomic_change(at, [=](T old) { return old - static_cast<T>(value); });
    }
}
template <class T, class V>
inline T atomic_fetch_min_explicit(atomic<T>* at, V value, memory_order) {
    return atomic_change(at, [=](T old) { return static_cast<T>(value) < old ? static_cast<T>(value) : old; });
}
template <class T, class V>
inline T atomic_fetch_max_explicit(atomic<T>* at, V value, memory_order) {
    return atomic_change(at, [=](T old) { return old < static_cast<T>(value) ? static_cast<T>(value) : old; });
}
// Of 64 bits there are these two, and the old value is not returned.
inline void atomic_min_explicit(atomic_ulong* at, ulong value, memory_order order) {
    atomic_fetch_min_explicit(at, value, order);
}
inline void atomic_max_explicit(atomic_ulong* at, ulong value, memory_order order) {
    atomic_fetch_max_explicit(at, value, order);
}
template <class T, class V>
inline T atomic_fetch_and_explicit(atomic<T>* at, V value, memory_order) {
    return atomic_change(at, [=](T old) { return old & static_cast<T>(value); });
}
template <class T, class V>
inline T atomic_fetch_or_explicit(atomic<T>* at, V value, memory_order) {
    return atomic_change(at, [=](T old) { return old | static_cast<T>(value); });
}
template <class T, class V>
inline T atomic_fetch_xor_explicit(atomic<T>* at, V value, memory_order) {
    return atomic_change(at, [=](T old) { return old ^ static_cast<T>(value); });
}

// Weak: it may fail without reason on a GPU. Here it does not.
template <class T, class V>
inline bool atomic_compare_exchange_weak_explicit(
    atomic<T>* at, T* expected, V value, memory_order, memory_order) {
    const T wanted = *expected;
    const T old = atomic_change(at, [=](T now) { return now == wanted ? static_cast<T>(value) : now; });
    *expected = old;
    return old == wanted;
}

}  // namespace metal
