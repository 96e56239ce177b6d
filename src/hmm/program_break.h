/* program_break.h - the end of the heap's memory, which moves up and down. The real break is the process's (sbrk),
 * which others may move too; a simulated one moves in a buffer and needs no operating system; a reserved one moves in
 * reserved address space. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * move: moves the break by `by` bytes, a multiple of `grain` or 0, and stores its previous value; false, and nothing
 * changed, if that is impossible. Memory below a raised break is readable and writable.
 *
 * more: replaces this exhausted break by another one with at least `least` bytes; `held` is what the heap has already.
 * False if there is none. May be NULL.
 *
 * purge: gives the memory of whole grains below the break back to the system; they stay readable and writable, with
 * undefined contents. False if that is impossible. May be NULL.
 *
 * start <= now <= committed <= end; the real break does not use these.
 */
struct program_break {
    bool (*move)(struct program_break *, intptr_t by, void **was);
    bool (*more)(struct program_break *, size_t least, size_t held);
    bool (*purge)(struct program_break *, void *start, size_t size);
    size_t grain; /* a power of two; smaller moves would gain nothing */
    bool zero;    /* whole grains above the lowest break so far read as zero unless somebody else had them */
    bool shared;  /* others may move it too */
    bool claimed; /* nothing is reserved beyond `committed`: the next memory may belong to somebody else */
    char *start;
    char *now;
    char *committed; /* the end of readable and writable memory */
    char *end;
};

/* In a buffer of the caller's; false if it has no room for one block. Freestanding. */
#define BREAK_MIN (12 * sizeof(void *))
bool hmm_break_simulated(struct program_break *brk, void *buffer, size_t size);

/* The process's own; false if it cannot be moved at all. */
bool hmm_break_real(struct program_break *brk);

/* In `size` bytes of reserved address space; memory follows the break up and down. 0 or an errno. */
int hmm_break_reserved(struct program_break *brk, size_t size);

/* The limits of the process, which decide on further memory. They are queried when the heap starts, because the process
 * may later forbid that system call, and when the process has changed them. Under the heap's lock. */
void hmm_break_ask_limits(void);

/* Before memory is limited or locked: a reserved break gives up what is unused, and claims memory as needed. */
void hmm_break_confine(struct program_break *brk);

/* program_break.more in reserved memory: as much as the system gives, but little if address space is limited. */
bool hmm_break_more(struct program_break *brk, size_t least, size_t held);
