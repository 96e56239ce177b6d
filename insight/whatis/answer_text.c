#include <stdlib.h>
#include <string.h>

#include "support/support.h"
#include "support/text.h"
#include "whatis/answer.h"

/* The threads that allocated and freed the block. */
static void print_sample(struct origins *origins, const struct sample *sample) {
    origins_print(origins, "allocated", &sample->allocated, stdout);
    if (!sample->live) {
        origins_print(origins, "freed", &sample->freed, stdout);
    }
}

static void print_sampled_place(const struct answer *answer) {
    const uint64_t end = answer->start + answer->size;
    if (answer->address >= end) {
        printf("%lu bytes behind the end of", answer->address - end);
    } else if (answer->address < answer->start) {
        printf("%lu bytes before the start of", answer->start - answer->address);
    } else {
        printf("at byte %lu of", answer->address - answer->start);
    }
    printf(" a sampled block of %lu bytes that is %s%s%s, %#lx\n", answer->size, colour(COLOUR_BOLD), answer->state,
           colour_off(), answer->start);
}

static void print_place(const struct answer *answer) {
    uint64_t offset = answer->address - answer->start;
    if (offset != 0) {
        printf(", at its byte %lu", offset);
    }
}

static void print_neighbour(const char *which, const struct neighbour *neighbour) {
    if (neighbour->exists) {
        printf("  the slot %s it, %#lx, is %s\n", which, neighbour->start, slot_state_names[neighbour->state]);
    }
}

static void print_record(const struct answer *answer) {
    const struct engine_record *record = &answer->record;
    printf("  its %sblock has %lu bytes\n", record->live ? "" : "last ", record->size);
    if (record->changed != 0) {
        printf("  %soverflow%s: %lu byte%s of its canary changed, the first one %lu bytes behind its end\n",
               colour(COLOUR_BOLD), colour_off(), record->changed, record->changed == 1 ? "" : "s", record->first);
    }
}

static void print_slot(const struct answer *answer) {
    printf("in a slot of %lu bytes that is %s%s%s, %#lx", answer->size, colour(COLOUR_BOLD), answer->state,
           colour_off(), answer->start);
    print_place(answer);
    printf("\n  slot %lu of %lu of the slab %#lx, of %s", answer->slot, answer->slots, answer->slab, answer->owner);
    if (answer->age_known) {
        printf(", which is %s old", text_age(answer->slab_age));
    }
    putchar('\n');
    if (answer->kept != NULL) {
        printf("  it lies in %s\n", answer->kept);
    }
    if (answer->has_record) {
        print_record(answer);
    }
    print_neighbour("before", &answer->before);
    print_neighbour("after", &answer->after);
}

static void print_mapping(const struct answer *answer) {
    const struct mapping *mapping = answer->mapping;
    char *path = make_printable(copy_text(*mapping->path != '\0' ? mapping->path : "without a file"));
    printf("not of the heap: in the mapping %#lx-%#lx %c%c%c%c %s", mapping->start, mapping->end,
           mapping->readable ? 'r' : '-', mapping->writable ? 'w' : '-', mapping->executable ? 'x' : '-',
           mapping->shared ? 's' : 'p', path);
    free(path);
    if (*mapping->path == '/') {
        printf(", at %#lx of the file", mapping->offset + (answer->address - mapping->start));
    }
    putchar('\n');
    if (answer->symbol != NULL) {
        printf("  %s\n", answer->symbol);
    }
}

static void print_segment(const struct answer *answer) {
    printf("%s address of the MeMS heap: in the %s %lu:%lu of ", answer->by_virtual ? "virtual" : "physical",
           answer->kind, answer->v_start, answer->v_last);
    if (answer->space == 0) {
        printf("the default space");
    } else {
        printf("space %u", answer->space);
    }
    print_place(answer);
    putchar('\n');
    if (answer->physical == 0) {
        printf("  it has no memory\n");
    } else if (answer->by_virtual) {
        printf("  its bytes are at %#lx\n", answer->physical + (answer->address - answer->start));
    } else {
        printf("  its virtual address is %lu\n", answer->handle + (answer->address - answer->physical));
    }
}

void answer_print(struct origins *origins, const struct answer *answer) {
    printf("%#lx: ", answer->address);
    if (strcmp(answer->kind, "slot") == 0) {
        print_slot(answer);
    } else if (strcmp(answer->kind, "sampled block") == 0) {
        print_sampled_place(answer);
    } else if (answer->v_start != 0) {
        print_segment(answer);
    } else if (strcmp(answer->kind, "mapping") == 0) {
        print_mapping(answer);
    } else if (strcmp(answer->kind, "nothing") == 0) {
        printf("nothing is mapped there\n");
    } else if (strcmp(answer->kind, "freed handle") == 0) {
        printf("a handle of the MeMS heap whose block is freed; its place has been used again\n");
    } else if (strcmp(answer->kind, "unused") == 0) {
        printf("in the window of the heap, where nothing has been allocated yet\n");
    } else if (strcmp(answer->kind, "changing") == 0) {
        printf("in the window of the heap, and changing while it is looked at\n");
    } else if (strcmp(answer->kind, "guard") == 0) {
        printf("in a guard between the tables of the heap\n");
    } else {
        printf("in %s %s", answer->kind[0] == 'H' ? "an" : "a", answer->kind);
        if (answer->state != NULL) {
            printf(" that is %s%s%s", colour(COLOUR_BOLD), answer->state, colour_off());
        }
        printf(", %#lx, of %lu bytes", answer->start, answer->size);
        print_place(answer);
        putchar('\n');
    }
    if (answer->starts_with != NULL) {
        printf("  its first word points at %s\n", answer->starts_with);
    }
    if (answer->sample != NULL) {
        print_sample(origins, answer->sample);
    }
}
