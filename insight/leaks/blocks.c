#include "leaks/blocks.h"

#include <stdlib.h>
#include <string.h>

#include "samples/samples.h"
#include "support/sorted.h"
#include "support/support.h"
#include "walk/engine_huge.h"
#include "walk/engine_slots.h"
#include "walk/hmm.h"
#include "walk/spaces.h"

/* More blocks: the target is hostile, or the bits would not fit into memory. */
#define NUMBERS_LIMIT ((uint64_t)1 << 36)
#define EXTENTS_LIMIT ((uint64_t)1 << 31)

/* Extents farther apart than this begin another set, while there are sets left. */
#define SET_GAP ((uint64_t)1 << 26)

/* --- Rows --------------------------------------------------------------------------------------------------------- */

static struct row *add_row(struct blocks *blocks, enum block_kind kind, uint64_t start, uint64_t size, uint32_t slots) {
    if (blocks->numbers + slots > NUMBERS_LIMIT || blocks->row_count >= UINT32_MAX - 1) {
        fail("it has more blocks than mems can count");
    }
    blocks->rows = grow(blocks->rows, blocks->row_count, sizeof *blocks->rows);
    struct row *row = &blocks->rows[blocks->row_count++];
    *row = (struct row){.start = start,
                        .size = size,
                        .magic = UINT64_MAX / size + 1,
                        .first = blocks->numbers,
                        .slots = slots,
                        .kind = kind};
    blocks->numbers += slots;
    return row;
}

uint64_t *blocks_bits(const struct blocks *blocks) {
    return make_zeroed(blocks->numbers / 64 + 1, sizeof(uint64_t));
}

/* Bits grow with the rows; each row adds up to 65535. */
struct growing {
    struct blocks *blocks;
    uint64_t room; /* in numbers */
};

static void make_room(struct growing *growing) {
    struct blocks *blocks = growing->blocks;
    if (blocks->numbers < growing->room) {
        return;
    }
    uint64_t room = larger(2 * growing->room, blocks->numbers + 65536) / 64 * 64;
    blocks->live = remake(blocks->live, room / 8);
    memset((char *)blocks->live + growing->room / 8, 0, (room - growing->room) / 8);
    growing->room = room;
}

static void mark_live(struct blocks *blocks, uint64_t number, uint64_t size) {
    block_set(blocks->live, number);
    blocks->live_count++;
    blocks->live_bytes += size;
}

static void add_slab(struct growing *growing, const struct engine_walk *walk) {
    struct blocks *blocks = growing->blocks;
    const struct engine_span *span = &walk->span;
    const uint64_t size = walk->engine->classes[span->size_class].size;
    struct row *row = add_row(blocks, BLOCK_SMALL, span->start, size, span->slots);
    row->born_s = span->born_s;
    make_room(growing);
    for (unsigned slot = 0; slot < span->slots; slot++) {
        if (engine_slot_state(walk, slot) == STATE_LIVE) {
            mark_live(blocks, row->first + slot, size);
        }
    }
}

static void add_single(struct growing *growing, enum block_kind kind, uint64_t start, uint64_t size) {
    struct row *row = add_row(growing->blocks, kind, start, size, 1);
    make_room(growing);
    mark_live(growing->blocks, row->first, size);
}

/* The samples say which cells of a span of sampled blocks are live. */
static void add_cells(struct growing *growing, const struct engine_walk *walk) {
    struct blocks *blocks = growing->blocks;
    const struct engine_span *span = &walk->span;
    struct row *row = add_row(blocks, BLOCK_SAMPLED, span->start, span->cell_size, (uint32_t)span->cells);
    row->born_s = blocks->sampled_count;
    make_room(growing);
    for (uint64_t i = 0; i < span->cells; i++) {
        blocks->sampled = grow(blocks->sampled, blocks->sampled_count, sizeof *blocks->sampled);
        blocks->sampled[blocks->sampled_count++] = (struct extent){0};
    }
}

/* Of the samples that are live. */
static void place_samples(struct blocks *blocks, struct session *session) {
    struct samples samples;
    if (blocks->sampled_count == 0 || !samples_read(&samples, session)) {
        return;
    }
    for (size_t i = 0; i < samples.count; i++) {
        const struct sample *sample = &samples.all[i];
        const uint64_t offset = sample->start - blocks->base;
        const uint32_t place = offset < blocks->window_size ? blocks->units[offset >> blocks->unit_shift] : 0;
        const struct row *row = place != 0 ? &blocks->rows[place - 1] : NULL;
        const uint64_t size = larger(sample->size, 1); /* a zero-size block has an address, too */
        if (!sample->live || row == NULL || row->kind != BLOCK_SAMPLED) {
            continue;
        }
        const uint64_t cell = (sample->start - row->start) / row->size;
        if (cell < row->slots && size <= row->size - (sample->start - row->start) % row->size) {
            blocks->sampled[row->born_s + cell] = (struct extent){sample->start, size};
            mark_live(blocks, row->first + cell, size);
        }
    }
    samples_free(&samples);
}

