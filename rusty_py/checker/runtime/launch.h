// What a compiled kernel exports, and what the runner calls.
#pragma once

#include <stdint.h>

// What Metal tells each thread about itself.
struct ThreadIds {
    uint32_t thread_position_in_grid[3];
    uint32_t thread_position_in_threadgroup[3];
    uint32_t threadgroup_position_in_grid[3];
    uint32_t threads_per_threadgroup[3];
    uint32_t threadgroups_per_grid[3];
    uint32_t thread_index_in_threadgroup;
    uint32_t thread_index_in_simdgroup;
    uint32_t simdgroup_index_in_threadgroup;
    uint32_t simdgroups_per_threadgroup;
    uint32_t threads_per_simdgroup;
};

enum class Space : uint32_t { storage, uniform, workgroup };

// A parameter of the kernel that lies in shared memory.
struct Variable {
    const char* name;
    Space space;
    uint64_t least_bytes;    // The size of its type; a runtime array counts once.
    uint64_t element_bytes;  // Of an array; else 0.
};

// `__kernel_variables`, `__kernel_variable_count` and `__kernel_granule` describe the kernel: the granule is
// the size of the smallest scalar it stores. `__kernel_entry` runs one thread.
typedef void (*KernelEntry)(const ThreadIds& ids, void* const* variables);
