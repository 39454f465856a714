#include "findings.h"

#include <stdio.h>

#include <set>

static std::set<std::string> reported;

Finding::Finding(const char* kind, Site site) {
    json_ = std::string("{\"kind\": \"") + kind + "\"";
    key_ = std::string(kind) + " " + std::to_string(site.address) + " " + std::to_string(site.line);
    at("site", site);
}

Finding& Finding::with(const char* name, const char* text) {
    json_ += std::string(", \"") + name + "\": \"" + text + "\"";
    return *this;
}

Finding& Finding::with(const char* name, int64_t number) {
    json_ += std::string(", \"") + name + "\": " + std::to_string(number);
    return *this;
}

Finding& Finding::at(const char* name, Site site) {
    json_ += std::string(", \"") + name + "\": [" + std::to_string(site.address) + ", " +
             std::to_string(site.line) + "]";
    return *this;
}

Finding& Finding::of(const Thread& thread, const char* name) {
    const uint32_t* sets[] = {thread.group, thread.local};
    json_ += std::string(", \"") + name + "\": [";
    for (int i = 0; i < 2; i++) {
        const uint32_t* p = sets[i];
        json_ += std::string(i ? ", [" : "[") + std::to_string(p[0]) + ", " + std::to_string(p[1]) + ", " +
                 std::to_string(p[2]) + "]";
    }
    json_ += "]";
    return *this;
}

bool Finding::report() {
    if (!reported.insert(key_).second) return false;
    printf("%s}\n", json_.c_str());
    fflush(stdout);  // Whatever ends this process later, it has been said.
    return true;
}

uint32_t findings_so_far() { return reported.size(); }
