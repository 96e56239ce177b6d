/* unwind_table.h - reads a module's unwind tables (.eh_frame), which exceptions use too. glibc's _dl_find_object (2.35
 * and later) finds them without a lock or an allocation. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Registers as numbered in the tables: those that a call preserves, and the return address. Rules for those before the
 * first are ignored. */
#if defined(__x86_64__)
#define UNWIND_FIRST 0u
#define UNWIND_REGISTERS 17u
#define UNWIND_STACK_POINTER 7u
#elif defined(__aarch64__)
#define UNWIND_FIRST 19u
#define UNWIND_REGISTERS 32u
#define UNWIND_STACK_POINTER 31u
#endif

enum unwind_rule {
    RULE_SAME,
    RULE_UNDEFINED,
    RULE_AT_OFFSET,
    RULE_OFFSET,
    RULE_REGISTER,
    RULE_AT_VALUE,
    RULE_VALUE,
    RULE_BEYOND /* its value does not fit */
};

/* Behind the registers: the rule for the frame's address. */
#define UNWIND_FRAME (UNWIND_REGISTERS - UNWIND_FIRST)
#define UNWIND_RULES (UNWIND_FRAME + 1)

/* Rules for the caller's values of registers: the frame's address plus an offset, or saved there; in another register;
 * the result of an expression, or saved there. The frame's address is a register plus frame_offset (RULE_REGISTER), or
 * the result of an expression (RULE_VALUE). Small, because walks run on small stacks: of an expression there is the
 * distance from the function's own rules. */
struct unwind_row {
    int32_t values[UNWIND_RULES];
    int32_t frame_offset;
    uint8_t kinds[UNWIND_RULES]; /* enum unwind_rule */
};

/* What the tables say about a function. */
struct unwind_function {
    uintptr_t start;
    uint64_t code_factor;
    int64_t data_factor;
    unsigned return_register;
    unsigned encoding; /* of code addresses */
    bool augmented;
    bool signal;           /* signal handlers return to it */
    const uint8_t *common; /* rules that it shares with other functions */
    const uint8_t *common_end;
    const uint8_t *own;
    const uint8_t *own_end;
};

bool unwind_tables_exist(void);

static inline const uint8_t *unwind_expression(const struct unwind_function *function, const struct unwind_row *row,
                                               unsigned rule) {
    return function->own + row->values[rule];
}

/* False if nothing describes the code. */
bool unwind_find_function(uintptr_t pc, struct unwind_function *function);

/* The rules at pc, inside the function. False if an instruction is unknown. */
bool unwind_find_row(const struct unwind_function *function, uintptr_t pc, struct unwind_row *row);
