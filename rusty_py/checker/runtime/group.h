// Runs workgroups: one after the other, the threads of each in turn from barrier to barrier.
#pragma once

#include <stdint.h>

#include "findings.h"
#include "launch.h"
#include "memory.h"

struct Launch {
    KernelEntry entry;
    void* const* variables;
    uint32_t groups[3];
    uint32_t threads[3];
    uint32_t simd_size;
    uint64_t seed;  // 0 takes groups and threads in order; others shuffle both.
    uint64_t most_steps;
};

// To its end, or to a finding that nothing can come after.
void run(const Launch& launch);

// Who and when the running thread is; asked by the hooks.
bool in_kernel();
bool on_stack(const void* at);
const Moment& now();
Thread thread_of(uint32_t group, uint32_t thread);
Thread this_thread();
// The running thread comes into a call or a loop, and out of the last of them.
void enter(uint32_t place);
void leave();
// Before an atomic operation: in shuffled runs others of the workgroup may get between two of a thread's.
void let_others_go_first();
// Ends the run: what would come is not defined.
[[noreturn]] void abandon();

// Zeroed memory for accesses that must not go where they aim, until the end of the run.
void* scratch(uint64_t bytes);
bool is_scratch(const void* at);
