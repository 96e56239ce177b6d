/* calls.h - stacks with names: each distinct return address, with its functions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "samples/samples.h"
#include "support/known.h"
#include "symbols/symbols.h"
#include "walk/session.h"

/* The call instruction is before the address. */
struct call {
    uint64_t address;
    struct code_place *places; /* the innermost first */
    size_t place_count;
    bool has_module;
    struct code_module module;
    bool is_heap; /* of the heap's library, or one of its functions */
};

/* All addresses that have been looked up. */
struct calls {
    struct session *session;
    struct known known; /* struct call */
};

void calls_open(struct calls *calls, struct session *session);
void calls_close(struct calls *calls);

/* An address with its names; good until calls_close. */
const struct call *calls_find(struct calls *calls, uint64_t address);

/* A function of a stack. Those inlined into another share its call, and precede it. */
struct stack_place {
    const struct call *call;
    const struct code_place *code;
    bool inlined;
};

/* The functions of a stack without the heap's own, the innermost first; none if the stack is NULL, which means unknown.
 * The caller frees them. */
struct stack_place *calls_places(struct calls *calls, const struct call_stack *stack, size_t *count);

/* Skips the heap's own frames; the stack's depth if all are, 0 if the stack is NULL. */
unsigned calls_skip_heap(struct calls *calls, const struct call_stack *stack);

/* One function a line, indented by `indent` columns. NULL: an unknown stack. */
void calls_print(struct calls *calls, const struct call_stack *stack, unsigned indent, FILE *output);

/* "function file.c:12", without what is unknown, and with a long name cut; the caller frees it. */
char *place_text(const struct code_place *place);
