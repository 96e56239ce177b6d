/* print.c - the free list as text. stdio may allocate, and its locks come first, so the heap's lock is held only to
 * copy some blocks of a bin. */
#include <inttypes.h>
#include <stdio.h>

#include "free_list.h"
#include "heap_state.h"
#include "hmm_alloc.h"

#define SHOWN 16 /* blocks of a bin that are listed */

struct row {
    size_t count;
    size_t bytes;
    struct {
        const void *payload;
        size_t size;
    } blocks[SHOWN];
};

static void read_bin(struct HmmHeap *heap, unsigned bin, struct row *row) {
    bool locked = heap_enter(heap, "HmmPrintFreelist");
    *row = (struct row){0};
    hmm_cut_end(heap); /* so that every free block is in a bin */
    struct block *block = heap->free_list.heads[bin];
    for (; block != NULL && block != heap_list_end(heap); block = block->next) {
        hmm_prove_free_block(heap, block);
        if (row->count < SHOWN) {
            row->blocks[row->count].payload = block_payload(block);
            row->blocks[row->count].size = block_room(block);
        }
        row->count++;
        row->bytes += block_room(block);
    }
    heap_leave(heap, locked);
}

static void print_row(FILE *stream, const struct row *row) {
    size_t shown = row->count < SHOWN ? row->count : SHOWN;
    fprintf(stream, "%zu free, %zu bytes:", row->count, row->bytes);
    for (size_t i = 0; i < shown; i++) {
        fprintf(stream, " [0x%" PRIxPTR " %zu]", (uintptr_t)row->blocks[i].payload, row->blocks[i].size);
    }
    fputs(shown < row->count ? " ...\n" : "\n", stream);
}

void hmm_print_freelist(struct HmmHeap *heap, FILE *stream) {
    stream = stream != NULL ? stream : stdout;
    fputs("----- HMM free list -----\n", stream);
    for (unsigned bin = 0; bin < FREE_BINS; bin++) {
        struct row row;
        read_bin(heap, bin, &row);
        if (row.count > 0) {
            print_row(stream, &row);
        }
    }
    fputs("-------------------------\n", stream);
}
