#include "group.h"

#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <numeric>
#include <vector>

#include "fibers.h"
#include "kernel.h"

namespace {

enum class State { ready, at_barrier, at_gather, done };

// A call or a loop that a thread is in: where, and which turn of the loop.
struct Frame {
    uint32_t place;
    uint64_t turn;
    bool operator==(const Frame& other) const { return place == other.place && turn == other.turn; }
};

// A thread of the workgroup that runs.
struct Lane {
    ThreadIds ids;
    Moment moment;
    State state;
    uint32_t line;  // Of the barrier or the SIMD-group function it waits at.
    bool orders[2];
    bool is_barrier;  // Of the SIMD-group.
    const void* mine;
    uint64_t bytes;
    checker_lanes* all;
    uint64_t steps;
    std::vector<Frame> path;
};

const Launch* launch;
std::unique_ptr<Fibers> fibers;
std::vector<Lane> lanes;
std::deque<std::vector<char>> spare;
uint64_t state_of_chance;

Lane& me() { return lanes[fibers->current()]; }

// splitmix64 (Steele, Lea and Flood 2014).
uint64_t chance() {
    uint64_t z = (state_of_chance += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

std::vector<uint32_t> order(uint32_t count) {
    std::vector<uint32_t> result(count);
    std::iota(result.begin(), result.end(), 0);
    if (launch->seed)
        for (uint32_t i = count; i > 1; i--) std::swap(result[i - 1], result[chance() % i]);
    return result;
}

// Whether two waiting threads wait at the same: at one line, and there by the same calls and turns of loops.
bool meet(const Lane& one, const Lane& other) {
    return one.state == other.state && one.line == other.line && one.path == other.path;
}

uint32_t volume(const uint32_t size[3]) { return size[0] * size[1] * size[2]; }

void position(uint32_t index, const uint32_t size[3], uint32_t to[3]) {
    to[0] = index % size[0];
    to[1] = index / size[0] % size[1];
    to[2] = index / size[0] / size[1];
}

void thread_body(size_t i) {
    launch->entry(lanes[i].ids, launch->variables);
    lanes[i].state = State::done;
}

void set_up_group(uint32_t group) {
    const uint32_t simd_size = launch->simd_size, count = lanes.size();
    for (uint32_t i = 0; i < count; i++) {
        Lane& lane = lanes[i];
        lane = Lane();
        ThreadIds& ids = lane.ids;
        position(i, launch->threads, ids.thread_position_in_threadgroup);
        position(group, launch->groups, ids.threadgroup_position_in_grid);
        for (int axis = 0; axis < 3; axis++) {
            ids.threads_per_threadgroup[axis] = launch->threads[axis];
            ids.threadgroups_per_grid[axis] = launch->groups[axis];
            ids.thread_position_in_grid[axis] =
                ids.threadgroup_position_in_grid[axis] * launch->threads[axis] +
                ids.thread_position_in_threadgroup[axis];
        }
        ids.thread_index_in_threadgroup = i;
        ids.thread_index_in_simdgroup = i % simd_size;
        ids.simdgroup_index_in_threadgroup = i / simd_size;
        ids.simdgroups_per_threadgroup = (count + simd_size - 1) / simd_size;
        ids.threads_per_simdgroup = simd_size;
        lane.moment.group = group + 1;
        lane.moment.thread = i;
        lane.moment.simdgroup = i / simd_size;
    }
    for (Region& region : regions())
        if (region.space() == Space::workgroup) {
            memset(region.base(), 0xcb, region.bytes());
            region.forget();
        }
}

// Some lanes of a SIMD-group wait for each other. Those at one line go on together; the others should have come
// there, too. False where nobody of it waits so.
bool release_simdgroup(uint32_t first, uint32_t end) {
    const auto waits = [](const Lane& lane) { return lane.state == State::at_gather; };
    const auto begin = lanes.begin();
    const auto leader = std::find_if(begin + first, begin + end, waits);
    if (leader == begin + end) return false;
    const uint32_t line = leader->line;
    const Lane& first_lane = *leader;
    checker_lanes all = {};
    const Lane* absent = nullptr;
    for (uint32_t i = first; i < end; i++) {
        const Lane& lane = lanes[i];
        if (meet(lane, first_lane)) {
            all.active |= uint64_t(1) << (i - first);
            if (lane.bytes) memcpy(all.values[i - first], lane.mine, lane.bytes);
        } else if (!absent) {
            absent = &lane;
        }
    }
    if (absent)
        Finding("divergent subgroup operation", {0, line})
            .of(thread_of(leader->moment.group, leader->moment.thread))
            .of(thread_of(absent->moment.group, absent->moment.thread), "other_thread")
            .at("other_site", {0, absent->state == State::done ? 0 : absent->line})
            .report();
    all.count = end - first;
    for (uint32_t i = first; i < end; i++) {
        Lane& lane = lanes[i];
        if (!(all.active >> (i - first) & 1)) continue;
        all.lane = i - first;
        if (lane.all) *lane.all = all;
        lane.moment.simd_barriers += lane.is_barrier;
        for (int space = 0; space < 2; space++)
            lane.moment.simd_epochs[space] += lane.is_barrier && lane.orders[space];
        lane.state = State::ready;
    }
    return true;
}

// All threads have stopped. False where none waits at a barrier.
bool release_barrier() {
    const auto waits = [](const Lane& lane) { return lane.state == State::at_barrier; };
    const auto leader = std::find_if(lanes.begin(), lanes.end(), waits);
    if (leader == lanes.end()) return false;
    const Lane& first = *leader;
    for (const Lane& lane : lanes)
        if (!meet(lane, first)) {
            Finding("divergent barrier", {0, first.line})
                .of(thread_of(first.moment.group, first.moment.thread))
                .of(thread_of(lane.moment.group, lane.moment.thread), "other_thread")
                .at("other_site", {0, waits(lane) ? lane.line : 0})
                .report();
            break;
        }
    for (Lane& lane : lanes) {
        lane.moment.barriers++;
        for (int space = 0; space < 2; space++) lane.moment.epochs[space] += first.orders[space];
        if (waits(lane)) lane.state = State::ready;
    }
    return true;
}

void run_group(uint32_t group) {
    set_up_group(group);
    const std::vector<uint32_t> turns = order(lanes.size());
    for (;;) {
        // Until each has ended or waits for others: between its atomic operations one may only have paused.
        const auto goes_on = [](const Lane& lane) { return lane.state == State::ready; };
        while (std::any_of(lanes.begin(), lanes.end(), goes_on))
            for (uint32_t i : turns)
                if (goes_on(lanes[i])) fibers->resume(i);
        bool released = false;
        for (uint32_t first = 0; first < lanes.size(); first += launch->simd_size)
            released |=
                release_simdgroup(first, std::min<uint32_t>(first + launch->simd_size, lanes.size()));
        if (!released && !release_barrier()) return;
    }
}

}  // namespace

void run(const Launch& what) {
    launch = &what;
    state_of_chance = what.seed;
    const uint32_t threads = volume(what.threads);
    lanes.assign(threads, Lane());
    // Stacks of an abandoned run are in the middle of things.
    fibers = std::make_unique<Fibers>(threads, thread_body);
    fibers->run_until_abandoned([] {
        for (uint32_t group : order(volume(launch->groups))) run_group(group);
    });
}

bool in_kernel() { return fibers && fibers->inside(); }
bool on_stack(const void* at) { return fibers->own(at); }
const Moment& now() { return me().moment; }
void abandon() { fibers->abandon(); }

Thread thread_of(uint32_t group, uint32_t thread) {
    Thread result;
    position(group - 1, launch->groups, result.group);
    position(thread, launch->threads, result.local);
    return result;
}

Thread this_thread() { return thread_of(now().group, now().thread); }

void let_others_go_first() {
    if (launch->seed && chance() % 2) fibers->wait();
}

void enter(uint32_t place) { me().path.push_back({place, 0}); }
void leave() { me().path.pop_back(); }

void* scratch(uint64_t bytes) {
    const uint64_t alignment = 64;
    // Earlier and smaller ones stay: a statement may still hold one.
    if (spare.empty() || spare.back().size() < bytes + alignment) spare.emplace_back(bytes + alignment);
    std::vector<char>& block = spare.back();
    std::fill(block.begin(), block.end(), 0);
    const uintptr_t at = reinterpret_cast<uintptr_t>(block.data());
    return reinterpret_cast<void*>((at + alignment - 1) / alignment * alignment);
}

bool is_scratch(const void* at) {
    return std::any_of(spare.begin(), spare.end(), [=](const std::vector<char>& block) {
        return at >= block.data() && at < block.data() + block.size();
    });
}

extern "C" {

void checker_barrier(uint32_t line, bool orders_device, bool orders_threadgroup) {
    Lane& lane = me();
    lane.state = State::at_barrier;
    lane.line = line;
    lane.orders[0] = orders_device;
    lane.orders[1] = orders_threadgroup;
    fibers->wait();
}

void checker_gather(uint32_t line, const void* mine, uint64_t bytes, checker_lanes* all) {
    Lane& lane = me();
    lane.state = State::at_gather;
    lane.line = line;
    lane.mine = mine;
    lane.bytes = bytes;
    lane.all = all;
    lane.is_barrier = false;
    fibers->wait();
}

void checker_simd_barrier(uint32_t line, bool orders_device, bool orders_threadgroup) {
    Lane& lane = me();
    lane.state = State::at_gather;
    lane.line = line;
    lane.orders[0] = orders_device;
    lane.orders[1] = orders_threadgroup;
    lane.bytes = 0;
    lane.all = nullptr;
    lane.is_barrier = true;
    fibers->wait();
}

void checker_loop_begins(uint32_t line) { enter(line); }

bool checker_loop_turns() {
    Lane& lane = me();
    Frame& loop = lane.path.back();
    loop.turn++;
    if (++lane.steps <= launch->most_steps) return true;
    Finding("endless loop", {0, loop.place}).with("steps", launch->most_steps).of(this_thread()).report();
    abandon();
}

void checker_loop_ends() { leave(); }
}
