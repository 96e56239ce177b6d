/*
 * program_break.h - where the heap's memory comes from: one end that moves up and down.
 *
 * The real break is the process's (sbrk), and others may move it, too. A simulated one moves in a buffer; it needs no
 * operating system. A reserved one is simulated in address space that the system has reserved for it.
 */
#ifndef MEMS_HMM_PROGRAM_BREAK_H
#define MEMS_HMM_PROGRAM_BREAK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * move: moves the break by `by` bytes, a multiple of `grain`, or 0, and tells where it was; false, and nothing has
 * changed, when that cannot be done. The memory between the old and the higher new break is readable and writable.
 *
 * more: turns this break, which is at its end, into another one, elsewhere, that has `least` bytes or more; false when
 * there is none. `held` is what the heap has already. NULL: there never is one.
 *
 * purge: gives back the memory of whole grains below the break; they stay readable and writable, and what they hold is
 * not to be relied upon. False when it cannot be done; NULL when it never can.
 *
 * start <= now <= committed <= end; these are not the real break's.
 */
struct program_break {
    bool (*move)(struct program_break *, intptr_t by, void **was);
    bool (*more)(struct program_break *, size_t least, size_t held);
    bool (*purge)(struct program_break *, void *start, size_t size);
    size_t grain; /* a power of two: what moving by less would not gain anything */
    bool zero;    /* whole grains that it rises over read as zero if nobody had them since it was last lowered */
    bool shared;  /* others may move it, too */
    char *start;
    char *now;
    char *committed; /* the end of what is readable and writable */
    char *end;
};

/* In a buffer of the caller's; false when it has no room for a single block. Freestanding. */
#define BREAK_MIN (12 * sizeof(void *))
bool hmm_break_simulated(struct program_break *brk, void *buffer, size_t size);

/* The process's own. False where it cannot be moved at all. */
bool hmm_break_real(struct program_break *brk);

/* In `size` bytes of address space; memory is taken as the break goes up and given back as it goes down. 0 or an errno.
 */
int hmm_break_reserved(struct program_break *brk, size_t size);

/* program_break.more in reserved memory: as much as the system gives, or, where the address space is limited, little.
 */
bool hmm_break_more(struct program_break *brk, size_t least, size_t held);

#endif
