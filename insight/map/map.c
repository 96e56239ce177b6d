/* map.c - `mems map`: heaps as pictures, and a slab slot by slot. */
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "map/map_json.h"
#include "pages/page.h"
#include "support/support.h"
#include "support/text.h"
#include "target/residency.h"
#include "verbs.h"
#include "walk/engine_huge.h"
#include "walk/engine_slots.h"
#include "walk/hmm.h"
#include "walk/session.h"
#include "walk/spaces.h"

/* Rows of a picture, and cells of a row without a terminal's width. */
#define ROWS_MOST 40u
#define CELLS 64u

/* A row begins with an address of this width. */
#define PLACE_COLUMNS 15u

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
    bool large;     /* begins, or goes on with, a large block, */
    bool huge;      /* or a huge one, */
    bool samples;   /* or pages of sampled blocks */
};

struct picture {
    struct cell *cells;
    size_t count;
    uint64_t base;      /* address of the first cell */
    uint64_t cell_size; /* bytes */
    unsigned row_cells; /* a power of two */
};

/* As many as fit in a line, rounded so that rows begin at round addresses. */
static unsigned cells_that_fit(void) {
    const unsigned columns = text_columns(CELLS + PLACE_COLUMNS + 1);
    unsigned cells = 16;
    while (cells < 256 && PLACE_COLUMNS + 2 * cells < columns) {
        cells *= 2;
    }
    return cells;
}

static void picture_start(struct picture *picture, uint64_t base, uint64_t size, uint64_t least) {
    picture->base = base;
    picture->cell_size = least;
    picture->row_cells = cells_that_fit();
    while (size / picture->cell_size > (uint64_t)ROWS_MOST * picture->row_cells) {
        picture->cell_size *= 2;
    }
    picture->count = (size_t)((size + picture->cell_size - 1) / picture->cell_size);
    picture->cells = make_zeroed(picture->count, sizeof *picture->cells);
}

static struct cell *picture_cell(const struct picture *picture, uint64_t address) {
    uint64_t index = (address - picture->base) / picture->cell_size;
    return address >= picture->base && index < picture->count ? &picture->cells[index] : NULL;
}

/* Divides a range among the cells that it overlaps; `member` is their counter. */
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

/* Eighths as bars, or digits if the terminal has no such characters. */
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
        shape = cell->dirty != 0 ? "d" : cell->resident == 0 ? "." : cell->samples ? "s" : "o";
    } else if (cell->huge) {
        shape = "H";
    } else if (cell->large) {
        shape = cell->live != 0 ? "L" : "l";
    } else {
        unsigned eighths = (unsigned)smaller((cell->live * 8 + cell->bytes - 1) / cell->bytes, 8);
        shape = (has_blocks() ? bars : digits)[eighths];
    }
    printf("%s%s%s", colour(shade), shape, colour_off());
}

static void draw(const struct picture *picture) {
    for (size_t row = 0; row < picture->count; row += picture->row_cells) {
        printf("%14lx ", picture->base + row * picture->cell_size);
        for (size_t i = row; i < row + picture->row_cells && i < picture->count; i++) {
            draw_cell(&picture->cells[i]);
        }
        putchar('\n');
    }
}

static void print_legend(uint64_t cell_size) {
    printf("\n%s%s a cell. %s: how much of it is live; L, l: a large block, live or kept; H: a huge one;\n"
           "s: sampled blocks; d: dirty free span; o: free and resident; .: holds no memory. %s\n",
           colour(COLOUR_GREY), text_size(cell_size), has_blocks() ? "▁ to █" : "0 to 8 eighths",
           *colour(COLOUR_GREEN) != '\0' ? "Green is resident, yellow in part, grey not at all." : "");
    fputs(colour_off(), stdout);
}

/* --- The engine's window ------------------------------------------------------------------------------------------ */

static void add_resident(const struct picture *picture, uint64_t start, uint64_t end, struct residency *residency) {
    const uint64_t page_size = residency->target->page_size;
    for (uint64_t page = start; (page = residency_next(residency, page, end)) < end; page += page_size) {
        struct cell *cell = picture_cell(picture, page);
        if (cell != NULL && page_counts(residency_of(residency, page))) {
            cell->resident += page_size;
        }
    }
}

/* Marks the cells of a range; `member` is their flag. */
static void picture_mark(const struct picture *picture, uint64_t start, uint64_t end, size_t member) {
    for (uint64_t at = start; at < end; at += picture->cell_size) {
        struct cell *cell = picture_cell(picture, at);
        if (cell != NULL) {
            *(bool *)((char *)cell + member) = true;
        }
    }
}

