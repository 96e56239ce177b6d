/*
 * sampled_block.h - allocating, freeing and resizing sampled blocks.
 *
 * Stacks are walked with no lock held. A sampled small block gets a cell: its last granule ends where the cell's guard
 * begins, and up to 15 bytes of slack are filled, and checked when it is freed. A large or huge block stays where it
 * is. It gets a guard behind its last page if there is a page to spare, and if no other such block got one in the same
 * tick of the clock. A resized block counts as a new one: its sample ends, and the new size may be sampled again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap;
struct large;
struct sample;

/* A sampled block of `size` bytes, up to SMALL_MAX, that reads as zero; NULL if there is no memory. */
void *sampled_block_take(struct heap *heap, size_t size, size_t alignment, uint64_t interval);

/* Makes a live large or huge block a sample, if there is memory for its record. */
void sampled_block_mark(struct heap *heap, void *block, size_t size, uint64_t interval);

/* Frees a small sampled block; false if no live one starts there. An overrun is a fault. The heap may be heap_none. */
bool sampled_block_free(struct heap *heap, void *block);

/* Ends the sample, if there is one, of a large block that has been freed, or of a huge one that is about to be. False
 * if its guard stays, so that the memory cannot be used again; then its descriptor is gone. */
bool sampled_block_end_large(struct heap *heap, struct large *large);
void sampled_block_end_huge(struct heap *heap, void *block);

/* Takes the guard away from a large or huge block that is to be resized or moved. NULL if it is no sample. *stays: the
 * guard stays, so the block can only be copied. Then call sampled_block_end, or sampled_block_tighten if the block has
 * stayed as it was. */
struct sample *sampled_block_loosen(void *block, bool *stays);
void sampled_block_end(struct heap *heap, struct sample *sample);
void sampled_block_tighten(struct sample *sample);
