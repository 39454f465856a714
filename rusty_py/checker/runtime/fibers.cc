#include "fibers.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

// The lowest page of a stack may not be touched, so that an overflow is a crash and not a wrong number.
static const size_t STACK_BYTES = 256 << 10, GUARD_BYTES = 4 << 10;

static Fibers* running;

Fibers::Fibers(size_t count, void (*body)(size_t)) : fibers_(count), body_(body), bytes_(count * STACK_BYTES) {
    void* memory =
        mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        fprintf(stderr, "no memory for the stacks of %zu threads\n", count);
        exit(3);
    }
    stacks_ = static_cast<char*>(memory);
    for (size_t i = 0; i < count; i++) mprotect(stacks_ + i * STACK_BYTES, GUARD_BYTES, PROT_NONE);
}

Fibers::~Fibers() { munmap(stacks_, bytes_); }

void Fibers::start() {
    for (;;) {
        running->body_(running->current_);
        running->wait();
    }
}

void Fibers::resume(size_t i) {
    Fiber& fiber = fibers_[i];
    running = this;
    current_ = i;
    if (_setjmp(scheduler_)) {
        inside_ = false;
        return;
    }
    inside_ = true;
    if (fiber.started) _longjmp(fiber.place, 1);
    fiber.started = true;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = stacks_ + i * STACK_BYTES;
    fiber.context.uc_stack.ss_size = STACK_BYTES;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, start, 0);
    setcontext(&fiber.context);
}

void Fibers::wait() {
    if (!_setjmp(fibers_[current_].place)) _longjmp(scheduler_, 1);
}

void Fibers::abandon() { _longjmp(abandoned_, 1); }
