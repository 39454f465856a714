// What the compiler calls. Memory accesses come as calls of the thread sanitizer's functions, and what C++ leaves
// undefined as calls of the undefined-behaviour sanitizer's; of neither is the library linked.
#include <stdint.h>
#include <string.h>

#include "findings.h"
#include "group.h"
#include "hooks.h"
#include "kernel.h"
#include "memory.h"

namespace {

const char *image, *image_end;

uint32_t site_of(const void* address) {
    // One back: a return address lies behind its call, perhaps already on the next line.
    return static_cast<const char*>(address) - image - 1;
}

bool in_image(const void* at) { return at >= image && at < image_end; }

void access(const void* at, uint64_t bytes, bool writes, bool atomic, const void* caller) {
    if (!in_kernel() || !bytes || on_stack(at)) return;
    if (Region* region = region_of(at)) {
        const uint64_t offset = region->offset_of(at);
        if (offset + bytes <= region->bytes()) {
            region->access(offset, bytes, writes, atomic, now(), site_of(caller));
            return;
        }
    }
    if (is_scratch(at) || (in_image(at) && !writes)) return;
    Finding("wild access", {site_of(caller)}).of(this_thread()).report();
    abandon();
}

void undefined(const char* kind, const void* caller) {
    if (!in_kernel()) return;
    Finding(kind, {site_of(caller)}).of(this_thread()).report();
}

}  // namespace

void set_image(const void* begin, const void* end) {
    image = static_cast<const char*>(begin);
    image_end = static_cast<const char*>(end);
}

uint32_t image_site(const void* address) { return in_image(address) ? site_of(address) : 0; }

#define CALLER __builtin_return_address(0)

extern "C" {

uint64_t checker_length(const void* base, uint64_t element_bytes) {
    const Region* region = region_of(base);
    return region ? (region->bytes() - region->offset_of(base)) / element_bytes : 0;
}

void* checker_outside(const void* base, int64_t index, uint64_t length, uint64_t element_bytes) {
    Finding finding("out of bounds", {site_of(CALLER)});
    if (const Region* region = region_of(base)) {
        finding.with("variable", region->name().c_str());
        // A component, a column, or an array within the variable.
        if (element_bytes != region->element_bytes() || region->offset_of(base)) finding.with("within", 1);
    }
    finding.with("index", index).with("length", length).of(this_thread()).report();
    return scratch(element_bytes);
}

void checker_atomic(const void* at, uint64_t bytes, bool reads, bool writes) {
    let_others_go_first();
    if (reads) access(at, bytes, false, true, CALLER);
    if (writes) access(at, bytes, true, true, CALLER);
}

// Memory accesses of 1, 2, 4, 8 and 16 bytes.
#define ACCESSES(bytes)                                                                            \
    void __tsan_read##bytes(void* at) { access(at, bytes, false, false, CALLER); }                 \
    void __tsan_write##bytes(void* at) { access(at, bytes, true, false, CALLER); }                 \
    void __tsan_read_write##bytes(void* at) {                                                      \
        access(at, bytes, false, false, CALLER);                                                   \
        access(at, bytes, true, false, CALLER);                                                    \
    }                                                                                              \
    void __tsan_unaligned_read##bytes(void* at) { access(at, bytes, false, false, CALLER); }       \
    void __tsan_unaligned_write##bytes(void* at) { access(at, bytes, true, false, CALLER); }       \
    void __tsan_unaligned_read_write##bytes(void* at) {                                            \
        access(at, bytes, false, false, CALLER);                                                   \
        access(at, bytes, true, false, CALLER);                                                    \
    }
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

void __tsan_read_range(void* at, uint64_t bytes) { access(at, bytes, false, false, CALLER); }
void __tsan_write_range(void* at, uint64_t bytes) { access(at, bytes, true, false, CALLER); }
void __tsan_init() {}
void __tsan_func_entry(void* caller) {
    if (in_kernel()) enter(site_of(caller));
}
void __tsan_func_exit() {
    if (in_kernel()) leave();
}
void __tsan_vptr_update(void*, void*) {}
void __tsan_vptr_read(void*) {}

// Copies: older compilers call the C functions, which the linker turns to __wrap_..., newer ones __tsan_...
#define COPIES(prefix)                                              \
    void* prefix##memset(void* to, int byte, size_t bytes) {        \
        access(to, bytes, true, false, CALLER);                     \
        return memset(to, byte, bytes);                             \
    }                                                               \
    void* prefix##memmove(void* to, const void* from, size_t bytes) { \
        access(from, bytes, false, false, CALLER);                  \
        access(to, bytes, true, false, CALLER);                     \
        return memmove(to, from, bytes);                            \
    }                                                               \
    void* prefix##memcpy(void* to, const void* from, size_t bytes) { \
        access(from, bytes, false, false, CALLER);                  \
        access(to, bytes, true, false, CALLER);                     \
        return memmove(to, from, bytes);                            \
    }
COPIES(__wrap_)
COPIES(__tsan_)

// Undefined behaviour. After these the kernel goes on with some number ...
#define UNDEFINED(handler, kind) \
    void __ubsan_handle_##handler() { undefined(kind, CALLER); }
UNDEFINED(add_overflow, "integer overflow")
UNDEFINED(sub_overflow, "integer overflow")
UNDEFINED(mul_overflow, "integer overflow")
UNDEFINED(negate_overflow, "integer overflow")
UNDEFINED(shift_out_of_bounds, "bad shift")
UNDEFINED(float_cast_overflow, "bad cast")
UNDEFINED(load_invalid_value, "bad cast")

// ... and after these it cannot: the processor would stop it.
#define FATAL(handler, kind)             \
    void __ubsan_handle_##handler() {    \
        undefined(kind, CALLER);         \
        if (in_kernel()) abandon();      \
    }
FATAL(divrem_overflow, "bad division")
FATAL(type_mismatch_v1, "misaligned access")
FATAL(builtin_unreachable, "unreachable code")
FATAL(missing_return, "unreachable code")
}
