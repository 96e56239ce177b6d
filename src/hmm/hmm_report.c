#include "hmm_report.h"

#include "heap_state.h"
#include "quick_list.h"

/* Releases the lock, if the reporting thread holds it, once the report no longer depends on it: the program's code may
 * run before the end. Allocations then come from memory that was never used (heap.faulty); a second fault there ends
 * the program without that code. Other threads may find the damage too and report it. */
static void leave_heap(struct HmmHeap *heap) {
    uint32_t thread = system_thread();
    if (heap->faulty == thread) {
        system_die();
    }
    heap->faulty = thread;
    heap->end = NULL;
    hmm_quick_forget(heap);
    if (heap->locked) {
        hmm_heap_set_walker(heap, 0);
        hmm_heap_unlock(heap);
    }
}

#if HMM_REPORTS

#include "base/fault.h"
#include "base/fmt.h"
#include "region.h"

#define LINE 384 /* bytes; the longest line has about 200 */

COLD void hmm_report_fault(struct HmmHeap *heap, const char *operation, const void *address, const char *problem,
                           const char *state) {
    HmmFaultHandler handler = heap->handler;
    leave_heap(heap);
    if (handler == NULL) {
        system_fault(operation, address, problem, state);
    }
    char buffer[LINE];
    struct fmt line = fmt_of(buffer, sizeof buffer);
    fault_describe(&line, operation, address, problem, state);
    handler(buffer);
    system_abort();
}

static const char *state_word(const struct block *block) {
    if ((block->header & BLOCK_USED) == 0) {
        return "free";
    }
    return (block->header & BLOCK_CACHED) != 0 ? "cached" : "used";
}

/* Nothing if the site is unknown. */
static void put_site(struct fmt *state, struct block *block) {
#ifdef HMM_TAGS
    const char *site = *block_site(block);
    if ((block->header & (BLOCK_USED | BLOCK_CACHED)) == BLOCK_USED && site != NULL) {
        fmt_format(state, ", allocated at %s", site);
    }
#else
    (void)state, (void)block;
#endif
}

/* A walk from the start of an address's region. */
struct find {
    struct block *block; /* around the address, or with a damaged header */
    struct block *prev;  /* the one before it, or NULL */
    bool damaged;
};

static struct find find_block(const struct region *region, const void *address) {
    struct find find = {.block = region->first};
    while (find.block < region->end) {
        size_t size = block_size(find.block);
        find.damaged =
            !block_sound(find.block) || size < BLOCK_MIN || size > (size_t)((char *)region->end - (char *)find.block);
        if (find.damaged || (const char *)address < (char *)block_after(find.block, size)) {
            break;
        }
        find.prev = find.block;
        find.block = block_after(find.block, size);
    }
    return find;
}

static _Noreturn void report_damaged(struct HmmHeap *heap, const char *operation, const void *address,
                                     const struct find *find) {
    char buffer[LINE];
    struct fmt state = fmt_of(buffer, sizeof buffer);
    const char *problem = "damaged header";
    if (block_payload(find->block) != address) {
        problem = "not a live block";
        fmt_format(&state, "behind a damaged header at %p, ", find->block);
    }
    if (find->prev != NULL) {
        fmt_format(&state, "written before its start, or past the end of the %s block of %u bytes at %p",
                   state_word(find->prev), (uint64_t)block_room(find->prev), block_payload(find->prev));
    } else {
        fmt_text(&state, "written before the start of the heap's first block");
    }
    hmm_report_fault(heap, operation, address, problem, buffer);
}

COLD void hmm_report_pointer(struct HmmHeap *heap, const char *operation, void *payload, const char *freed) {
    const struct region *region = hmm_region_of(heap, payload);
    if (region == NULL) {
        hmm_report_fault(heap, operation, payload, "not from this heap",
                         heap->region_count == 0 ? "it is empty" : NULL);
    }
    struct find find = find_block(region, payload);
    if (find.damaged) {
        report_damaged(heap, operation, payload, &find);
    }
    char buffer[LINE];
    struct fmt state = fmt_of(buffer, sizeof buffer);
    struct block *block = find.block;
    bool inside = block_payload(block) != payload;
    if (inside && ((char *)payload < (char *)block_payload(block) || block == region->end)) {
        hmm_report_fault(heap, operation, payload, "not a block's start", "between blocks");
    }
    bool free = (block->header & BLOCK_USED) == 0;
    if (inside && (!free || (uintptr_t)payload % BLOCK_ALIGN != 0)) {
        freed = "not a block's start";
        fmt_format(&state, "%u bytes into ", (uint64_t)((char *)payload - (char *)block_payload(block)));
    } else if (inside) {
        fmt_text(&state, "inside "); /* a former block may be part of a free one by now */
    }
    fmt_format(&state, "a %s block of %u bytes", state_word(block), (uint64_t)block_room(block));
    put_site(&state, block);
    hmm_report_fault(heap, operation, payload, freed, buffer);
}

COLD void hmm_report_size(struct HmmHeap *heap, const char *operation, struct block *block, size_t size,
                          size_t alignment) {
    char buffer[LINE];
    struct fmt state = fmt_of(buffer, sizeof buffer);
    fmt_format(&state, "a block of %u bytes is not one of size %u", (uint64_t)block_room(block), (uint64_t)size);
    if (alignment != 0) {
        fmt_format(&state, ", aligned to %u", (uint64_t)alignment);
    }
    hmm_report_fault(heap, operation, block_payload(block), "size mismatch", buffer);
}

COLD void hmm_report_next(struct HmmHeap *heap, struct block *block, struct block *next) {
    char buffer[LINE];
    struct fmt state = fmt_of(buffer, sizeof buffer);
    fmt_format(&state, "the header at %p: this block of %u bytes was written past its end", next,
               (uint64_t)block_room(block));
    put_site(&state, block);
    hmm_report_fault(heap, heap->operation, block_payload(block), "damaged neighbour", buffer);
}

COLD void hmm_report_previous(struct HmmHeap *heap, struct block *block) {
    hmm_report_fault(
        heap, heap->operation, block_payload(block), "damaged neighbour",
        "the free block before it: written to after it was freed, or past the end of the block before that");
}

/* The damage to a block that nobody holds. */
static const char *suffered(const struct block *block) {
    return block_sound(block) ? "written to after it was freed"
                              : "its header is overwritten: past the end of the block before it";
}

COLD void hmm_report_free_block(struct HmmHeap *heap, struct block *block) {
    hmm_report_fault(heap, heap->operation, block_payload(block), "damaged free block", suffered(block));
}

COLD void hmm_report_cached_block(struct HmmHeap *heap, const char *operation, struct block *block) {
    hmm_report_fault(heap, operation, block_payload(block), "damaged cached block", suffered(block));
}

COLD void hmm_report_end(struct HmmHeap *heap) {
    hmm_report_fault(heap, heap->operation, heap->end, "damaged header",
                     "the end of the heap: the last block was written past its end");
}

#else

COLD void hmm_report_short(struct HmmHeap *heap, const char *operation) {
    HmmFaultHandler handler = heap->handler;
    leave_heap(heap);
    if (handler != NULL) {
        handler(operation);
    }
    system_abort();
}

#endif
