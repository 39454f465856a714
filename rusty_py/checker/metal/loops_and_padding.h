// What naga's text becomes beside arrays: loops that are counted, and padding that is not copied.
#pragma once

namespace checker {

// `while(true)` becomes a `for` with one of these.
struct turns {
    explicit turns(uint32_t line) { checker_loop_begins(line); }
    ~turns() { checker_loop_ends(); }
    bool next() { return checker_loop_turns(); }
};

// `char _pad1[12]`. Nobody writes these bytes, so a copy of what is around them may not read them.
template <int BYTES>
struct padding {
    char bytes[BYTES];

    padding() = default;
    padding(const padding&) {}
    padding& operator=(const padding&) { return *this; }
};

}  // namespace checker
