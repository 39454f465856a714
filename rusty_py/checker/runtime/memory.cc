#include "memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "group.h"

static const size_t FORGOTTEN_BYTES = 1 << 20;

static std::vector<Region> all;

std::vector<Region>& regions() { return all; }

Region* region_of(const void* at) {
    static size_t last = 0;
    if (last < all.size() && all[last].holds(at)) return &all[last];
    for (size_t i = 0; i < all.size(); i++)
        if (all[i].holds(at)) return &all[last = i];
    return nullptr;
}

static void* map(size_t bytes) {
    void* memory =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        fprintf(stderr, "no memory: %zu bytes\n", bytes);
        exit(3);
    }
    return memory;
}

Region::Region(const Variable& variable, uint64_t bytes, uint32_t granule)
    : name_(variable.name),
      space_(variable.space),
      bytes_(bytes),
      element_bytes_(variable.element_bytes),
      granule_(granule) {
    // A page that nobody may touch on either side.
    const size_t page = sysconf(_SC_PAGESIZE), pages = (bytes + page - 1) / page * page;
    char* memory = static_cast<char*>(map(pages + 2 * page));
    mprotect(memory, page, PROT_NONE);
    mprotect(memory + page + pages, page, PROT_NONE);
    base_ = memory + page;
    cell_bytes_ = space_ == Space::uniform ? 0 : (bytes + granule - 1) / granule * sizeof(Cell);
    cells_ = cell_bytes_ ? static_cast<Cell*>(map(cell_bytes_)) : nullptr;
}

void Region::forget() {
    // Large ones are given back instead of cleared: of a large buffer a launch may touch little.
    if (cell_bytes_ > FORGOTTEN_BYTES)
        madvise(cells_, cell_bytes_, MADV_DONTNEED);
    else if (cells_)
        memset(static_cast<void*>(cells_), 0, cell_bytes_);
}

static bool unordered(const Access& before, const Access& now) {
    if (!before.group) return false;
    if (before.group != now.group) return true;
    if (before.thread == now.thread || before.epoch != now.epoch) return false;
    return before.simdgroup != now.simdgroup || before.simd_epoch == now.simd_epoch;
}

static bool conflict(const Access& before, const Access& now) {
    return unordered(before, now) && !(before.atomic && now.atomic);
}

static void remember_reader(Cell& cell, const Access& now) {
    Access* free = nullptr;
    for (Access& reader : cell.readers) {
        if (reader.group == now.group && reader.thread == now.thread) {
            reader = now;
            return;
        }
        if (!unordered(reader, now) || reader.group != now.group) free = &reader;
    }
    if (!free) return;  // Two other threads are remembered: whoever writes meets one of them.
    if (free->group && free->group != now.group) cell.earlier_reader = *free;
    *free = now;
}

void Region::access(
    uint64_t offset, uint64_t bytes, bool writes, bool atomic, const Moment& now, uint32_t address) {
    if (space_ == Space::uniform) return;
    const int space = space_ == Space::workgroup;
    const Access access = {now.group,         now.thread,         now.simdgroup,          atomic, now.barriers,
                           now.simd_barriers, now.epochs[space], now.simd_epochs[space], address};
    for (uint64_t i = offset / granule_; i <= (offset + bytes - 1) / granule_; i++) {
        Cell& cell = cells_[i];
        check(cell, i * granule_, writes, access);
        if (writes) {
            cell.writer = access;
            cell.initialised = true;
        } else {
            remember_reader(cell, access);
        }
    }
}

void Region::check(const Cell& cell, uint64_t offset, bool writes, const Access& access) {
    if (space_ == Space::workgroup && !writes && !cell.initialised)
        about("uninitialised read", offset, access.address)
            .of(thread_of(access.group, access.thread))
            .report();
    if (conflict(cell.writer, access)) race(cell.writer, true, offset, writes, access);
    if (!writes) return;
    for (const Access& reader : {cell.readers[0], cell.readers[1], cell.earlier_reader})
        if (conflict(reader, access)) race(reader, false, offset, writes, access);
}

Finding Region::about(const char* kind, uint64_t offset, uint32_t address) const {
    Finding finding(kind, {address});
    finding.with("variable", name_.c_str());
    if (element_bytes_) finding.with("index", offset / element_bytes_).with("length", bytes_ / element_bytes_);
    return finding;
}

void Region::race(
    const Access& before, bool before_writes, uint64_t offset, bool writes, const Access& access) {
    // A barrier lies between the two, and was of the wrong kind.
    const bool passed = before.barriers != access.barriers || (before.simdgroup == access.simdgroup &&
                                                               before.simd_barriers != access.simd_barriers);
    const bool wrong_kind = before.group == access.group && passed;
    about(wrong_kind ? "wrong barrier" : "race", offset, access.address)
        .with("writes", writes)
        .of(thread_of(access.group, access.thread))
        .with("other_writes", before_writes)
        .of(thread_of(before.group, before.thread), "other_thread")
        .at("other_site", {before.address})
        .report();
}
