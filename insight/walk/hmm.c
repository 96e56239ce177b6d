#include "walk/hmm.h"

#include <stdlib.h>
#include <string.h>

#include "support/support.h"

/* The numbers of the headers' checksum (src/hmm/block.h). */
#define SEAL_MIX UINT64_C(0x9e3779b97f4a7c15)
#define SEAL_KEY_SET UINT64_C(0x1001001001001001)

static const char walk_names[] =
    "hmm_root.heap hmm_root.secret HmmHeap.regions HmmHeap.region_count region region.start region.first "
    "region.end BLOCK_USED BLOCK_PREV_USED BLOCK_CACHED HMM_SIZE_BITS BLOCK_ALIGN BLOCK_HEADER BLOCK_MIN "
    "BLOCK_SITE";

static const char all_of_hmm[] = "all of HMM";

struct walk {
    struct target *target;
    bool (*visit)(const struct hmm_block *block, void *context);
    void *context;
    uint64_t secret;
    uint64_t used, previous_used, cached, align, header, least, site, tag_mask;
    bool enough;
    uint64_t *where;
    /* Read ahead: */
    uint64_t from;
    size_t loaded;
    char bytes[65536];
};

static bool read_header(struct walk *walk, uint64_t address, uint64_t *header) {
    if (address < walk->from || address + sizeof *header > walk->from + walk->loaded) {
        walk->from = address;
        /* Saved files must not contain users' bytes. */
        size_t ahead = walk->target->record != NULL ? sizeof *header : sizeof walk->bytes;
        walk->loaded = target_read_some(walk->target, address, walk->bytes, ahead);
        if (walk->loaded < sizeof *header) {
            return false;
        }
    }
    memcpy(header, walk->bytes + (address - walk->from), sizeof *header);
    return true;
}

static bool is_sound(const struct walk *walk, uint64_t address, uint64_t header) {
    uint64_t tag = header & walk->tag_mask;
    uint64_t mixed = (address ^ walk->secret) * SEAL_MIX;
    uint64_t key = ((mixed >> 32 | mixed << 32) | SEAL_KEY_SET) & ~(SEAL_KEY_SET << 1);
    return ((header ^ (mixed + tag) * key) & ~walk->tag_mask) == 0;
}

static const char *walk_region(struct walk *walk, uint64_t region, uint64_t first, uint64_t end) {
    bool previous_free = false;
    for (uint64_t at = first; at < end && !walk->enough;) {
        uint64_t header;
        *walk->where = at;
        if (!read_header(walk, at, &header)) {
            return "a block cannot be read";
        }
        uint64_t size = header & walk->tag_mask & ~(walk->align - 1);
        if (!is_sound(walk, at, header)) {
            return "a block's header is damaged";
        }
        if (size < walk->least || size > end - at) {
            return "a block reaches beyond its region";
        }
        bool is_free = (header & walk->used) == 0;
        if (is_free && previous_free) {
            return "two free blocks touch";
        }
        if (((header & walk->previous_used) == 0) != previous_free) {
            return "a block does not know what lies before it";
        }
        struct hmm_block block = {.region = region,
                                  .end = end,
                                  .payload = at + walk->header,
                                  .room = size - walk->header - walk->site,
                                  .header = walk->header,
                                  .site = walk->site,
                                  .state = is_free                        ? HMM_FREE
                                           : (header & walk->cached) != 0 ? HMM_CACHED
                                                                          : HMM_USED};
        walk->enough = !walk->visit(&block, walk->context);
        previous_free = is_free;
        at += size;
    }
    uint64_t header;
    if (!walk->enough) {
        *walk->where = end;
        if (!read_header(walk, end, &header) || !is_sound(walk, end, header) ||
            (header & walk->tag_mask & ~(walk->align - 1)) != 0 || (header & walk->used) == 0 ||
            ((header & walk->previous_used) == 0) != previous_free) {
            return "a region's end is damaged";
        }
    }
    return NULL;
}

static bool read_constants(struct walk *walk, struct layout *layout) {
    uint64_t bits = layout_constant(layout, "HMM_SIZE_BITS", 0);
    walk->used = layout_constant(layout, "BLOCK_USED", 0);
    walk->previous_used = layout_constant(layout, "BLOCK_PREV_USED", 0);
    walk->cached = layout_constant(layout, "BLOCK_CACHED", 0);
    walk->align = layout_constant(layout, "BLOCK_ALIGN", 0);
    walk->header = layout_constant(layout, "BLOCK_HEADER", 0);
    walk->least = layout_constant(layout, "BLOCK_MIN", 0);
    walk->site = layout_constant(layout, "BLOCK_SITE", 0);
    walk->tag_mask = ((uint64_t)1 << (bits & 63)) - 1;
    return walk->align >= 8 && (walk->align & (walk->align - 1)) == 0 && walk->header >= 8 && walk->header <= 16 &&
           walk->least > walk->header + walk->site && bits > 16 && bits < 64;
}

