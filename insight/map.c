/*
 * map.c - `mems map`: the heaps as pictures, and a slab slot by slot.
 */
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "hmm.h"
#include "residency.h"
#include "session.h"
#include "spaces.h"
#include "support.h"
#include "text.h"
#include "verbs.h"

/* A picture has at most so many rows, of so many cells. */
#define ROWS_MOST 40u
#define CELLS 64u

/* Main nodes and blocks that are shown one by one. */
#define SHOWN_MOST 48u

/* --- Cells -------------------------------------------------------------------------------------------------------- */

/* A stretch of a heap, drawn as one character. */
struct cell {
    uint64_t bytes;
    uint64_t live;
    uint64_t kept; /* cached, or freed and not collected */
    uint64_t resident;
    uint64_t dirty; /* in free spans */
    bool large;     /* begins, or goes on with, a large block */
};

struct picture {
    struct cell *cells;
    size_t count;
    uint64_t base;      /* address of the first cell */
    uint64_t cell_size; /* bytes */
};

static void picture_start(struct picture *picture, uint64_t base, uint64_t size, uint64_t least) {
    picture->base = base;
    picture->cell_size = least;
    while (size / picture->cell_size > (uint64_t)ROWS_MOST * CELLS) {
        picture->cell_size *= 2;
    }
    picture->count = (size_t)((size + picture->cell_size - 1) / picture->cell_size);
    picture->cells = make_zeroed(picture->count, sizeof *picture->cells);
}

static struct cell *picture_cell(const struct picture *picture, uint64_t address) {
    uint64_t index = (address - picture->base) / picture->cell_size;
    return address >= picture->base && index < picture->count ? &picture->cells[index] : NULL;
}

/* Divides a range among the cells that it lies in; `member` is where in a cell it counts. */
static void picture_add(const struct picture *picture, uint64_t start, uint64_t end, size_t member) {
    while (start < end) {
        struct cell *cell = picture_cell(picture, start);
        uint64_t next = picture->base + ((start - picture->base) / picture->cell_size + 1) * picture->cell_size;
        uint64_t stop = smaller(end, next);
        if (cell != NULL) {
            *(uint64_t *)(void *)((char *)cell + member) += stop - start;
        }
        start = stop;
    }
}

static bool has_blocks(void) {
    static int known = -1;
    if (known < 0) {
        setlocale(LC_CTYPE, "");
        known = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    }
    return known > 0;
}

