// run KERNEL.so JOB: runs a compiled kernel under the checker. The job is a text file, a word and its values a line:
//
//     parent PID              of the process that waits for this one, which ends with it
//     groups X Y Z            workgroups
//     threads X Y Z           of one workgroup
//     steps N                 turns of loops that a thread may take
//     workgroup N             bytes of workgroup memory that there are
//     sizes N N ...           what naga's _buffer_sizes holds
//     buffer NAME FILE        contents of a variable
//     run SIMD_SIZE SEED      one run, from the same contents; the runs end with the first that finds something
//
// Findings go to standard output, a line of JSON each, and after each run what it was, and which buffers it left
// other than the first run of its SIMD_SIZE did. After the first run, the contents of each buffer go to FILE.out. Exit status 0: it
// ran; 2: the contents of a variable are too small, and standard error says NAME MIN GIVEN; 4: the library cannot be
// loaded; 5: there is more workgroup memory than that, and standard error says BYTES MAX; 3: anything else.
#include <dlfcn.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "findings.h"
#include "group.h"
#include "hooks.h"
#include "launch.h"
#include "memory.h"

namespace {

struct Run {
    uint32_t simd_size;
    uint64_t seed;
};

struct Job {
    pid_t parent;
    uint32_t groups[3], threads[3];
    uint64_t steps, workgroup_bytes;
    std::vector<uint32_t> sizes;
    std::map<std::string, std::string> files;
    std::vector<Run> runs;
};

enum Status { too_small = 2, other = 3, not_loaded = 4, too_much = 5 };

[[noreturn]] void refuse(const std::string& why, Status status = other) {
    fprintf(stderr, "%s\n", why.c_str());
    exit(status);
}

Job read_job(const char* path) {
    Job job = {};
    std::ifstream file(path);
    if (!file) refuse(std::string("cannot read the job ") + path);
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string word;
        words >> word;
        if (word == "parent") words >> job.parent;
        if (word == "groups") words >> job.groups[0] >> job.groups[1] >> job.groups[2];
        if (word == "threads") words >> job.threads[0] >> job.threads[1] >> job.threads[2];
        if (word == "steps") words >> job.steps;
        if (word == "workgroup") words >> job.workgroup_bytes;
        if (word == "sizes")
            for (uint32_t size; words >> size;) job.sizes.push_back(size);
        if (word == "buffer") {
            std::string name, contents;
            words >> name >> contents;
            job.files[name] = contents;
        }
        if (word == "run") {
            Run run;
            words >> run.simd_size >> run.seed;
            job.runs.push_back(run);
        }
    }
    return job;
}

std::string contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) refuse("cannot read " + path);
    std::ostringstream all;
    all << file.rdbuf();
    return all.str();
}

// The kernel as it was compiled.
struct Kernel {
    void* library;
    KernelEntry entry;
    const Variable* variables;
    uint32_t count, granule;
};

void check_workgroup_memory(const Kernel& kernel, uint64_t most) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < kernel.count; i++)
        if (kernel.variables[i].space == Space::workgroup) bytes += kernel.variables[i].least_bytes;
    if (bytes > most) refuse(std::to_string(bytes) + " " + std::to_string(most), too_much);
}

void keep(const Region& region, const std::string& path) {
    std::ofstream file(path, std::ios::binary);
    file.write(static_cast<const char*>(region.base()), region.bytes()).flush();
    if (!file) refuse("cannot write the contents of " + region.name() + ": is the disk full?");
}

template <class T>
T symbol(void* library, const char* name) {
    void* found = dlsym(library, name);
    if (!found) refuse(std::string("the kernel lacks ") + name, not_loaded);
    return reinterpret_cast<T>(found);
}

Kernel load(const char* path) {
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) refuse(dlerror(), not_loaded);
    Kernel kernel = {library, symbol<KernelEntry>(library, "__kernel_entry"),
                     symbol<const Variable*>(library, "__kernel_variables"),
                     *symbol<const uint32_t*>(library, "__kernel_variable_count"),
                     *symbol<const uint32_t*>(library, "__kernel_granule")};
    struct link_map* map;
    dlinfo(library, RTLD_DI_LINKMAP, &map);
    // From the first to the last segment of the library.
    dl_iterate_phdr(
        [](struct dl_phdr_info* info, size_t, void* base) {
            if (info->dlpi_addr != reinterpret_cast<uintptr_t>(base)) return 0;
            uintptr_t end = 0;
            for (int i = 0; i < info->dlpi_phnum; i++)
                if (info->dlpi_phdr[i].p_type == PT_LOAD)
                    end = std::max<uintptr_t>(end, info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz);
            set_image(base, static_cast<char*>(base) + end);
            return 1;
        },
        reinterpret_cast<void*>(map->l_addr));
    return kernel;
}