static const char *walk_heap(struct walk *walk, struct layout *layout, uint64_t heap) {
    const struct field regions = layout_field(layout, "HmmHeap.regions");
    const struct field whole = layout_field(layout, "region");
    uint64_t count;
    uint64_t before = 0; /* the end of the region before */
    *walk->where = heap;
    if (!field_read(walk->target, heap, layout_field(layout, "HmmHeap.region_count"), &count) || regions.size == 0 ||
        whole.size == 0 || count > regions.size / whole.size) {
        return "a heap cannot be read";
    }
    for (uint64_t i = 0; i < count && !walk->enough; i++) {
        uint64_t region = heap + regions.offset + i * whole.size;
        uint64_t start;
        uint64_t first;
        uint64_t end;
        *walk->where = region;
        if (!field_read(walk->target, region, layout_field(layout, "region.start"), &start) ||
            !field_read(walk->target, region, layout_field(layout, "region.first"), &first) ||
            !field_read(walk->target, region, layout_field(layout, "region.end"), &end)) {
            return "a region cannot be read";
        }
        if (start < before || first < start || end < first || end > UINT64_MAX - walk->header) {
            return "regions overlap, or are out of order";
        }
        const char *broken = walk_region(walk, start, first, end);
        if (broken != NULL) {
            return broken;
        }
        before = end + walk->header;
    }
    return NULL;
}

static bool read_secret(struct target *target, struct layout *layout, uint64_t *secret) {
    uint64_t place;
    return field_read(target, layout->start, layout_field(layout, "hmm_root.secret"), &place) &&
           target_read_pointer(target, place, secret);
}

size_t hmm_heaps(struct target *target, struct layout *layout, uint64_t heaps[HMM_HEAPS_MAX]) {
    struct field made;
    struct field own;
    const struct wanted of_made[] = {{"hmm_root.made", &made}, {"HmmHeap.own", &own}};
    uint64_t secret;
    size_t count = 0;
    if (!layout_has(layout, all_of_hmm, walk_names) ||
        !field_read(target, layout->start, layout_field(layout, "hmm_root.heap"), &heaps[count++]) ||
        !read_secret(target, layout, &secret)) {
        return 0;
    }
    if (!layout_find(layout, "heaps that HmmHeapCreate has made", of_made, COUNT_OF(of_made))) {
        return count;
    }
    for (uint64_t at = 0; at + 8 <= made.size && count < HMM_HEAPS_MAX; at += 8) {
        uint64_t heap;
        uint64_t mark;
        if (target_read_pointer(target, layout->start + made.offset + at, &heap) && heap != 0 &&
            field_read(target, heap, own, &mark) && mark == (heap ^ secret)) {
            heaps[count++] = heap;
        }
    }
    return count;
}

const char *hmm_walk_heap(struct target *target, struct layout *layout, uint64_t heap,
                          bool (*visit)(const struct hmm_block *block, void *context), void *context, uint64_t *where) {
    if (!layout_has(layout, all_of_hmm, walk_names)) {
        return NULL;
    }
    struct walk *walk = make_zeroed(1, sizeof *walk);
    *walk = (struct walk){.target = target, .visit = visit, .context = context, .where = where};
    *where = layout->root;
    const char *broken = read_constants(walk, layout) && read_secret(target, layout, &walk->secret)
                             ? walk_heap(walk, layout, heap)
                             : "its root leads to invalid data";
    free(walk);
    return broken;
}

struct until {
    bool (*visit)(const struct hmm_block *block, void *context);
    void *context;
    bool enough;
};

static bool visit_until(const struct hmm_block *block, void *context) {
    struct until *until = context;
    until->enough = !until->visit(block, until->context);
    return !until->enough;
}

const char *hmm_walk(struct target *target, struct layout *layout,
                     bool (*visit)(const struct hmm_block *block, void *context), void *context, uint64_t *where) {
    uint64_t heaps[HMM_HEAPS_MAX];
    const size_t count = hmm_heaps(target, layout, heaps);
    const char *broken = NULL;
    struct until until = {.visit = visit, .context = context};
    for (size_t i = count; i-- > 0 && broken == NULL && !until.enough;) {
        broken = hmm_walk_heap(target, layout, heaps[i], visit_until, &until, where);
    }
    return broken;
}

static bool add_live(const struct hmm_block *block, void *context) {
    uint64_t *bytes = context;
    *bytes += block->state == HMM_USED ? block->room : 0;
    return true;
}

bool hmm_live_bytes(struct target *target, struct layout *layout, uint64_t *bytes) {
    uint64_t where;
    *bytes = 0;
    return hmm_walk(target, layout, add_live, bytes, &where) == NULL;
}
