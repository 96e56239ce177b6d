/*
 * compiler.h - the few compiler extensions this project relies on, in one place.
 *
 * gcc and clang only; everything here is a hint or an attribute, never a change of meaning.
 */
#ifndef MEMS_BASE_COMPILER_H
#define MEMS_BASE_COMPILER_H

#include <stdbool.h>
#include <stdint.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define HOT __attribute__((hot))
#define COLD __attribute__((cold, noinline))
#define NOINLINE __attribute__((noinline))
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* A function that reads other threads' plain words, aligned and no wider than a register, and lives with any value. */
#define RACY_READER __attribute__((noinline, no_sanitize("thread")))

/* Thread-local words live in the static TLS block: one load to reach them, and nothing to allocate. */
#define TLS _Thread_local __attribute__((tls_model("initial-exec")))

/* Exported from the shared library; everything else is hidden by -fvisibility=hidden. */
#define EXPORT __attribute__((visibility("default")))

/*
 * Clears the bit of *word that `bit`, modulo 64, names; whether it was set. Compilers do not find the one instruction
 * that x86-64 has for it.
 */
ALWAYS_INLINE bool bit_take(uint64_t *word, uint64_t bit) {
#if defined(__x86_64__)
    bool was_set;
    __asm__("btr %2, %0" : "+r"(*word), "=@ccc"(was_set) : "r"(bit));
    return was_set;
#else
    uint64_t mask = UINT64_C(1) << bit % 64;
    bool was_set = (*word & mask) != 0;
    *word &= ~mask;
    return was_set;
#endif
}

/* What a loop that waits for another thread does between two looks. */
#if defined(__x86_64__)
#define SPIN_PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define SPIN_PAUSE() __asm__ __volatile__("isb" ::: "memory")
#else
#define SPIN_PAUSE() __asm__ __volatile__("" ::: "memory")
#endif

#endif
