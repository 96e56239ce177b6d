/*
 * hardened_larges.h - with harden=light and full: the large blocks that a heap's thread freed last. All under the
 * heap's lock.
 *
 * A freed block takes a random place. The one that was there goes to the end of a queue if it is *fenced* (large.h),
 * that is, has no memory and faults when touched. Smaller ones, with harden=light, are zero, and may be reused from
 * their places. The bytes, mostly mere addresses, are bounded for each heap, and over all heaps if address space is
 * limited.
 *
 * When a thread ends, the next one gets what its heap keeps. The process's first HARDENED_LARGES_FENCED blocks for
 * which that happens are fenced then, because most mistakes show early. Later ones, up to HARDENED_LARGES_LEFT bytes,
 * keep their memory until the heap becomes bare (unused_heaps.h): threads that end soon would fault it in anew.
 */
#pragma once

#include <stddef.h>

#include "hardened_heap.h"
#include "heap.h"

#define HARDENED_LARGES_BYTES ((size_t)256 << 20)
#define HARDENED_LARGES_SCARCE ((size_t)64 << 20)
#define HARDENED_LARGES_FENCED 64u
#define HARDENED_LARGES_LEFT ((size_t)4 << 20)

/* Keeps a freed block, and gives back those for which there is no room. */
void hardened_keep_large(struct heap *heap, struct large *large);

/* A kept block of exactly this size, in whole pages, that may be reused; or NULL. */
struct large *hardened_take_large(struct heap *heap, size_t units, size_t size);

/* A kept block that has memory and no longer reads as zero, or NULL. */
const struct large *hardened_find_written(const struct heap *heap);

/* Gives back the blocks of a heap, if it has any. */
void hardened_give_larges(struct heap *heap);

/* The thread of a hardened heap ends; its next one begins. */
void hardened_leave_larges(struct heap *heap);
void hardened_take_over(struct heap *heap);

/* Gives back the memory of what a hardened heap's thread has left. The addresses, which fault, are kept. Returns the
 * bytes. */
size_t hardened_keep_addresses(struct heap *heap);

/* The bytes of the kept large blocks, and in *count their number; approximate for another thread's heap. */
size_t hardened_larges(const struct heap *heap, size_t *count);
