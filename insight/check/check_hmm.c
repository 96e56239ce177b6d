/* check_hmm.c - `mems check`: HMM's headers, and its lists of free and cached blocks. */
#include <inttypes.h>
#include <stdlib.h>

#include "check/check.h"
#include "support/sorted.h"
#include "support/support.h"
#include "walk/hmm.h"

static const char free_names[] =
    "HmmHeap.cut HmmHeap.free_list.heads HmmHeap.free_list.steps HmmHeap.free_list.levels block.next block.prev "
    "FREE_BINS FREE_STEPS BLOCK_ALIGN";

static const char quick_names[] =
    "HmmHeap.quick quick_list quick_list.head quick_list.waiting block.link block.check QUICK_LISTS QUICK_ONE";

static const char count_names[] = "HmmHeap.blocks HmmHeap.free_blocks HmmHeap.free_bytes HmmHeap.room";

struct listed {
    uint64_t address; /* of the header */
    uint64_t size;    /* header included */
    enum hmm_state state;
    bool met; /* in a list */
};

/* `blocks`: those not in use, ascending. */
struct heap {
    struct check *check;
    struct layout *layout;
    uint64_t address;
    struct listed *blocks;
    size_t count;
    uint64_t all, bytes, free, free_bytes;
};

static void find(const struct heap *heap, uint64_t where, const char *what) {
    check_find(heap->check, "hmm", where, "%s", what);
}

static uint64_t number(const struct heap *heap, uint64_t structure, const char *name) {
    uint64_t value;
    field_read(&heap->check->session->target, structure, layout_field(heap->layout, name), &value);
    return value;
}

static bool take_block(const struct hmm_block *block, void *context) {
    struct heap *heap = context;
    const uint64_t size = block->header + block->room + block->site;
    heap->check->blocks++;
    heap->all++;
    heap->bytes += size;
    if (block->state == HMM_FREE) {
        heap->free++;
        heap->free_bytes += size;
    }
    if (block->state != HMM_USED) {
        heap->blocks = grow(heap->blocks, heap->count, sizeof *heap->blocks);
        heap->blocks[heap->count++] =
            (struct listed){.address = block->payload - block->header, .size = size, .state = block->state};
    }
    return true;
}

/* NULL, and a finding, if a listed block has another state or was met before. */
static struct listed *meet(const struct heap *heap, uint64_t address, enum hmm_state state) {
    struct listed *block = sorted_find(heap->blocks, heap->count, sizeof *block, address);
    if (block == NULL || block->state != state || block->met) {
        find(heap, address, "an entry of a list of blocks is not one of them, or is there twice");
        return NULL;
    }
    block->met = true;
    return block;
}

/* --- The free list ------------------------------------------------------------------------------------------------ */

/* As in src/hmm/free_bins.h. */
static uint64_t bin_of(const struct heap *heap, uint64_t size) {
    const uint64_t steps = layout_constant(heap->layout, "FREE_STEPS", 1);
    const uint64_t bins = layout_constant(heap->layout, "FREE_BINS", 1);
    const uint64_t grains = size / layout_constant(heap->layout, "BLOCK_ALIGN", 1);
    unsigned shift = 0;
    while (grains >> shift >= 2 * steps) {
        shift++;
    }
    const uint64_t bin = grains < steps ? grains : (shift + 1) * steps + (grains >> shift) - steps;
    return smaller(bin, bins - 1);
}

/* A bin ends in the heap's own address. */
static void check_bin(const struct heap *heap, uint64_t bin, uint64_t head) {
    uint64_t before = heap->address;
    for (uint64_t at = head; at != heap->address;) {
        const struct listed *block = meet(heap, at, HMM_FREE);
        if (block == NULL) {
            return;
        }
        if (bin_of(heap, block->size) != bin) {
            find(heap, at, "a free block is in the bin of another size");
        }
        if (number(heap, at, "block.prev") != before) {
            find(heap, at, "the links of a free block do not agree");
        }
        before = at;
        at = number(heap, at, "block.next");
    }
}

static void check_free_list(const struct heap *heap) {
    struct target *target = &heap->check->session->target;
    const struct layout *layout = heap->layout;
    const struct field heads = layout_field(layout, "HmmHeap.free_list.heads");
    const struct field steps = layout_field(layout, "HmmHeap.free_list.steps");
    const uint64_t bins = layout_constant(layout, "FREE_BINS", 0);
    const uint64_t each = layout_constant(layout, "FREE_STEPS", 0);
    const uint64_t levels = number(heap, heap->address, "HmmHeap.free_list.levels");
    if (bins * 8 != heads.size || each == 0 || each > 16 || bins / each * 2 != steps.size) {
        find(heap, heap->address, "its bins are invalid");
        return;
    }
    for (uint64_t bin = 0; bin < bins; bin++) {
        uint64_t head;
        uint64_t bits;
        target_read_pointer(target, heap->address + heads.offset + bin * 8, &head);
        target_read_number(target, heap->address + steps.offset + bin / each * 2, 2, &bits);
        if ((bits >> bin % each & 1) != (head != 0) || (levels >> bin / each & 1) != (bits != 0)) {
            find(heap, heap->address, "a bin's bit does not match whether the bin is empty");
        }
        if (head != 0) {
            check_bin(heap, bin, head);
        }
    }
    const uint64_t cut = number(heap, heap->address, "HmmHeap.cut");
    if (cut != 0) {
        meet(heap, cut, HMM_FREE);
    }
    for (size_t i = 0; i < heap->count; i++) {
        if (heap->blocks[i].state == HMM_FREE && !heap->blocks[i].met) {
            find(heap, heap->blocks[i].address, "a free block is in no bin, so it is never reused");
        }
    }
}