static void add_window(struct growing *growing, struct engine *engine) {
    struct blocks *blocks = growing->blocks;
    struct engine_walk walk;
    blocks->base = engine->base;
    blocks->window_size = engine->top * engine->unit;
    blocks->unit_shift = (unsigned)__builtin_ctzll(engine->unit);
    blocks->units = make_zeroed(engine->top, sizeof *blocks->units);
    engine_walk_start(&walk, engine, 0);
    while (engine_walk_next(&walk)) {
        const size_t rows = blocks->row_count;
        if (walk.span.kind == SPAN_SLAB) {
            add_slab(growing, &walk);
        } else if (walk.span.kind == SPAN_LARGE && walk.span.live && walk.span.size != 0) {
            add_single(growing, BLOCK_LARGE, walk.span.start, walk.span.size);
        } else if (walk.span.kind == SPAN_SAMPLES) {
            add_cells(growing, &walk);
        }
        for (uint64_t i = 0; i < walk.span.units && blocks->row_count != rows; i++) {
            blocks->units[walk.span.unit + i] = (uint32_t)blocks->row_count;
        }
        progress("finding blocks", walk.next, engine->top);
    }
    progress_end();
    if (walk.next != engine->top || walk.torn != 0) {
        blocks->trouble = "some of the engine's tables are invalid; `mems check` says more";
    }
    engine_walk_end(&walk);
}

static void add_huge(struct growing *growing, struct engine *engine) {
    struct blocks *blocks = growing->blocks;
    size_t count;
    struct engine_huge *huge = engine_huge_blocks(engine, &count);
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++) {
        if (huge[i].start >= end && huge[i].last < UINT64_MAX) {
            end = huge[i].last + 1;
            add_single(growing, BLOCK_HUGE, huge[i].start, end - huge[i].start);
            blocks->huge_low = blocks->huge_high == 0 ? huge[i].start : blocks->huge_low;
            blocks->huge_high = end;
        }
    }
    free(huge);
}

/* --- Sets --------------------------------------------------------------------------------------------------------- */

/* Blocks in the order of the walk. */
struct found {
    struct extent *extents;
    struct extent *handles; /* of the same blocks; NULL: they have none */
    size_t count;
};

static void add_extent(struct found *found, uint64_t start, uint64_t size) {
    if (found->count >= EXTENTS_LIMIT) {
        fail("it has more blocks than mems can count");
    }
    found->extents = grow(found->extents, found->count, sizeof *found->extents);
    found->extents[found->count++] = (struct extent){start, size};
}

static bool meet_hmm(const struct hmm_block *block, void *context) {
    if (block->state == HMM_USED) {
        add_extent(context, block->payload, block->room);
    }
    return true;
}

static bool meet_segment(const struct space_segment *segment, void *context) {
    struct found *found = context;
    const uint64_t size = segment->last - segment->start + 1;
    if (segment->kind == SPACE_PROCESS) {
        found->handles = grow(found->handles, found->count, sizeof *found->handles);
        found->handles[found->count] = (struct extent){segment->handle, size};
        add_extent(found, segment->physical, size);
    }
    return true;
}

/* An extent, and which number it has. */
struct numbered {
    struct extent extent;
    uint32_t number;
};

static bool is_sorted(const struct extent *extents, size_t count) {
    for (size_t i = 1; i < count; i++) {
        if (extents[i].start < extents[i - 1].start || extents[i].start - extents[i - 1].start < extents[i - 1].size) {
            return false;
        }
    }
    return count == 0 || extents[count - 1].size <= UINT64_MAX - extents[count - 1].start;
}

/* Sorts extents and their numbers; in a hostile target, one that overlaps the next is cut. */
static void sort_extents(struct extent *extents, uint32_t *numbers, size_t count) {
    if (is_sorted(extents, count)) {
        return;
    }
    struct numbered *sorted = make(count * sizeof *sorted);
    for (size_t i = 0; i < count; i++) {
        sorted[i] = (struct numbered){extents[i], numbers[i]};
    }
    sort(sorted, count, sizeof *sorted);
    for (size_t i = 0; i < count; i++) {
        uint64_t start = sorted[i].extent.start;
        uint64_t limit = i + 1 < count ? sorted[i + 1].extent.start - start : UINT64_MAX - start;
        extents[i] = (struct extent){start, smaller(sorted[i].extent.size, limit)};
        numbers[i] = sorted[i].number;
    }
    free(sorted);
}

