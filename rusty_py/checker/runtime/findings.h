// What a run finds: one line of JSON each on standard output.
#pragma once

#include <stdint.h>

#include <string>

// A place in the kernel: an address in its code, or a line of its Metal text.
struct Site {
    uint32_t address = 0;
    uint32_t line = 0;
};

struct Thread {
    uint32_t group[3];
    uint32_t local[3];
};

class Finding {
  public:
    Finding(const char* kind, Site site);

    Finding& of(const Thread& thread, const char* name = "thread");
    Finding& with(const char* name, const char* text);
    Finding& with(const char* name, int64_t number);
    Finding& at(const char* name, Site site);

    // Prints it, unless this kind was found at this site before. True where it was printed.
    bool report();

  private:
    std::string json_;
    std::string key_;
};

// How many were printed.
uint32_t findings_so_far();