// A kernel that stops with a signal: the place, and the end.
void stopped(int signal, siginfo_t* why, void* context) {
#if defined(__x86_64__)
    const void* at = reinterpret_cast<void*>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
    const void* at = reinterpret_cast<void*>(static_cast<ucontext_t*>(context)->uc_mcontext.pc);
#endif
    const uint32_t site = image_site(at);
    Finding finding("crash", {site ? site + 1 : 0});
    // Of a stack only its guard stops anyone.
    const bool overflow = signal == SIGSEGV && in_kernel() && on_stack(why->si_addr);
    finding.with("signal", overflow ? "Variables too large for a thread's stack" : strsignal(signal));
    if (in_kernel()) finding.of(this_thread());
    finding.report();
    _exit(0);
}

void catch_signals() {
    static char stack[64 << 10];
    stack_t other = {};
    other.ss_sp = stack;
    other.ss_size = sizeof stack;
    sigaltstack(&other, nullptr);
    struct sigaction action = {};
    action.sa_sigaction = stopped;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) sigaction(signal, &action, nullptr);
}

// What the variable holds at the start; workgroup memory nothing.
std::string initial_contents(const Variable& variable, const Job& job) {
    if (variable.space == Space::workgroup) return "";
    if (!strcmp(variable.name, "_buffer_sizes"))
        return std::string(reinterpret_cast<const char*>(job.sizes.data()), 4 * job.sizes.size());
    const auto file = job.files.find(variable.name);
    if (file == job.files.end()) refuse(std::string("no contents for ") + variable.name);
    const std::string found = contents(file->second);
    if (found.size() < variable.least_bytes)
        refuse(std::string(variable.name) + " " + std::to_string(variable.least_bytes) + " " +
                   std::to_string(found.size()),
               too_small);
    return found;
}

// Compares what a run left in the buffers with what the first of its SIMD-group size did: the names that differ, as JSON.
// The contents that the first run of all left are kept.
std::string compare_with_first(const Job& job, uint32_t simd_size) {
    static std::map<uint32_t, std::map<std::string, std::string>> of_size;
    const bool is_first = of_size.empty();
    std::map<std::string, std::string>& first = of_size[simd_size];
    std::string varies;
    for (const Region& region : regions()) {
        const auto file = job.files.find(region.name());
        if (file == job.files.end()) continue;
        const std::string left(static_cast<const char*>(region.base()), region.bytes());
        if (is_first) keep(region, file->second + ".out");
        first.emplace(region.name(), left);
        if (left != first[region.name()]) varies += (varies.empty() ? "\"" : ", \"") + region.name() + "\"";
    }
    return "[" + varies + "]";
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) refuse("usage: run KERNEL.so JOB");
    // Whoever waits for us may be killed, and nobody else would end a loop that does not.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const Kernel kernel = load(argv[1]);
    const Job job = read_job(argv[2]);
    check_workgroup_memory(kernel, job.workgroup_bytes);
    if (getppid() != job.parent) refuse("its parent is gone");

    std::vector<std::string> initial;
    std::vector<void*> variables;
    regions().reserve(kernel.count);
    for (uint32_t i = 0; i < kernel.count; i++) {
        initial.push_back(initial_contents(kernel.variables[i], job));
        const uint64_t bytes = std::max<uint64_t>(initial[i].size(), kernel.variables[i].least_bytes);
        regions().emplace_back(kernel.variables[i], bytes, kernel.granule);
        variables.push_back(regions().back().base());
    }

    catch_signals();
    for (const Run& run_of : job.runs) {
        for (uint32_t i = 0; i < kernel.count; i++) {
            memcpy(variables[i], initial[i].data(), initial[i].size());
            regions()[i].forget();
        }
        Launch launch = {kernel.entry, variables.data(), {}, {}, run_of.simd_size, run_of.seed, job.steps};
        memcpy(launch.groups, job.groups, sizeof job.groups);
        memcpy(launch.threads, job.threads, sizeof job.threads);
        run(launch);
        printf("{\"run\": [%u, %lu], \"varies\": %s}\n", run_of.simd_size,
               static_cast<unsigned long>(run_of.seed), compare_with_first(job, run_of.simd_size).c_str());
        fflush(stdout);
        if (findings_so_far()) break;
    }
    return 0;
}
