/*
 * why.c - `mems leaks --why`: how a block is reached. A breadth-first search finds a shortest path.
 */
#include <stdlib.h>
#include <string.h>

#include "leaks/leaks.h"
#include "leaks/reach.h"
#include "support/json.h"
#include "support/support.h"
#include "support/text.h"
#include "target/registers.h"

/* The address of the word that points to a block; with the highest bit, a thread's register. 0: nowhere that
 * matters. */
#define IN_REGISTER ((uint64_t)1 << 63)

struct search {
    const struct leaks *leaks;
    const struct image_range *range;
    uint64_t *unseen;
    uint64_t *places; /* by number: the pointer that led to the block */
    uint64_t *queue;  /* numbers */
    uint64_t first, end;
    uint64_t sought; /* number */
    bool unmangles;
};

/* A word at a place leads to a block. */
static bool meet(struct search *search, uint64_t address, uint64_t place) {
    struct block block;
    if (!blocks_at(&search->leaks->blocks, address, &block) || !block_bit(search->unseen, block.number)) {
        return false;
    }
    block_clear(search->unseen, block.number);
    search->places[block.number] = place;
    search->queue[search->end++] = block.number;
    return block.number == search->sought;
}

/* False when the block has been met. */
static bool meet_words(uint64_t address, const uint64_t *words, size_t count, void *context) {
    struct search *search = context;
    for (size_t i = 0; i < count; i++) {
        const uint64_t place = address + i * sizeof *words;
        if (meet(search, reach_address(words[i]), place) ||
            (search->unmangles && meet(search, reach_unmangled(words[i], search->leaks->guard), place))) {
            return false;
        }
    }
    return true;
}

static bool meet_memory(struct search *search, uint64_t start, uint64_t end) {
    return reach_words(&search->leaks->capture.image, &search->range, start, end, meet_words, search);
}

static bool meet_registers(struct search *search) {
    const struct target *target = &search->leaks->session->target;
    for (size_t thread = 0; thread < target->thread_count; thread++) {
        for (size_t i = 0; i < target->threads[thread].register_count; i++) {
            uint64_t place = IN_REGISTER | (uint64_t)thread << 24 | i;
            if (meet(search, reach_address(target->threads[thread].registers[i]), place)) {
                return false;
            }
        }
    }
    return true;
}

/* Whether what has been queued reaches the block. */
static bool follow(struct search *search) {
    while (search->first < search->end) {
        struct block block = blocks_by_number(&search->leaks->blocks, search->queue[search->first++], NULL, NULL);
        if (!meet_memory(search, block.start, block.start + block.size)) {
            return true;
        }
    }
    return false;
}

/* The candidates are the blocks of `bits`. */
static void start(struct search *search, const struct leaks *leaks, const uint64_t *bits, uint64_t sought) {
    const struct blocks *blocks = &leaks->blocks;
    *search = (struct search){.leaks = leaks, .sought = sought};
    search->unseen = blocks_bits(blocks);
    memcpy(search->unseen, bits, (blocks->numbers / 64 + 1) * sizeof *bits);
    search->places = make_zeroed(blocks->numbers, sizeof *search->places);
    search->queue = make_zeroed(blocks->numbers, sizeof *search->queue);
}

static void end(struct search *search) {
    free(search->unseen);
    free(search->places);
    free(search->queue);
}

static bool reached_from_roots(struct search *search) {
    const struct roots *roots = &search->leaks->roots;
    for (size_t i = 0; i < roots->count; i++) {
        if (!meet_memory(search, roots->roots[i].start, roots->roots[i].end)) {
            return true;
        }
    }
    return !meet_registers(search) || follow(search);
}

/* From the leaks, which are the roots of the leaked blocks. */
static bool reached_from_leaks(struct search *search) {
    const struct leaked *leaked = &search->leaks->leaked;
    for (size_t i = 0; i < leaked->count; i++) {
        const uint64_t number = leaked->leaks[i].block.number;
        block_clear(search->unseen, number);
        search->queue[search->end++] = number;
        if (number == search->sought) {
            return true;
        }
    }
    return follow(search);
}

/* --- The path ----------------------------------------------------------------------------------------------------- */

struct step {
    struct block block;
    uint64_t place; /* of the pointer to it */
};

/* From the block back to the path's beginning; the caller frees it. */
static struct step *path_of(const struct search *search, size_t *count) {
    const struct blocks *blocks = &search->leaks->blocks;
    struct step *steps = NULL;
    *count = 0;
    for (uint64_t number = search->sought;;) {
        const uint64_t place = search->places[number];
        struct block from;
        steps = grow(steps, *count, sizeof *steps);
        steps[(*count)++] = (struct step){blocks_by_number(blocks, number, NULL, NULL), place};
        if (place == 0 || (place & IN_REGISTER) != 0 || !blocks_at(blocks, place, &from)) {
            return steps;
        }
        number = from.number;
    }
}

static const struct root *root_of(const struct leaks *leaks, uint64_t place) {
    for (size_t i = 0; i < leaks->roots.count; i++) {
        if (place - leaks->roots.roots[i].start < leaks->roots.roots[i].end - leaks->roots.roots[i].start) {
            return &leaks->roots.roots[i];
        }
    }
    return NULL;
}

