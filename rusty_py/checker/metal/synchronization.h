// Barriers. Each call is known by its line of the Metal text: naga writes one a line.
#pragma once

namespace metal {

enum class mem_flags : uint { mem_device = 1, mem_threadgroup = 2, mem_texture = 4 };

inline bool among(mem_flags flag, mem_flags flags) {
    return static_cast<uint>(flags) & static_cast<uint>(flag);
}

inline void threadgroup_barrier(mem_flags flags, uint line = __builtin_LINE()) {
    checker_barrier(line, among(mem_flags::mem_device, flags), among(mem_flags::mem_threadgroup, flags));
}

inline void simdgroup_barrier(mem_flags flags, uint line = __builtin_LINE()) {
    checker_simd_barrier(line, among(mem_flags::mem_device, flags), among(mem_flags::mem_threadgroup, flags));
}

}  // namespace metal