static void make_buckets(struct set *set) {
    set->low = set->extents[0].start;
    set->high = set->extents[set->count - 1].start + set->extents[set->count - 1].size;
    const uint64_t length = set->high - set->low;
    while (length >> set->shift >= larger(2 * set->count, 64)) {
        set->shift++;
    }
    const size_t buckets = (size_t)(length >> set->shift) + 2;
    set->buckets = make(buckets * sizeof *set->buckets);
    size_t at = 0;
    for (size_t i = 0; i < buckets; i++) {
        const uint64_t offset = (uint64_t)i << set->shift;
        while (at < set->count && set->extents[at].start - set->low + set->extents[at].size <= offset) {
            at++;
        }
        set->buckets[i] = (uint32_t)at;
    }
}

/* `numbers` NULL: consecutive, from `first` on. */
static void add_set(struct blocks *blocks, enum block_kind kind, const struct extent *extents, const uint32_t *numbers,
                    size_t count, uint64_t first) {
    struct set *set = &blocks->sets[blocks->set_count++];
    *set = (struct set){.kind = kind, .count = count, .first = first};
    set->extents = memcpy(make(count * sizeof *extents), extents, count * sizeof *extents);
    if (numbers != NULL) {
        set->numbers = memcpy(make(count * sizeof *numbers), numbers, count * sizeof *numbers);
    }
    make_buckets(set);
    bool only = blocks->set_count == 1;
    blocks->set_low = only ? set->low : smaller(blocks->set_low, set->low);
    blocks->set_high = only ? set->high : larger(blocks->set_high, set->high);
}

/* Divides sorted extents into sets. */
static void add_sets(struct blocks *blocks, enum block_kind kind, const struct extent *extents, const uint32_t *numbers,
                     size_t count, uint64_t first) {
    const size_t last = smaller(SETS_MAX - 1, blocks->set_count + SETS_MAX / 4);
    size_t start = 0;
    for (size_t i = 1; i <= count; i++) {
        bool far = i < count && blocks->set_count < last &&
                   extents[i].start - extents[i - 1].start - extents[i - 1].size > SET_GAP;
        if (i == count || far) {
            add_set(blocks, kind, extents + start, numbers != NULL ? numbers + start : NULL, i - start,
                    numbers != NULL ? first : first + start);
            start = i;
        }
    }
}

/* The numbers of blocks follow their places; handles have the numbers of their blocks. */
static void add_found(struct growing *growing, enum block_kind kind, struct found *found) {
    struct blocks *blocks = growing->blocks;
    const uint64_t first = blocks->numbers;
    uint32_t *numbers = make(found->count * sizeof *numbers);
    blocks->numbers += found->count;
    make_room(growing);
    for (size_t i = 0; i < found->count; i++) {
        numbers[i] = (uint32_t)i;
    }
    sort_extents(found->extents, numbers, found->count);
    for (size_t i = 0; i < found->count; i++) {
        mark_live(blocks, first + i, found->extents[i].size);
    }
    if (found->count != 0) {
        add_sets(blocks, kind, found->extents, NULL, found->count, first);
    }
    if (found->handles != NULL) {
        uint32_t *ranks = make(found->count * sizeof *ranks);
        for (size_t i = 0; i < found->count; i++) {
            ranks[numbers[i]] = (uint32_t)i;
        }
        sort_extents(found->handles, ranks, found->count);
        add_sets(blocks, kind, found->handles, ranks, found->count, first);
        free(ranks);
    }
    free(numbers);
    free(found->extents);
    free(found->handles);
}

static void add_others(struct growing *growing, struct session *session) {
    struct blocks *blocks = growing->blocks;
    struct layout *hmm = layouts_of(&session->layouts, ROOT_HMM);
    struct layout *spaces = layouts_of(&session->layouts, ROOT_SPACES);
    struct found found = {0};
    uint64_t where;
    const char *trouble = hmm != NULL ? hmm_walk(&session->target, hmm, meet_hmm, &found, &where) : NULL;
    blocks->trouble = blocks->trouble != NULL ? blocks->trouble : trouble;
    add_found(growing, BLOCK_HMM, &found);
    found = (struct found){0};
    trouble = spaces != NULL ? spaces_walk(&session->target, spaces, meet_segment, &found) : NULL;
    blocks->trouble = blocks->trouble != NULL ? blocks->trouble : trouble;
    add_found(growing, BLOCK_SPACE, &found);
}