/* The path's beginning in words; the caller frees them. */
static char *root_text(const struct leaks *leaks, uint64_t place) {
    const struct target *target = &leaks->session->target;
    if ((place & IN_REGISTER) != 0) {
        const struct thread *thread = &target->threads[(place & ~IN_REGISTER) >> 24];
        return make_text("%s of thread %d", register_name(place & 0xffffff), thread->id);
    }
    const struct root *root = root_of(leaks, place);
    char *symbol = session_name(leaks->session, place);
    char *text;
    if (root != NULL && root->thread != NULL && place >= root->thread->stack) {
        text = make_text("the stack of thread %d, %lu bytes above its stack pointer (%#lx)", root->thread->id,
                         place - root->thread->stack, place);
    } else if (symbol != NULL) {
        text = make_text("%s (%#lx)", symbol, place);
    } else {
        const struct mapping *mapping = root != NULL ? root->mapping : NULL;
        text = make_text("%#lx, in %s", place,
                         mapping != NULL && mapping->path[0] != '\0' ? mapping->path : "a mapping without a file");
    }
    free(symbol);
    return text;
}

static void print_path(const struct leaks *leaks, const struct step *steps, size_t count) {
    const struct step *first = &steps[count - 1];
    char *root = first->place != 0 ? root_text(leaks, first->place) : NULL;
    if (root != NULL) {
        printf("  %s\n", root);
    }
    for (size_t i = count; i-- != 0;) {
        struct hint hint = hint_of((struct hints *)(uintptr_t)&leaks->hints, &steps[i].block);
        printf("  %s%#lx, %lu bytes", i == count - 1 && root == NULL ? "" : "-> ", steps[i].block.start,
               steps[i].block.size);
        if (hint.symbol != NULL) {
            printf(", beginning with a pointer to %s", hint.symbol);
        }
        if (i != 0) {
            printf(", at its byte %lu", steps[i - 1].place - steps[i].block.start);
        }
        putchar('\n');
    }
    free(root);
}

static json_t *path_json(const struct leaks *leaks, const struct step *steps, size_t count) {
    json_t *path = json_array();
    for (size_t i = count; i-- != 0;) {
        json_t *step =
            json_pack("{s:I, s:I}", "start", (json_int_t)steps[i].block.start, "size", (json_int_t)steps[i].block.size);
        if ((steps[i].place & IN_REGISTER) == 0 && steps[i].place != 0) {
            json_object_set_new(step, "pointer_at", json_integer((json_int_t)steps[i].place));
        }
        json_array_append_new(path, step);
    }
    const uint64_t place = steps[count - 1].place;
    char *root = place != 0 ? root_text(leaks, place) : NULL;
    json_t *json = json_pack("{s:o, s:o?}", "path", path, "root", root != NULL ? json_text(root) : NULL);
    free(root);
    return json;
}

/* --- The answer --------------------------------------------------------------------------------------------------- */

/* The text about a block before its path. */
static const char *const verdicts[] = {"a root leads to it", "only a mangled pointer leads to it", "it is leaked",
                                       "it is below a leak"};

static void tell(const struct search *search, unsigned verdict, uint64_t address, bool as_json) {
    size_t count;
    struct step *steps = path_of(search, &count);
    const struct leaks *leaks = search->leaks;
    if (as_json) {
        json_t *json = path_json(leaks, steps, count);
        json_object_set_new(json, "target", session_json(leaks->session));
        json_object_set_new(json, "address", json_integer((json_int_t)address));
        json_object_set_new(json, "leaked", json_boolean(verdict >= 2));
        json_object_set_new(json, "verdict", json_string(verdicts[verdict]));
        print_json(json);
    } else {
        printf("%#lx: in a live block of %lu bytes, at its byte %lu: %s%s%s\n", address, steps[0].block.size,
               address - steps[0].block.start, colour(verdict >= 2 ? COLOUR_RED : COLOUR_GREEN), verdicts[verdict],
               colour_off());
        if (verdict != 2) {
            print_path(leaks, steps, count);
        }
    }
    free(steps);
}

int leaks_why(struct leaks *leaks, uint64_t address, bool as_json) {
    struct block block;
    struct search search;
    if (!blocks_at(&leaks->blocks, address, &block) || !block_bit(leaks->blocks.live, block.number)) {
        fail("%#lx: in no live block; `mems whatis` says what it is", address);
    }
    start(&search, leaks, leaks->blocks.live, block.number);
    bool found = reached_from_roots(&search);
    unsigned verdict = 0;
    if (!found && leaks->guard != 0 && !block_bit(leaks->unreached, block.number)) {
        end(&search);
        start(&search, leaks, leaks->blocks.live, block.number);
        search.unmangles = true;
        found = reached_from_roots(&search);
        verdict = 1;
    }
    if (!found) {
        end(&search);
        start(&search, leaks, leaks->blocks.live, block.number);
        reached_from_leaks(&search);
        verdict = search.places[block.number] == 0 ? 2 : 3;
    }
    tell(&search, verdict, address, as_json);
    end(&search);
    return verdict < 2 ? EXIT_FINE : EXIT_FOUND;
}
