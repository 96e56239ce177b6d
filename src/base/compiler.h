/*
 * compiler.h - the few compiler extensions this project relies on, in one place.
 *
 * gcc and clang only; everything here is a hint or an attribute, never a change of meaning.
 */
#ifndef MEMS_BASE_COMPILER_H
#define MEMS_BASE_COMPILER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define HOT __attribute__((hot))
#define COLD __attribute__((cold, noinline))
#define NOINLINE __attribute__((noinline))
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* TAIL_CALL(f(x)) in place of `return f(x)` in a function that is TAIL_CALLING: a jump to f, which has the same type.
 * gcc jumps wherever it optimizes. */
#ifdef __clang__
#define TAIL_CALLING
#define TAIL_CALL(call) __attribute__((musttail)) return call
#else
#define TAIL_CALLING __attribute__((optimize("O2")))
#define TAIL_CALL(call) return call
#endif

/* A function that reads other threads' plain words, aligned and no wider than a register, and lives with any value. */
#define RACY_READER __attribute__((noinline, no_sanitize("thread")))

/* Thread-local words live in the static TLS block: one load to reach them, and nothing to allocate. */
#define TLS _Thread_local __attribute__((tls_model("initial-exec")))

/* Exported from the shared library; everything else is hidden by -fvisibility=hidden. */
#define EXPORT __attribute__((visibility("default")))

/*
 * Three operations on the bit of a word that `bit`, modulo 64, names: clears it and tells whether it was set; sets it;
 * tells whether it is set. Each is one instruction on x86-64, which compilers do not find in all places.
 */
#if defined(__x86_64__)
ALWAYS_INLINE bool bit_take(uint64_t *word, uint64_t bit) {
    bool was_set;
    __asm__("btr %2, %0" : "+r"(*word), "=@ccc"(was_set) : "r"(bit));
    return was_set;
}

ALWAYS_INLINE void bit_set(uint64_t *word, uint64_t bit) {
    __asm__("bts %1, %0" : "+r"(*word) : "r"(bit) : "cc");
}

ALWAYS_INLINE bool bit_is_set(uint64_t word, uint64_t bit) {
    bool is_set;
    __asm__("bt %2, %1" : "=@ccc"(is_set) : "r"(word), "r"(bit));
    return is_set;
}

/* Subtracts; true when the counter passes 0. */
ALWAYS_INLINE bool count_down(size_t *counter, size_t by) {
    bool passed;
    __asm__("sub %2, %1" : "=@ccc"(passed), "+m"(*counter) : "er"(by));
    return passed;
}
#else
ALWAYS_INLINE bool bit_take(uint64_t *word, uint64_t bit) {
    uint64_t mask = UINT64_C(1) << bit % 64;
    bool was_set = (*word & mask) != 0;
    *word &= ~mask;
    return was_set;
}

ALWAYS_INLINE void bit_set(uint64_t *word, uint64_t bit) {
    *word |= UINT64_C(1) << bit % 64;
}

ALWAYS_INLINE bool bit_is_set(uint64_t word, uint64_t bit) {
    return (word >> bit % 64 & 1) != 0;
}

ALWAYS_INLINE bool count_down(size_t *counter, size_t by) {
    return __builtin_sub_overflow(*counter, by, counter);
}
#endif

/*
 * Whether an atomic word is 0: acquire. gcc does not fold an atomic load into a comparison, which costs a register and
 * an instruction on the fast paths. ThreadSanitizer has to see the load.
 */
ALWAYS_INLINE bool word_is_zero(const _Atomic uint64_t *word) {
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
    bool is_zero;
    __asm__ __volatile__("cmpq $0, %1" : "=@ccz"(is_zero) : "m"(*word) : "memory");
    return is_zero;
#else
    return atomic_load_explicit(word, memory_order_acquire) == 0;
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