/* --- All ---------------------------------------------------------------------------------------------------------- */

void blocks_find(struct blocks *blocks, struct session *session) {
    memset(blocks, 0, sizeof *blocks);
    struct growing growing = {.blocks = blocks};
    make_room(&growing);
    if (session->has_engine) {
        add_window(&growing, &session->engine);
        place_samples(blocks, session);
        blocks->huge = blocks->row_count;
        add_huge(&growing, &session->engine);
    }
    add_others(&growing, session);
}

void blocks_free(struct blocks *blocks) {
    for (size_t i = 0; i < blocks->set_count; i++) {
        free(blocks->sets[i].extents);
        free(blocks->sets[i].numbers);
        free(blocks->sets[i].buckets);
    }
    free(blocks->rows);
    free(blocks->sampled);
    free(blocks->units);
    free(blocks->live);
}

static bool find_huge(const struct blocks *blocks, uint64_t address, struct block *block) {
    const size_t count = blocks->row_count - blocks->huge;
    const struct row *rows = count != 0 ? blocks->rows + blocks->huge : NULL;
    const size_t behind = sorted_behind(rows, count, sizeof *rows, address);
    if (behind == 0 || address - rows[behind - 1].start >= rows[behind - 1].size) {
        return false;
    }
    const struct row *row = &rows[behind - 1];
    *block = (struct block){row->first, row->start, row->size};
    return true;
}

/* A number's place in its set is its extent's, except for handles, whose block is elsewhere. */
static bool find_in_set(const struct blocks *blocks, const struct set *set, uint64_t address, struct block *block) {
    const size_t bucket = (size_t)((address - set->low) >> set->shift);
    const size_t first = set->buckets[bucket];
    const size_t count = smaller((uint64_t)set->buckets[bucket + 1] + 1, set->count) - first;
    const size_t behind = first + sorted_behind(set->extents + first, count, sizeof *set->extents, address);
    if (behind == first || address - set->extents[behind - 1].start >= set->extents[behind - 1].size) {
        return false;
    }
    const size_t place = behind - 1;
    if (set->numbers != NULL) {
        *block = blocks_by_number(blocks, set->first + set->numbers[place], NULL, NULL);
    } else {
        *block = (struct block){set->first + place, set->extents[place].start, set->extents[place].size};
    }
    return true;
}

bool blocks_elsewhere(const struct blocks *blocks, uint64_t address, struct block *block) {
    for (size_t i = 0; i < blocks->set_count; i++) {
        const struct set *set = &blocks->sets[i];
        if (address - set->low < set->high - set->low && find_in_set(blocks, set, address, block)) {
            return true;
        }
    }
    return find_huge(blocks, address, block);
}

/* The row of a number. */
static const struct row *row_of(const struct blocks *blocks, uint64_t number) {
    const struct row *rows = blocks->rows;
    const size_t behind =
        sorted_search(rows, blocks->row_count, sizeof *rows, offsetof(struct row, first), number, true);
    return behind != 0 && number - rows[behind - 1].first < rows[behind - 1].slots ? &rows[behind - 1] : NULL;
}

struct block blocks_by_number(const struct blocks *blocks, uint64_t number, enum block_kind *kind, uint64_t *born_s) {
    const struct row *row = row_of(blocks, number);
    if (row != NULL) {
        const bool is_sampled = row->kind == BLOCK_SAMPLED;
        if (kind != NULL) {
            *kind = is_sampled ? BLOCK_SMALL : (enum block_kind)row->kind;
            *born_s = is_sampled ? 0 : row->born_s;
        }
        if (is_sampled) {
            const struct extent *extent = &blocks->sampled[row->born_s + (number - row->first)];
            return (struct block){number, extent->start, extent->size};
        }
        return (struct block){number, row->start + (number - row->first) * row->size, row->size};
    }
    for (size_t i = 0; i < blocks->set_count; i++) {
        const struct set *set = &blocks->sets[i];
        if (set->numbers == NULL && number - set->first < set->count) {
            if (kind != NULL) {
                *kind = set->kind;
                *born_s = 0;
            }
            const struct extent *extent = &set->extents[number - set->first];
            return (struct block){number, extent->start, extent->size};
        }
    }
    return (struct block){.number = number};
}

uint64_t blocks_next(const struct blocks *blocks, const uint64_t *bits, uint64_t number) {
    while (number < blocks->numbers) {
        uint64_t rest = bits[number / 64] >> number % 64;
        if (rest != 0) {
            return smaller(number + (uint64_t)__builtin_ctzll(rest), blocks->numbers);
        }
        number = (number / 64 + 1) * 64;
    }
    return blocks->numbers;
}
