/*
 * single_step.h - counts the instructions between two points, on x86-64: the processor traps after each, and a signal
 * handler counts, so the numbers are exact for the compiled code. A system call counts as one instruction, as does each
 * repetition of a string instruction.
 *
 * One thread counts. Call single_step_begin first; it determines what start and stop count by themselves.
 */
#pragma once

#include <signal.h>
#include <stdint.h>
#include <ucontext.h>

static volatile uint64_t steps, step_calls;
static uint64_t steps_empty;

static void step(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)info;
    const unsigned char *next = (const unsigned char *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    step_calls += next[0] == 0x0f && next[1] == 0x05; /* syscall */
    steps++;
}

static inline void single_step_start(void) {
    steps = step_calls = 0;
    __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");
}

static inline void single_step_stop(void) {
    __asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");
}

/* How many instructions there were, at the end. */
static inline uint64_t single_steps(void) {
    return steps - steps_empty;
}

static inline void single_step_begin(void) {
    struct sigaction action = {.sa_sigaction = step, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
    single_step_start();
    single_step_stop();
    steps_empty = steps;
}