/* Adds the walk's current span. */
static void add_span(const struct picture *picture, const struct engine_walk *walk, struct residency *residency) {
    const struct engine_span *span = &walk->span;
    const uint64_t end = span->start + span->units * walk->engine->unit;
    const uint64_t page_size = walk->engine->target->page_size;
    picture_add(picture, span->start, end, offsetof(struct cell, bytes));
    if (span->kind == SPAN_LARGE) {
        picture_add(picture, span->start, span->start + span->size,
                    span->live ? offsetof(struct cell, live) : offsetof(struct cell, kept));
        picture_mark(picture, span->start, end, offsetof(struct cell, large));
    } else if (span->kind == SPAN_SAMPLES) {
        picture_mark(picture, span->start, end, offsetof(struct cell, samples));
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
    if (engine_span_mapped(span)) {
        add_resident(picture, span->start, end, residency);
    }
}

/* It may lie where the window has unmapped its units. */
static void add_huge(const struct picture *picture, struct engine *engine, const struct engine_huge *block) {
    struct residency residency;
    const uint64_t start = larger(block->start, picture->base);
    const uint64_t end = smaller(block->last + 1, picture->base + engine->top * engine->unit);
    if (start >= end) {
        return;
    }
    picture_add(picture, start, end, offsetof(struct cell, live));
    picture_mark(picture, start, end, offsetof(struct cell, huge));
    residency_start(&residency, engine->target, start, end);
    add_resident(picture, start, end, &residency);
    residency_end(&residency);
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
    size_t count;
    struct engine_huge *blocks = engine_huge_blocks(engine, &count);
    for (size_t i = 0; i < count; i++) {
        add_huge(&picture, engine, &blocks[i]);
    }
    printf("the engine's window: %lu units of %s, %s in all\n\n", engine->top, text_size(engine->unit),
           text_size(engine->top * engine->unit));
    draw(&picture);
    print_legend(picture.cell_size);
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

/* Per page: whether it is resident, and the slots that begin on it. */
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
        fail("%#lx: the heap has nothing there; `mems whatis` says what it is", address);
    }
    const struct engine_span *span = &walk.span;
    printf("%#lx: %s of %s", span->start, engine_kind_names[span->kind], text_size(span->units * engine->unit));
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

/* As mems_print_stats: a line for each main node; only the ends of long sub-chains. */
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

static void map_hmm_heap(struct session *session, struct layout *layout, uint64_t heap, bool own) {
    struct blocks blocks = {0};
    uint64_t where;
    const char *broken = hmm_walk_heap(&session->target, layout, heap, measure_block, &blocks, &where);
    if (blocks.end > blocks.first) {
        picture_start(&blocks.picture, blocks.first, blocks.end - blocks.first, session->target.page_size);
        hmm_walk_heap(&session->target, layout, heap, add_block, &blocks, &where);
        add_residency(&session->target, &blocks);
        printf("HMM%s: %lu live, %lu cached and %lu free blocks in %s\n\n", own ? "" : ", a heap of the program's",
               blocks.counts[HMM_USED], blocks.counts[HMM_CACHED], blocks.counts[HMM_FREE],
               text_size(blocks.end - blocks.first));
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

static void map_hmm(struct session *session, struct layout *layout) {
    uint64_t heaps[HMM_HEAPS_MAX];
    const size_t count = hmm_heaps(&session->target, layout, heaps);
    for (size_t i = 0; i < count; i++) {
        map_hmm_heap(session, layout, heaps[i], i == 0);
    }
}

/* --- The verb ----------------------------------------------------------------------------------------------------- */

/* A slab, or whatever is at an address. */
static void show_place(struct session *session, uint64_t address, bool json) {
    if (!session->has_engine) {
        fail("%#lx: only the engine's slabs are shown slot by slot; `mems whatis` finds blocks of the others", address);
    }
    if (!json) {
        zoom_engine(session, address);
    } else if (!map_json_place(session, address, stdout)) {
        fail("%#lx: the heap has nothing there; `mems whatis` says what it is", address);
    }
}

static void show_text(struct session *session) {
    char *title = session_title(session);
    printf("%s%s%s\n\n", colour(COLOUR_BOLD), title, colour_off());
    free(title);
    if (session->has_engine) {
        map_engine(&session->engine);
    }
    struct layout *layout = layouts_of(&session->layouts, ROOT_SPACES);
    if (layout != NULL) {
        map_spaces(session, layout);
    }
    layout = layouts_of(&session->layouts, ROOT_HMM);
    if (layout != NULL) {
        map_hmm(session, layout);
    }
}

static void write_map(FILE *to, void *context) {
    map_json(context, to, MAP_WHOLE);
}

int verb_map(const struct arguments *arguments) {
    struct session session;
    uint64_t address = 0;
    if (arguments->word_count == 2 && !parse_number(arguments->words[1], &address)) {
        fail("%s: not an address: give it as 0x... or in decimal", arguments->words[1]);
    }
    if (arguments->word_count == 2 && arguments->html != NULL) {
        fail("--html shows the whole heap: leave the address out");
    }
    session_open(&session, arguments->words[0], true);
    if (arguments->word_count == 2) {
        show_place(&session, address, arguments->json);
    } else if (arguments->html != NULL) {
        page_save(arguments->html, "map.html", write_map, &session);
    } else if (arguments->json) {
        map_json(&session, stdout, MAP_SPANS);
    } else {
        show_text(&session);
    }
    session_close(&session);
    return EXIT_FINE;
}
