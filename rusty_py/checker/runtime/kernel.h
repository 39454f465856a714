// What the stand-in for Metal's library asks of the runtime. Included by the kernel.
#pragma once

#include <stdint.h>

#define CHECKER_LANE_BYTES 32

extern "C" {

// How many elements of `element_bytes` there are from `base` to the end of its variable.
uint64_t checker_length(const void* base, uint64_t element_bytes);

// An index out of range: reports it, and returns zeroed memory to go on with that nobody else sees.
void* checker_outside(const void* base, int64_t index, uint64_t length, uint64_t element_bytes);

// An atomic access is about to happen.
void checker_atomic(const void* at, uint64_t bytes, bool reads, bool writes);

// All threads of the workgroup wait for each other. `line` tells one barrier from another.
void checker_barrier(uint32_t line, bool orders_device, bool orders_threadgroup);

// The values that the lanes of a SIMD-group gave; `active` has a bit for each that took part.
struct checker_lanes {
    alignas(16) unsigned char values[64][CHECKER_LANE_BYTES];
    uint64_t active;
    uint32_t count, lane;
};

// All lanes of the SIMD-group wait for each other, and each gets what all gave.
void checker_gather(uint32_t line, const void* mine, uint64_t bytes, struct checker_lanes* all);
void checker_simd_barrier(uint32_t line, bool orders_device, bool orders_threadgroup);

// A loop begins, takes one more turn, and ends, however it is left. Too many turns end the run.
void checker_loop_begins(uint32_t line);
bool checker_loop_turns();
void checker_loop_ends();
}

namespace checker {

template <class I>
inline bool in_range(I index, uint64_t length) {
    return index >= I(0) && static_cast<uint64_t>(index) < length;
}

// Reads and writes that the compiler does not report: checker_atomic has.
template <class T>
__attribute__((no_sanitize("thread"), noinline)) T quiet_read(const T* at) {
    return *at;
}
template <class T>
__attribute__((no_sanitize("thread"), noinline)) void quiet_write(T* at, T value) {
    *at = value;
}

}  // namespace checker
