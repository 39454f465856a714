// One fiber a thread of the workgroup: a stack of its own, and a place to go on from.
//
// ucontext makes a fiber; setjmp and longjmp switch, because swapcontext asks the kernel for each switch.
#pragma once

#include <setjmp.h>
#include <stddef.h>
#include <ucontext.h>

#include <vector>

class Fibers {
  public:
    // `body` is called with the fiber's number, each time it is started.
    Fibers(size_t count, void (*body)(size_t));
    ~Fibers();

    // Lets fiber i run until it waits or ends; the first time, or after it ended, from the start of the body.
    void resume(size_t i);
    // Called inside a fiber: back to who resumed it.
    void wait();
    // Called inside a fiber that will not go on: back to where `run_until_abandoned` was called.
    [[noreturn]] void abandon();
    // Calls f, and returns when that does or a fiber abandons the run.
    template <class F>
    void run_until_abandoned(F f) {
        if (_setjmp(abandoned_))
            inside_ = false;
        else
            f();
    }

    bool inside() const { return inside_; }
    size_t current() const { return current_; }
    // Whether an address lies in a fiber's stack.
    bool own(const void* at) const { return at >= stacks_ && at < stacks_ + bytes_; }

  private:
    static void start();

    struct Fiber {
        jmp_buf place;
        ucontext_t context;
        bool started = false;
    };

    std::vector<Fiber> fibers_;
    void (*body_)(size_t);
    char* stacks_;
    size_t bytes_;
    size_t current_ = 0;
    bool inside_ = false;
    jmp_buf scheduler_, abandoned_;
};
