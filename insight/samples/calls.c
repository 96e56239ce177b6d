#include "samples/calls.h"

#include <stdlib.h>
#include <string.h>

#include "support/support.h"

/* Searched for the heap's public function, if the heap is linked into the program. */
#define OWN_FRAMES 10u

/* In text; names of templates can have thousands. */
#define NAME_MOST 90u

void calls_open(struct calls *calls, struct session *session) {
    *calls = (struct calls){.session = session};
}

static void drop(void *value) {
    struct call *call = value;
    for (size_t i = 0; i < call->place_count; i++) {
        free(call->places[i].function);
        free(call->places[i].file);
    }
    free(call->places);
    free(call);
}

void calls_close(struct calls *calls) {
    known_free(&calls->known, drop);
}

/* The functions with which a program allocates memory. */
static bool is_allocation(const char *name) {
    static const char *const names[] = {"malloc",   "calloc",         "realloc",       "reallocarray",
                                        "memalign", "posix_memalign", "aligned_alloc", "valloc",
                                        "pvalloc",  "free",           "cfree",         "free_sized"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return strncmp(name, "operator new", 12) == 0 || strncmp(name, "operator delete", 15) == 0 ||
           strncmp(name, "_Znw", 4) == 0 || strncmp(name, "_Zna", 4) == 0 || strncmp(name, "_Zdl", 4) == 0 ||
           strncmp(name, "_Zda", 4) == 0;
}

/* The heap is part of the program's file: its functions are recognized only by name. */
static bool is_static(const struct calls *calls) {
    const char *name = strrchr(calls->session->engine.layout->module, '/');
    return name == NULL || strstr(name, ".so") == NULL;
}

/* In a static program the engine is in the program's file. */
static bool in_library(const struct calls *calls, const struct call *call) {
    const struct layout *layout = calls->session->engine.layout;
    const bool same = layout->build_id[0] != '\0' && call->module.build_id[0] != '\0'
                          ? strcmp(call->module.build_id, layout->build_id) == 0
                          : call->module.path != NULL && strcmp(call->module.path, layout->module) == 0;
    return call->has_module && same && !is_static(calls);
}

const struct call *calls_find(struct calls *calls, uint64_t address) {
    bool is_new;
    void **known = known_find(&calls->known, address, &is_new);
    if (!is_new) {
        return *known;
    }
    struct symbols *symbols = session_symbols(calls->session);
    struct call *call = make_zeroed(1, sizeof *call);
    call->address = address;
    call->places = symbols_places(symbols, address - 1, &call->place_count);
    call->has_module = symbols_module(symbols, address - 1, &call->module);
    call->is_heap = in_library(calls, call) || is_allocation(call->places[call->place_count - 1].function);
    *known = call;
    return call;
}

unsigned calls_skip_heap(struct calls *calls, const struct call_stack *stack) {
    unsigned first = 0;
    if (stack == NULL) {
        return 0;
    }
    while (is_static(calls) && first < stack->depth && first < OWN_FRAMES &&
           !calls_find(calls, stack->frames[first])->is_heap) {
        first++;
    }
    if (first == stack->depth || first == OWN_FRAMES) {
        return 0;
    }
    while (first < stack->depth && calls_find(calls, stack->frames[first])->is_heap) {
        first++;
    }
    return first;
}

struct stack_place *calls_places(struct calls *calls, const struct call_stack *stack, size_t *count) {
    struct stack_place *places = NULL;
    *count = 0;
    for (unsigned i = calls_skip_heap(calls, stack); stack != NULL && i < stack->depth; i++) {
        const struct call *call = calls_find(calls, stack->frames[i]);
        for (size_t at = 0; at < call->place_count; at++) {
            places = grow(places, *count, sizeof *places);
            places[(*count)++] = (struct stack_place){call, &call->places[at], at + 1 < call->place_count};
        }
    }
    return places;
}

char *place_text(const struct code_place *place) {
    const char *cut = strlen(place->function) > NAME_MOST ? "..." : "";
    if (place->file == NULL) {
        return make_text("%.*s%s", (int)NAME_MOST, place->function, cut);
    }
    const char *slash = strrchr(place->file, '/');
    return make_text("%.*s%s %s:%d", (int)NAME_MOST, place->function, cut, slash != NULL ? slash + 1 : place->file,
                     place->line);
}

void calls_print(struct calls *calls, const struct call_stack *stack, unsigned indent, FILE *output) {
    if (stack == NULL || stack->depth == 0) {
        fprintf(output, "%*sno stack is known\n", (int)indent, "");
        return;
    }
    size_t count;
    struct stack_place *places = calls_places(calls, stack, &count);
    for (size_t i = 0; i < count; i++) {
        char *text = place_text(places[i].code);
        fprintf(output, "%*s%s%s\n", (int)indent, "", text, places[i].inlined ? " (inlined)" : "");
        free(text);
    }
    free(places);
    if (stack->cut) {
        fprintf(output, "%*s... (the stack was cut short)\n", (int)indent, "");
    }
}
