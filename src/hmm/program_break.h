/* program_break.h - the end of the heap's memory, which moves up and down. The real break is the process's (sbrk),
 * which others may move too; a simulated one moves in a buffer and needs no operating system; a reserved one moves in
 * reserved address space. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * move: by `by` bytes, a multiple of `grain` or 0; stores the previous break; false, with nothing changed, if that is
 * impossible. Memory below the break is accessible.
 *
 * more: replaces this exhausted break by another with at least `least` bytes; `held` is what the heap has already.
 * False if there is none. May be NULL.
 *
 * purge: gives the memory of whole grains below the break back; they stay accessible, with undefined contents. False if
 * that is impossible. May be NULL.
 *
 * start <= now <= committed <= end; the real break does not use these.
 */
struct program_break {
    bool (*move)(struct program_break *, intptr_t by, void **was);
    bool (*more)(struct program_break *, size_t least, size_t held);
    bool (*purge)(struct program_break *, void *start, size_t size);
    size_t grain; /* a power of two; smaller moves gain nothing */
    bool zero;    /* whole grains above the lowest break so far read as zero unless somebody else had them */
    bool shared;  /* others may move it too */
    bool claimed; /* nothing beyond `committed` is reserved: the next memory may be somebody else's */
    char *start;
    char *now;
    char *committed; /* of accessible memory */
    char *end;
};

/* In the caller's buffer; false if it has no room for one block. Freestanding. */
#define BREAK_MIN (12 * sizeof(void *))
bool hmm_break_simulated(struct program_break *brk, void *buffer, size_t size);

/* The process's own; false if it cannot be moved at all. */
bool hmm_break_real(struct program_break *brk);

/* In reserved address space; memory follows the break. 0 or an errno. */
int hmm_break_reserved(struct program_break *brk, size_t size);

/* The process's limits decide on further memory. They are queried when the heap starts, because the process may later
 * forbid that system call, and after it has changed them. Under the heap's lock. */
void hmm_break_ask_limits(void);

/* Before memory is limited or locked: a reserved break gives up what is unused, and then claims memory as needed. */
void hmm_break_confine(struct program_break *brk);

/* Whether unmapping up to `free` bytes of the heap helps the process: limits count them, and it is not so far beyond a
 * limit that nothing could be mapped there afterwards. If its usage is unknown, it counts as within the limits. */
bool hmm_break_may_unmap(size_t free);

/* program_break.more in reserved memory: as much as the system gives, but little if address space is limited. */
bool hmm_break_more(struct program_break *brk, size_t least, size_t held);
