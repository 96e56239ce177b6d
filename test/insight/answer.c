/*
 * answer.c - forged answers of the child that looks at a process for `mems serve` (verbs/stats.h): of an answer that is
 * taken, everything lies within its bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "verbs/stats.h"

#define HEAPS 5u
#define ARENAS 3u
#define TARGET "{}"
#define REST (HEAPS * sizeof(struct engine_heap) + ARENAS * sizeof(struct arena_account) + sizeof TARGET)
#define SIZE (sizeof(struct stats) + REST)

/* An answer with these counts, the rest of which is the target's. */
static struct stats *parse(size_t heaps, size_t arenas, size_t target_size, size_t size) {
    static char *text;
    free(text);
    text = malloc(size); /* alone, so that a sanitizer sees what is read beside it */
    CHECK(text != NULL);
    struct stats stats = {.heap_count = heaps, .target_size = target_size, .class_count = CLASSES_MAX};
    stats.account.arena_count = arenas;
    char whole[SIZE];
    memset(whole, 'x', sizeof whole);
    memcpy(whole, &stats, sizeof stats);
    memcpy(whole + SIZE - sizeof TARGET, TARGET, sizeof TARGET);
    memcpy(text, whole, size);
    struct stats *parsed = stats_parse(text, size);
    if (parsed != NULL) {
        const char *end = text + size;
        CHECK_AT_MOST(heaps, REST / sizeof *parsed->heaps);
        CHECK_AT_MOST(arenas, REST / sizeof *parsed->account.arenas);
        CHECK((const char *)parsed->heaps >= text && (const char *)(parsed->heaps + heaps) <= end);
        CHECK((const char *)parsed->account.arenas >= text);
        CHECK((const char *)(parsed->account.arenas + arenas) <= parsed->target);
        CHECK(parsed->target < end && parsed->target + strlen(parsed->target) < end);
        for (size_t i = 0; i < arenas; i++) {
            CHECK(strlen(parsed->account.arenas[i].name) < sizeof parsed->account.arenas[i].name);
        }
    }
    return parsed;
}

/* The part left for the target, which may be negative. */
static size_t left(size_t heaps, size_t arenas) {
    return REST - heaps * sizeof(struct engine_heap) - arenas * sizeof(struct arena_account);
}

int main(void) {
    const struct stats *right = parse(HEAPS, ARENAS, sizeof TARGET, SIZE);
    CHECK(right != NULL && strcmp(right->target, TARGET) == 0);
    for (size_t size = 0; size < SIZE; size++) {
        CHECK(parse(HEAPS, ARENAS, sizeof TARGET, size) == NULL);
    }
    /* Every pair of counts up to twice what there is room for, and such as wrap around. */
    for (size_t heaps = 0; heaps <= 2 * REST / sizeof(struct engine_heap); heaps++) {
        for (size_t arenas = 0; arenas <= 2 * REST / sizeof(struct arena_account); arenas++) {
            (void)parse(heaps, arenas, left(heaps, arenas), SIZE);
            for (unsigned bit = 56; bit < 64; bit++) {
                const size_t many = (size_t)1 << bit;
                CHECK(parse(heaps + many, arenas, left(heaps + many, arenas), SIZE) == NULL);
                CHECK(parse(heaps, arenas + many, left(heaps, arenas + many), SIZE) == NULL);
            }
        }
    }
    return 0;
}
