// Barriers. Each call is known by its line of the Metal text: naga writes one a line.
#pragma once

namespace metal {

enum class mem_flags : uint { mem_device = 1, mem_threadgroup = 2, mem_texture = 4 };

inline void threadgroup_barrier(mem_flags flags, uint line = __builtin_LINE()) {
    const uint bits = static_cast<uint>(flags);
    checker_barrier(line, bits & static_cast<uint>(mem_flags::mem_device),
                    bits & static_cast<uint>(mem_flags::mem_threadgroup));
}

inline void simdgroup_barrier(mem_flags, uint line = __builtin_LINE()) { checker_simd_barrier(line); }

}  // namespace metal
