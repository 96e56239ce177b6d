#include "hmm.h"

#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "residency.h"
#include "support.h"

/* The numbers of the headers' checksum (src/hmm/block.h). */
#define SEAL_MIX UINT64_C(0x9e3779b97f4a7c15)
#define SEAL_KEY_SET UINT64_C(0x1001001001001001)

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
        /* What is saved shall have no user's bytes. */
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

const char *hmm_walk(struct target *target, struct layout *layout,
                     bool (*visit)(const struct hmm_block *block, void *context), void *context, uint64_t *where) {
    struct walk *walk = make_zeroed(1, sizeof *walk);
    *walk = (struct walk){.target = target, .visit = visit, .context = context, .where = where};
    uint64_t heap = 0;
    uint64_t secret = 0;
    uint64_t count = 0;
    uint64_t before = 0; /* the end of the region before */
    const char *broken = "its root leads to nothing that makes sense";
    struct field regions = layout_field(layout, "HmmHeap.regions");
    struct field whole = layout_field(layout, "region");
    *where = layout->root;
    if (read_constants(walk, layout) &&
        field_read(target, layout->start, layout_field(layout, "hmm_root.heap"), &heap) &&
        field_read(target, layout->start, layout_field(layout, "hmm_root.secret"), &secret) &&
        target_read_pointer(target, secret, &walk->secret) &&
        field_read(target, heap, layout_field(layout, "HmmHeap.region_count"), &count) && regions.size != 0 &&
        whole.size != 0 && count <= regions.size / whole.size) {
        broken = NULL;
    }
    for (uint64_t i = 0; i < count && broken == NULL && !walk->enough; i++) {
        uint64_t region = heap + regions.offset + i * whole.size;
        uint64_t start;
        uint64_t first;
        uint64_t end;
        *where = region;
        if (!field_read(target, region, layout_field(layout, "region.start"), &start) ||
            !field_read(target, region, layout_field(layout, "region.first"), &first) ||
            !field_read(target, region, layout_field(layout, "region.end"), &end)) {
            broken = "a region cannot be read";
        } else if (start < before || first < start || end < first || end > UINT64_MAX - walk->header) {
            broken = "regions overlap, or are out of order";
        } else {
            broken = walk_region(walk, start, first, end);
            before = end + walk->header;
        }
    }
    free(walk);
    return broken;
}

/* --- Counting ----------------------------------------------------------------------------------------------------- */

struct counting {
    struct account *account;
    struct residency residency;
    uint64_t region;
    bool started;
};

static bool count_block(const struct hmm_block *block, void *context) {
    static const enum account_row rows[] = {
        [HMM_USED] = ROW_HMM_LIVE, [HMM_CACHED] = ROW_HMM_CACHED, [HMM_FREE] = ROW_HMM_FREE};
    struct counting *counting = context;
    if (!counting->started || counting->region != block->region) {
        if (counting->started) {
            residency_end(&counting->residency);
        }
        residency_start(&counting->residency, counting->account->target, block->region, UINT64_MAX);
        counting->region = block->region;
        counting->started = true;
        account_part(counting->account, &counting->residency, ROW_HMM_OVERHEAD, block->region,
                     block->payload - block->header);
    }
    account_part(counting->account, &counting->residency, ROW_HMM_OVERHEAD, block->payload - block->header,
                 block->payload);
    account_part(counting->account, &counting->residency, rows[block->state], block->payload,
                 block->payload + block->room);
    uint64_t behind = block->payload + block->room;
    uint64_t next = behind + block->site;
    account_part(counting->account, &counting->residency, ROW_HMM_OVERHEAD, behind,
                 next == block->end ? next + block->header : next);
    return true;
}

void hmm_count(struct account *account, struct layouts *layouts) {
    struct layout *layout = layouts_of(layouts, ROOT_HMM);
    struct counting counting = {.account = account};
    if (layout != NULL) {
        account->hmm_trouble = hmm_walk(account->target, layout, count_block, &counting, &account->hmm_where);
    }
    if (counting.started) {
        residency_end(&counting.residency);
    }
}
