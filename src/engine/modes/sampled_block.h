/*
 * sampled_block.h - allocating, freeing and resizing sampled blocks.
 *
 * Stacks are walked with no lock held. A sampled small block gets a cell with a guard behind it: its last granule ends
 * where the guard begins, and up to 15 bytes of slack are filled, and checked when it is freed. A large or huge block
 * stays where it is, and gets a guard behind its last page if there is a page to spare, and no other such block has got
 * one in the same tick of the clock. In the profile a resized block
 * is a new one: the sample ends, and the new size may be sampled again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap;
struct large;
struct sample;

/* A sampled block of `size` bytes, up to SMALL_MAX, that reads as zero; NULL when there is no memory. */
void *sampled_block_take(struct heap *heap, size_t size, size_t alignment, uint64_t interval);

/* Makes a live large or huge block a sample, if there is memory for its record. */
void sampled_block_mark(struct heap *heap, void *block, size_t size, uint64_t interval);

/* Frees a small sampled block; false if no live one starts there. An overrun is a fault. The heap may be heap_none. */
bool sampled_block_free(struct heap *heap, void *block);

/* The block of a descriptor has been freed, or the huge block at an address is about to be: ends its sample, if it
 * is one. False when its guard stays, so that the memory cannot be used again: the descriptor is gone then. */
bool sampled_block_end_large(struct heap *heap, struct large *large);
void sampled_block_end_huge(struct heap *heap, void *block);

/* Prepares a large or huge block for resizing or moving: takes its guard away. NULL: it is no sample; *stays: the guard
 * stays, so the block can only be copied. Call one of the next two afterwards: the sample ends, or the block has stayed
 * as it was. */
struct sample *sampled_block_loosen(void *block, bool *stays);
void sampled_block_end(struct heap *heap, struct sample *sample);
void sampled_block_tighten(struct sample *sample);
