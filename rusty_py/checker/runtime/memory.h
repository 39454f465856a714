// The kernel's variables in memory, and who accessed which part of them when.
//
// Two accesses of the same bytes by different threads, one of them writing, are a race unless a barrier orders
// them or both are atomic. Threads of one workgroup are ordered by barriers of the right kind; threads of
// different workgroups by nothing. As the runner takes one workgroup after the other, and stops all threads of
// one at each barrier, four remembered accesses a cell are enough to find whether there is a race: the last
// writer, two different readers since the last barrier, and a reader of an earlier workgroup. Barriers of a
// SIMD-group order some of its threads and not others: there a third reader may be forgotten.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <string>
#include <vector>

#include "findings.h"
#include "launch.h"

// Where a thread is in the order of things.
struct Moment {
    uint32_t group = 0;           // Counts from 1; 0 is nobody.
    uint16_t thread = 0;
    uint16_t simdgroup = 0;
    uint32_t barriers = 0;        // Passed by its workgroup, of whatever kind.
    uint32_t simd_barriers = 0;   // Passed by its SIMD-group.
    // Of these, the ones that order device, and threadgroup, memory.
    uint32_t epochs[2] = {0, 0};
    uint32_t simd_epochs[2] = {0, 0};
};

struct Access {
    uint32_t group;
    uint16_t thread;
    uint16_t simdgroup : 15;
    uint16_t atomic : 1;
    uint32_t barriers, simd_barriers, epoch, simd_epoch;
    uint32_t address;  // Of the instruction.
};

struct Cell {
    Access writer, readers[2], earlier_reader;
    bool initialised;
};

// The memory of one variable, and a cell for every granule of it.
class Region {
  public:
    Region(const Variable& variable, uint64_t bytes, uint32_t granule);

    bool holds(const void* at) const { return at >= base_ && at < base_ + bytes_; }
    void* base() const { return base_; }
    uint64_t bytes() const { return bytes_; }
    const std::string& name() const { return name_; }
    Space space() const { return space_; }
    uint64_t offset_of(const void* at) const { return static_cast<const char*>(at) - base_; }

    // Forgets all accesses, and that anything was written.
    void forget();
    // The bytes of what an index counts; 0 where the variable is no array.
    uint64_t element_bytes() const { return element_bytes_; }
    // Checks an access against those before it, and remembers it.
    void access(uint64_t offset, uint64_t bytes, bool writes, bool atomic, const Moment& now, uint32_t address);

  private:
    void check(const Cell& cell, uint64_t offset, bool writes, const Access& access);
    // A finding about what lies at `offset`.
    Finding about(const char* kind, uint64_t offset, uint32_t address) const;
    void race(const Access& before, bool before_writes, uint64_t offset, bool writes, const Access& access);

    std::string name_;
    Space space_;
    uint64_t bytes_, element_bytes_;
    uint32_t granule_;
    char* base_;
    Cell* cells_;
    size_t cell_bytes_;
};

// The region that holds an address; null for none.
Region* region_of(const void* at);
std::vector<Region>& regions();