/* How full: eighths as bars, or digits where the terminal has no such characters. */
static void draw_cell(const struct cell *cell) {
    static const char *const bars[] = {"▁", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8"};
    enum colour shade = cell->resident * 8 >= cell->bytes * 7 ? COLOUR_GREEN
                        : cell->resident != 0                 ? COLOUR_YELLOW
                                                              : COLOUR_GREY;
    const char *shape = " ";
    if (cell->bytes == 0) {
        shape = " ";
    } else if (cell->live + cell->kept == 0) {
        shape = cell->dirty != 0 ? "d" : cell->resident != 0 ? "o" : ".";
    } else if (cell->large) {
        shape = cell->live != 0 ? "L" : "l";
    } else {
        unsigned eighths = (unsigned)smaller((cell->live * 8 + cell->bytes - 1) / cell->bytes, 8);
        shape = (has_blocks() ? bars : digits)[eighths];
    }
    printf("%s%s%s", colour(shade), shape, colour_off());
}

static void draw(const struct picture *picture) {
    for (size_t row = 0; row < picture->count; row += CELLS) {
        printf("%14lx ", picture->base + row * picture->cell_size);
        for (size_t i = row; i < row + CELLS && i < picture->count; i++) {
            draw_cell(&picture->cells[i]);
        }
        putchar('\n');
    }
}

static void print_legend(uint64_t cell_size) {
    printf("\n%s%s a cell. %s: how much of it is live; L, l: a large block, live or kept; d: dirty free span;\n"
           "o: free and resident; .: free, holds no memory. %s\n",
           colour(COLOUR_GREY), text_size(cell_size), has_blocks() ? "▁ to █" : "0 to 8 eighths",
           *colour(COLOUR_GREEN) != '\0' ? "Green is resident, yellow in part, grey not at all." : "");
    fputs(colour_off(), stdout);
}

/* --- The engine's window ------------------------------------------------------------------------------------------ */

/* Adds what the walk is at. */
static void add_span(const struct picture *picture, const struct engine_walk *walk, struct residency *residency) {
    const struct engine_span *span = &walk->span;
    const uint64_t end = span->start + span->units * walk->engine->unit;
    const uint64_t page_size = walk->engine->target->page_size;
    picture_add(picture, span->start, end, offsetof(struct cell, bytes));
    if (span->kind == SPAN_LARGE) {
        picture_add(picture, span->start, span->start + span->size,
                    span->live ? offsetof(struct cell, live) : offsetof(struct cell, kept));
        for (uint64_t at = span->start; at < end; at += picture->cell_size) {
            struct cell *cell = picture_cell(picture, at);
            if (cell != NULL) {
                cell->large = true;
            }
        }
    } else if (span->kind == SPAN_DIRTY || span->kind == SPAN_PURGING) {
        picture_add(picture, span->start, end, offsetof(struct cell, dirty));
    }
    for (uint64_t page = span->start; span->kind == SPAN_SLAB && page < end; page += page_size) {
        struct cell *cell = picture_cell(picture, page);
        uint64_t bytes[STATES];
        engine_page_states(walk, page - span->start, page_size, bytes);
        if (cell != NULL) {
            cell->live += bytes[STATE_LIVE];
            cell->kept += bytes[STATE_CACHED] + bytes[STATE_REMOTE];
        }
    }
    for (uint64_t page = span->start; (page = residency_next(residency, page, end)) < end; page += page_size) {
        struct cell *cell = picture_cell(picture, page);
        if (cell != NULL && page_counts(residency_of(residency, page))) {
            cell->resident += page_size;
        }
    }
}

static void map_engine(struct engine *engine) {
    struct picture picture;
    struct engine_walk walk;
    struct residency residency;
    const uint64_t end = engine->base + engine->top * engine->unit;
    picture_start(&picture, engine->base, engine->top * engine->unit, engine->unit);
    residency_start(&residency, engine->target, engine->base, end);
    engine_walk_start(&walk, engine, 0);
    while (engine_walk_next(&walk)) {
        add_span(&picture, &walk, &residency);
        progress("looking", walk.next, engine->top);
    }
    progress_end();
    engine_walk_end(&walk);
    residency_end(&residency);
    printf("the engine's window: %lu units of %s, %s in all\n\n", engine->top, text_size(engine->unit),
           text_size(engine->top * engine->unit));
    draw(&picture);
    print_legend(picture.cell_size);
    size_t count;
    struct engine_huge *blocks = engine_huge_blocks(engine, &count);
    for (size_t i = 0; i < count && i < SHOWN_MOST; i++) {
        printf("%14lx huge block, %s\n", blocks[i].start, text_size(blocks[i].last - blocks[i].start + 1));
    }
    if (count > SHOWN_MOST) {
        printf("%14s and %zu more\n", "", count - SHOWN_MOST);
    }
    free(blocks);
    free(picture.cells);
}

/* --- One slab ----------------------------------------------------------------------------------------------------- */

static const char *const kind_names[SPAN_KINDS] = {
    [SPAN_UNUSED] = "never used",       [SPAN_FRESH] = "free, fresh",
    [SPAN_UNMAPPED] = "free, unmapped", [SPAN_DIRTY] = "free, dirty",
    [SPAN_PURGING] = "free, purging",   [SPAN_LOST] = "lost",
    [SPAN_LARGE] = "large block",       [SPAN_SLAB] = "slab",
    [SPAN_TORN] = "changing",
};

static void draw_slot(enum engine_state state) {
    static const struct {
        const char *shape;
        enum colour colour;
    } shapes[STATES] = {
        [STATE_LIVE] = {"#", COLOUR_GREEN},
        [STATE_CACHED] = {"c", COLOUR_CYAN},
        [STATE_REMOTE] = {"r", COLOUR_YELLOW},
        [STATE_FREE] = {".", COLOUR_GREY},
    };
    printf("%s%s%s", colour(shapes[state].colour), shapes[state].shape, colour_off());
}

/* A row for each page: whether it is resident, and the slots that begin on it. */
static void draw_pages(const struct engine_walk *walk) {
    const struct engine_span *span = &walk->span;
    const uint64_t size = walk->engine->classes[span->size_class].size;
    const uint64_t page_size = walk->engine->target->page_size;
    const uint64_t end = span->start + span->units * walk->engine->unit;
    struct residency residency;
    residency_start(&residency, walk->engine->target, span->start, end);
    unsigned slot = 0;
    for (uint64_t page = span->start; page < end; page += page_size) {
        unsigned state = residency_of(&residency, page);
        printf("%14lx %s ", page,
               page_counts(state)            ? "resident"
               : (state & PAGE_SWAPPED) != 0 ? "swapped "
                                             : "absent  ");
        for (; slot < span->slots && span->start + slot * size < page + page_size; slot++) {
            draw_slot(engine_slot_state(walk, slot));
        }
        putchar('\n');
    }
    residency_end(&residency);
    printf("\n# live, c cached, r freed by another thread and not collected, . free; each where its slot begins\n");
}

static void zoom_engine(struct session *session, uint64_t address) {
    struct engine *engine = &session->engine;
    struct engine_walk walk;
    if (!engine_walk_to(&walk, engine, address)) {
        fail("%#lx: the heap has nothing there; `mems whatis` tells what it is", address);
    }
    const struct engine_span *span = &walk.span;
    printf("%#lx: %s of %s", span->start, kind_names[span->kind], text_size(span->units * engine->unit));
    if (span->kind == SPAN_SLAB) {
        uint64_t slots[STATES];
        engine_slab_states(&walk, slots);
        printf(", %u slots of %lu bytes: %lu live, %lu cached, %lu remote, %lu free; ", span->slots,
               engine->classes[span->size_class].size, slots[STATE_LIVE], slots[STATE_CACHED], slots[STATE_REMOTE],
               slots[STATE_FREE]);
        if (span->heap == engine->heap_abandoned) {
            printf("of no heap");
        } else {
            printf("of heap %lu", span->heap);
        }
        uint64_t now = session_now(session);
        if (now != 0 && span->born_s != 0) {
            printf("; %s old", text_age(now - span->born_s));
        }
        printf("\n\n");
        draw_pages(&walk);
    } else if (span->kind == SPAN_LARGE) {
        printf(", %s, %lu bytes\n", span->live ? "live" : "kept", span->size);
    } else {
        putchar('\n');
    }
    engine_walk_end(&walk);
}

/* --- The MeMS heap ------------------------------------------------------------------------------------------------ */

struct chain {
    unsigned space;
    unsigned shown; /* main nodes */
    uint64_t left_out;
    bool begun;
    unsigned segments; /* on the line */
};

/* As mems_print_stats has it: a line for each main node, the ends of long sub-chains. */
static bool draw_segment(const struct space_segment *segment, void *context) {
    static const char *const letters[] = {[SPACE_HOLE] = "H", [SPACE_PROCESS] = "P", [SPACE_DOOMED] = "D"};
    struct chain *chain = context;
    if (!chain->begun || chain->space != segment->space) {
        printf("%s%sspace %u%s", chain->begun ? "\n" : "", colour(COLOUR_BOLD), segment->space, colour_off());
        chain->begun = true;
        chain->space = segment->space;
        chain->shown = 0;
    }
    if (segment->begins_main) {
        if (chain->shown == SHOWN_MOST) {
            printf("\n  ...");
        }
        chain->shown++;
        chain->segments = 0;
        if (chain->shown <= SHOWN_MOST) {
            printf("\n  MAIN[%lu:%lu]%s", segment->main_start, segment->main_last,
                   segment->movable         ? " movable"
                   : segment->physical == 0 ? " without memory"
                                            : "");
        }
    }
    if (chain->shown <= SHOWN_MOST) {
        if (chain->segments == 8) {
            printf(" ...");
        } else if (chain->segments < 8) {
            printf(" %s%s[%lu:%lu]%s", colour(segment->kind == SPACE_PROCESS ? COLOUR_GREEN : COLOUR_GREY),
                   letters[segment->kind], segment->start, segment->last, colour_off());
        }
    }
    chain->segments++;
    return true;
}

static void map_spaces(struct session *session, struct layout *layout) {
    struct chain chain = {0};
    const char *broken = spaces_walk(&session->target, layout, draw_segment, &chain);
    if (chain.begun) {
        putchar('\n');
    }
    if (broken != NULL) {
        printf("the MeMS heap: %s\n", broken);
    }
}

/* --- HMM ---------------------------------------------------------------------------------------------------------- */

struct blocks {
    struct picture picture;
    uint64_t first, end; /* of all blocks */
    uint64_t counts[3];
};

static bool measure_block(const struct hmm_block *block, void *context) {
    struct blocks *blocks = context;
    blocks->first = blocks->first == 0 ? block->payload - block->header : blocks->first;
    blocks->end = block->payload + block->room;
    blocks->counts[block->state]++;
    return true;
}

static bool add_block(const struct hmm_block *block, void *context) {
    const struct blocks *blocks = context;
    uint64_t start = block->payload - block->header;
    uint64_t end = block->payload + block->room;
    picture_add(&blocks->picture, start, end, offsetof(struct cell, bytes));
    if (block->state != HMM_FREE) {
        picture_add(&blocks->picture, start, end,
                    block->state == HMM_USED ? offsetof(struct cell, live) : offsetof(struct cell, kept));
    }
    return true;
}

static void add_residency(struct target *target, const struct blocks *blocks) {
    struct residency residency;
    residency_start(&residency, target, blocks->first, blocks->end);
    for (uint64_t page = blocks->first & ~(target->page_size - 1);
         (page = residency_next(&residency, page, blocks->end)) < blocks->end; page += target->page_size) {
        struct cell *cell = picture_cell(&blocks->picture, larger(page, blocks->first));
        if (cell != NULL && page_counts(residency_of(&residency, page))) {
            cell->resident += target->page_size;
        }
    }
    residency_end(&residency);
}

static void map_hmm(struct session *session, struct layout *layout) {
    struct blocks blocks = {0};
    uint64_t where;
    const char *broken = hmm_walk(&session->target, layout, measure_block, &blocks, &where);
    if (blocks.end > blocks.first) {
        picture_start(&blocks.picture, blocks.first, blocks.end - blocks.first, session->target.page_size);
        hmm_walk(&session->target, layout, add_block, &blocks, &where);
        add_residency(&session->target, &blocks);
        printf("HMM: %lu live, %lu cached and %lu free blocks in %s\n\n", blocks.counts[HMM_USED],
               blocks.counts[HMM_CACHED], blocks.counts[HMM_FREE], text_size(blocks.end - blocks.first));
        draw(&blocks.picture);
        print_legend(blocks.picture.cell_size);
        free(blocks.picture.cells);
    } else {
        printf("HMM has no memory\n");
    }
    if (broken != NULL) {
        printf("HMM: at %#lx, %s\n", where, broken);
    }
}

/* --- JSON: one line for each span, segment and block, as they come ------------------------------------------------ */

struct lines {
    bool any;
};

static void print_line(struct lines *lines, json_t *json) {
    fputs(lines->any ? ",\n" : "\n", stdout);
    lines->any = true;
    json_dumpf(json, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(json);
}

static json_t *span_json(const struct engine_walk *walk, uint64_t resident) {
    const struct engine_span *span = &walk->span;
    const uint64_t bytes = span->units * walk->engine->unit;
    json_t *json = json_pack("{s:I, s:I, s:s, s:I}", "start", (json_int_t)span->start, "bytes", (json_int_t)bytes,
                             "kind", kind_names[span->kind], "resident", (json_int_t)resident);
    if (span->kind == SPAN_SLAB) {
        uint64_t slots[STATES];
        engine_slab_states(walk, slots);
        json_object_update_new(json,
                               json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "size",
                                         (json_int_t)walk->engine->classes[span->size_class].size, "heap",
                                         (json_int_t)span->heap, "live", (json_int_t)slots[STATE_LIVE], "cached",
                                         (json_int_t)slots[STATE_CACHED], "remote", (json_int_t)slots[STATE_REMOTE],
                                         "free", (json_int_t)slots[STATE_FREE], "born_s", (json_int_t)span->born_s));
    } else if (span->kind == SPAN_LARGE) {
        json_object_update_new(json, json_pack("{s:I, s:b}", "size", (json_int_t)span->size, "live", span->live));
    }
    return json;
}

static void spans_json(struct engine *engine) {
    struct lines lines = {0};
    struct engine_walk walk;
    struct residency residency;
    const uint64_t page_size = engine->target->page_size;
    residency_start(&residency, engine->target, engine->base, engine->base + engine->top * engine->unit);
    engine_walk_start(&walk, engine, 0);
    while (engine_walk_next(&walk)) {
        uint64_t resident = 0;
        const uint64_t end = walk.span.start + walk.span.units * engine->unit;
        for (uint64_t page = walk.span.start; (page = residency_next(&residency, page, end)) < end; page += page_size) {
            resident += page_counts(residency_of(&residency, page)) ? page_size : 0;
        }
        print_line(&lines, span_json(&walk, resident));
    }
    engine_walk_end(&walk);
    residency_end(&residency);
}

static bool segment_json(const struct space_segment *segment, void *context) {
    print_line(context,
               json_pack("{s:I, s:I, s:I, s:s, s:I, s:I, s:I}", "space", (json_int_t)segment->space, "main_start",
                         (json_int_t)segment->main_start, "main_last", (json_int_t)segment->main_last, "kind",
                         space_kind_names[segment->kind], "start", (json_int_t)segment->start, "last",
                         (json_int_t)segment->last, "physical", (json_int_t)segment->physical));
    return true;
}

static bool block_json(const struct hmm_block *block, void *context) {
    static const char *const states[] = {[HMM_USED] = "live", [HMM_CACHED] = "cached", [HMM_FREE] = "free"};
    print_line(context, json_pack("{s:I, s:I, s:s}", "start", (json_int_t)block->payload, "size",
                                  (json_int_t)block->room, "state", states[block->state]));
    return true;
}

static void map_json(struct session *session) {
    struct lines lines = {0};
    uint64_t where;
    struct layout *spaces = layouts_of(&session->layouts, ROOT_SPACES);
    struct layout *hmm = layouts_of(&session->layouts, ROOT_HMM);
    json_t *target = session_json(session);
    fputs("{\"target\": ", stdout);
    json_dumpf(target, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(target);
    fputs(",\n\"spans\": [", stdout);
    if (session->has_engine) {
        spans_json(&session->engine);
    }
    fputs("],\n\"segments\": [", stdout);
    if (spaces != NULL) {
        spaces_walk(&session->target, spaces, segment_json, &lines);
    }
    fputs("],\n\"blocks\": [", stdout);
    lines.any = false;
    if (hmm != NULL) {
        hmm_walk(&session->target, hmm, block_json, &lines, &where);
    }
    fputs("]}\n", stdout);
}

/* --- The verb ----------------------------------------------------------------------------------------------------- */

int verb_map(const struct arguments *arguments) {
    struct session session;
    uint64_t address = 0;
    if (arguments->word_count == 2 && !parse_number(arguments->words[1], &address)) {
        fail("%s: not an address: give it as 0x... or in decimal", arguments->words[1]);
    }
    session_open(&session, arguments->words[0], true);
    if (arguments->word_count == 2) {
        if (!session.has_engine) {
            fail("%s: only slabs of the engine are shown slot by slot; `mems whatis` knows the others' blocks",
                 arguments->words[1]);
        }
        zoom_engine(&session, address);
    } else if (arguments->json) {
        map_json(&session);
    } else {
        char *title = session_title(&session);
        printf("%s%s%s\n\n", colour(COLOUR_BOLD), title, colour_off());
        free(title);
        if (session.has_engine) {
            map_engine(&session.engine);
        }
        struct layout *layout = layouts_of(&session.layouts, ROOT_SPACES);
        if (layout != NULL) {
            map_spaces(&session, layout);
        }
        layout = layouts_of(&session.layouts, ROOT_HMM);
        if (layout != NULL) {
            map_hmm(&session, layout);
        }
    }
    session_close(&session);
    return EXIT_FINE;
}
