/*
 * rules.h - leaks not to report: the lines of suppression files.
 *
 *   # a comment
 *   leak:PATTERN     a function, source file or module of the allocation's stack, of blocks that were sampled;
 *                    of all blocks, the symbol that the first word points at
 *   text:PATTERN     the text that a block begins with
 *   size:NUMBER      the bytes of a block
 *   mangled:glibc    blocks that something points at as glibc mangles pointers
 *
 * A pattern may be anywhere in the name; * stands for anything, ^ for the name's beginning, $ for its end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leaks/hint.h"
#include "samples/calls.h"

enum rule_kind { RULE_LEAK, RULE_TEXT, RULE_SIZE, RULE_MANGLED };

struct rule {
    enum rule_kind kind;
    char *pattern; /* as it was written */
    uint64_t size;
    const char *file;      /* that it comes from */
    uint64_t count, bytes; /* of the leaks that it suppressed */
};

struct rules {
    struct rule *rules;
    size_t count;
    bool by_contents;     /* some ask for more than how a block is pointed at, */
    bool by_stack;        /* and some for where it was allocated */
    struct rule *mangled; /* NULL: there is no such rule */
};

/* Ends the program, naming the file and the line, if a line makes no sense. */
void rules_read(struct rules *rules, const char *path);
void rules_free(struct rules *rules);

/* The rule, other than `mangled`, that suppresses a block, or NULL. `stack` is its allocation's; NULL: unknown. */
struct rule *rules_match(struct rules *rules, const struct block *block, const struct hint *hint, struct calls *calls,
                         const struct call_stack *stack);

/* Whether a pattern fits a name. */
bool rule_fits(const char *pattern, const char *name);
