/* compiler.h - extensions of gcc and clang that the project relies on. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Brings an address into the cache without waiting for it. The address need not be readable. */
#define PREFETCH(address) __builtin_prefetch(address)

#define HOT __attribute__((hot))
#define COLD __attribute__((cold, noinline))
#define NOINLINE __attribute__((noinline))
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* A jump to f instead of `return f(x)`, in a TAIL_CALLING function of the same type. gcc jumps if it optimizes. */
#ifdef __clang__
#define TAIL_CALLING
#define TAIL_CALL(call) __attribute__((musttail)) return call
#else
#define TAIL_CALLING __attribute__((optimize("O2")))
#define TAIL_CALL(call) return call
#endif

/* For functions that read other threads' plain words (aligned, at most a register wide) and cope with any value. */
#define RACY_READER __attribute__((noinline, no_sanitize("thread")))

/* Inlined, except with ThreadSanitizer, which does not allow it. */
#ifdef __SANITIZE_THREAD__
#define RACY_INLINE static __attribute__((unused)) RACY_READER
#else
#define RACY_INLINE ALWAYS_INLINE
#endif

/* Thread-local words in the static TLS block: one load reaches them, and nothing is allocated. */
#define TLS _Thread_local __attribute__((tls_model("initial-exec")))

/* -fvisibility=hidden hides everything else. */
#define EXPORT __attribute__((visibility("default")))

/* No other library defines these variables, which saves the fast paths an instruction each time. */
#define HIDDEN __attribute__((visibility("hidden")))

/* Bit `bit` modulo 64 of a word: clear it and return whether it was set; set it; test it. Compilers do not always find
 * the single x86-64 instruction. */
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

/* True if the counter has reached 0, or would have passed it. */
ALWAYS_INLINE bool count_down(size_t *counter, size_t by) {
    bool passed;
    __asm__("sub %2, %1" : "=@ccbe"(passed), "+m"(*counter) : "er"(by));
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
    bool passed = *counter <= by;
    *counter -= by;
    return passed;
}
#endif

/* acquire. gcc does not fold an atomic load into a comparison, which costs the fast paths a register and an
 * instruction. ThreadSanitizer must see the load. */
ALWAYS_INLINE bool word_is_zero(const _Atomic uint64_t *word) {
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
    bool is_zero;
    __asm__ __volatile__("cmpq $0, %1" : "=@ccz"(is_zero) : "m"(*word) : "memory");
    return is_zero;
#else
    return atomic_load_explicit(word, memory_order_acquire) == 0;
#endif
}

/* For the body of a spin loop. */
#if defined(__x86_64__)
#define SPIN_PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define SPIN_PAUSE() __asm__ __volatile__("isb" ::: "memory")
#else
#define SPIN_PAUSE() __asm__ __volatile__("" ::: "memory")
#endif