/* --- Quick lists -------------------------------------------------------------------------------------------------- */

/* The check beside a cached block's link (block_check). Libraries that do not mention a rotation do not rotate. */
static uint64_t check_of(const struct heap *heap, uint64_t block, uint64_t link, uint64_t secret) {
    const unsigned turn = layout_constant(heap->layout, "BLOCK_CHECK_TURN", 0) % 64;
    return (link >> turn | link << (64 - turn) % 64) ^ block ^ secret;
}

static void check_quick_list(const struct heap *heap, uint64_t list, uint64_t size, uint64_t secret) {
    const uint64_t one = layout_constant(heap->layout, "QUICK_ONE", 0);
    uint64_t waiting = 0;
    for (uint64_t at = number(heap, list, "quick_list.head"); at != 0;) {
        const struct listed *block = meet(heap, at, HMM_CACHED);
        if (block == NULL) {
            return;
        }
        if (block->size != size) {
            find(heap, at, "a cached block is on the quick list of another size");
        }
        const uint64_t link = number(heap, at, "block.link");
        if (number(heap, at, "block.check") != check_of(heap, at, link, secret)) {
            find(heap, at, "the link of a cached block is damaged");
            return;
        }
        waiting += one + size;
        at = link;
    }
    if (waiting != number(heap, list, "quick_list.waiting")) {
        find(heap, list, "a quick list's recorded length is wrong");
    }
}

static void check_quick_lists(const struct heap *heap) {
    const struct field quick = layout_field(heap->layout, "HmmHeap.quick");
    const struct field each = layout_field(heap->layout, "quick_list");
    const uint64_t lists = layout_constant(heap->layout, "QUICK_LISTS", 0);
    const uint64_t align = layout_constant(heap->layout, "BLOCK_ALIGN", 0);
    uint64_t secret;
    target_read_pointer(&heap->check->session->target, number(heap, heap->layout->start, "hmm_root.secret"), &secret);
    if (lists * each.size > quick.size) {
        find(heap, heap->address, "its quick lists are invalid");
        return;
    }
    for (uint64_t i = 0; i < lists; i++) {
        check_quick_list(heap, heap->address + quick.offset + i * each.size, i * align, secret);
    }
    for (size_t i = 0; i < heap->count; i++) {
        if (heap->blocks[i].state == HMM_CACHED && !heap->blocks[i].met) {
            find(heap, heap->blocks[i].address, "a cached block is on no quick list, so it is lost");
        }
    }
}

/* ------------------------------------------------------------------------------------------------------------------ */

static void check_counts(const struct heap *heap) {
    const struct {
        const char *name;
        uint64_t counted;
    } counts[] = {{"HmmHeap.blocks", heap->all},
                  {"HmmHeap.room", heap->bytes},
                  {"HmmHeap.free_blocks", heap->free},
                  {"HmmHeap.free_bytes", heap->free_bytes}};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        const uint64_t told = number(heap, heap->address, counts[i].name);
        if (told != counts[i].counted) {
            check_find(heap->check, "hmm", heap->address, "%s: counted %" PRIu64 ", but the heap says %" PRIu64,
                       counts[i].name, counts[i].counted, told);
        }
    }
}

static void check_heap(struct check *check, struct layout *layout, uint64_t address) {
    struct heap heap = {.check = check, .layout = layout, .address = address};
    uint64_t where = 0;
    const char *broken = hmm_walk_heap(&check->session->target, layout, address, take_block, &heap, &where);
    if (broken != NULL) {
        find(&heap, where, broken);
    } else {
        sort(heap.blocks, heap.count, sizeof *heap.blocks);
        if (layout_has(layout, "whether HMM's free list is whole", free_names)) {
            check_free_list(&heap);
        }
        if (layout_has(layout, "whether HMM's quick lists are whole", quick_names)) {
            check_quick_lists(&heap);
        }
        if (layout_has(layout, "whether HMM's blocks are counted right", count_names)) {
            check_counts(&heap);
        }
    }
    free(heap.blocks);
}

void check_hmm(struct check *check, struct layout *layout) {
    uint64_t heaps[HMM_HEAPS_MAX];
    const size_t count = hmm_heaps(&check->session->target, layout, heaps);
    for (size_t i = 0; i < count; i++) {
        check_heap(check, layout, heaps[i]);
    }
}
