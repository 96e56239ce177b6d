#include "frame.h"

#include <stddef.h>
#include <string.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "dwarf.h"
#include "futex.h"
#include "os.h"

#define OPERANDS 8u /* values on the stack of an expression */

bool frame_is_readable(uintptr_t page) {
    return futex_word_is_not((const void *)page, 1) || futex_word_is((const void *)page, 1);
}

/* Frames follow each other, so usually one more page becomes known. */
NOINLINE bool frame_know(struct frame_bounds *bounds, uintptr_t at) {
    if (at < bounds->low || at > bounds->high - sizeof(uintptr_t)) {
        return false;
    }
    const uintptr_t first = round_down(at, os_page_size());
    const uintptr_t end = round_up(at + sizeof(uintptr_t), os_page_size());
    if (!frame_is_readable(first) || (first + os_page_size() != end && !frame_is_readable(end - os_page_size()))) {
        return false;
    }
    bounds->known = first == bounds->known_end ? bounds->known : first;
    bounds->known_end = end;
    return true;
}

/* DW_OP_ operations used in unwind tables. The comparison occurs in PLT entries. */
enum operation {
    OP_DEREF = 0x06,
    OP_CONST1U = 0x08,
    OP_CONST8S = 0x0f,
    OP_CONSTU,
    OP_CONSTS,
    OP_DUP,
    OP_AND = 0x1a,
    OP_MINUS = 0x1c,
    OP_OR = 0x21,
    OP_PLUS,
    OP_PLUS_UCONST,
    OP_SHL,
    OP_SHR,
    OP_GE = 0x2a,
    OP_LIT0 = 0x30,
    OP_LIT31 = 0x4f,
    OP_BREG0 = 0x70
};

struct evaluation {
    const struct frame *frame;
    struct frame_bounds *bounds;
    uint64_t stack[OPERANDS];
    unsigned depth;
};

static bool push(struct evaluation *state, uint64_t value) {
    if (state->depth == OPERANDS) {
        return false;
    }
    state->stack[state->depth++] = value;
    return true;
}

static bool combine(struct evaluation *state, uint8_t operation) {
    if (state->depth < 2) {
        return false;
    }
    const uint64_t right = state->stack[--state->depth];
    uint64_t *left = &state->stack[state->depth - 1];
    switch (operation) {
    case OP_AND:
        *left &= right;
        return true;
    case OP_MINUS:
        *left -= right;
        return true;
    case OP_OR:
        *left |= right;
        return true;
    case OP_PLUS:
        *left += right;
        return true;
    case OP_SHL:
        *left = right < 64 ? *left << right : 0;
        return true;
    case OP_SHR:
        *left = right < 64 ? *left >> right : 0;
        return true;
    case OP_GE:
        *left = (int64_t)*left >= (int64_t)right;
        return true;
    default:
        return false;
    }
}

static bool operate(struct evaluation *state, const uint8_t **at) {
    const uint8_t operation = *(*at)++;
    if (operation >= OP_LIT0 && operation <= OP_LIT31) {
        return push(state, operation - (unsigned)OP_LIT0);
    }
    if (operation >= OP_BREG0 && operation < OP_BREG0 + UNWIND_REGISTERS) {
        const int64_t offset = dwarf_offset(at);
        return push(state, state->frame->registers[operation - OP_BREG0] + (uint64_t)offset);
    }
    if (operation >= OP_CONST1U && operation <= OP_CONST8S) {
        const unsigned size = 1u << (operation - OP_CONST1U) / 2;
        return push(state, (operation & 1) != 0 ? (uint64_t)dwarf_signed(at, size) : dwarf_take(at, size));
    }
    switch (operation) {
    case OP_DEREF:
        return state->depth != 0 && frame_read(state->bounds, (uintptr_t)state->stack[state->depth - 1],
                                               (uintptr_t *)&state->stack[state->depth - 1]);
    case OP_CONSTU:
        return push(state, dwarf_number(at));
    case OP_CONSTS:
        return push(state, (uint64_t)dwarf_offset(at));
    case OP_DUP:
        return state->depth != 0 && push(state, state->stack[state->depth - 1]);
    case OP_PLUS_UCONST:
        if (state->depth == 0) {
            return false;
        }
        state->stack[state->depth - 1] += dwarf_number(at);
        return true;
    default:
        return combine(state, operation);
    }
}

/* The expression begins with its length. `first` is already on its stack. */
static bool evaluate(const uint8_t *expression, const struct frame *frame, struct frame_bounds *bounds,
                     const uintptr_t *first, uintptr_t *value) {
    struct evaluation state = {.frame = frame, .bounds = bounds};
    const uint64_t length = dwarf_number(&expression);
    const uint8_t *end = expression + length;
    if (first != NULL) {
        (void)push(&state, *first);
    }
    while (expression < end) {
        if (!operate(&state, &expression)) {
            return false;
        }
    }
    *value = state.depth != 0 ? (uintptr_t)state.stack[state.depth - 1] : 0;
    return state.depth != 0;
}

/* A frame's address is the caller's stack pointer. */
static bool frame_address(const struct unwind_function *function, const struct unwind_row *row,
                          const struct frame *frame, struct frame_bounds *bounds, uintptr_t *address) {
    const uint32_t number = (uint32_t)row->values[UNWIND_FRAME];
    if (row->kinds[UNWIND_FRAME] == RULE_VALUE) {
        return evaluate(unwind_expression(function, row, UNWIND_FRAME), frame, bounds, NULL, address);
    }
    if (row->kinds[UNWIND_FRAME] != RULE_REGISTER || number >= UNWIND_REGISTERS) {
        return false;
    }
    *address = frame->registers[number] + (uintptr_t)row->frame_offset;
    return true;
}

static bool apply_expression(const uint8_t *expression, bool saved, const struct frame *frame,
                             struct frame_bounds *bounds, uintptr_t address, uintptr_t *value) {
    uintptr_t result;
    if (!evaluate(expression, frame, bounds, &address, &result)) {
        return false;
    }
    *value = result;
    return !saved || frame_read(bounds, result, value);
}

/* Sets *value, the register's in the frame, to the caller's. */
static bool apply_rule(const struct unwind_function *function, const struct unwind_row *row, unsigned number,
                       const struct frame *frame, struct frame_bounds *bounds, uintptr_t address, uintptr_t *value) {
    const unsigned rule = number - UNWIND_FIRST;
    const enum unwind_rule kind = (enum unwind_rule)row->kinds[rule];
    const int32_t of = row->values[rule];
    switch (kind) {
    case RULE_AT_OFFSET:
        return frame_read(bounds, address + (uintptr_t)of, value);
    case RULE_OFFSET:
        *value = address + (uintptr_t)of;
        return true;
    case RULE_REGISTER:
        *value = (uint32_t)of < UNWIND_REGISTERS ? frame->registers[of] : 0;
        return (uint32_t)of < UNWIND_REGISTERS;
    case RULE_AT_VALUE:
    case RULE_VALUE:
        return apply_expression(unwind_expression(function, row, rule), kind == RULE_AT_VALUE, frame, bounds, address,
                                value);
    default:
        return kind != RULE_BEYOND;
    }
}

static NOINLINE enum frame_caller apply(const struct unwind_function *function, const struct unwind_row *row,
                                        struct frame *frame, struct frame_bounds *bounds) {
    uintptr_t address;
    uintptr_t callers[UNWIND_REGISTERS];
    const unsigned returned = function->return_register - UNWIND_FIRST;
    if (returned >= UNWIND_FRAME) {
        return FRAME_UNKNOWN;
    }
    if (row->kinds[returned] == RULE_UNDEFINED) {
        return FRAME_OUTERMOST;
    }
    if (!frame_address(function, row, frame, bounds, &address)) {
        return FRAME_UNKNOWN;
    }
    memcpy(callers, frame->registers, sizeof callers);
    callers[UNWIND_STACK_POINTER] = address;
    for (unsigned number = UNWIND_FIRST; number < UNWIND_REGISTERS; number++) {
        if (!apply_rule(function, row, number, frame, bounds, address, &callers[number])) {
            return FRAME_UNKNOWN;
        }
    }
    const uintptr_t pc = frame_return_address(callers[function->return_register]);
    if (pc == 0) {
        return FRAME_OUTERMOST;
    }
    memcpy(frame->registers, callers, sizeof callers);
    frame->pc = pc;
    frame->interrupted = function->signal;
    return FRAME_FOUND;
}

#if defined(__x86_64__)

/* A cache of simple rules, which most code has: the frame is a register plus an offset, preserved registers are at
 * offsets from it, and the return address is right below it. Such rules fit in a word. An entry is that word, and the
 * word combined with the code's address, so a half-written entry matches nothing. Code loaded where other code was may
 * match stale rules: the stack is then wrong, but reads stay within the bounds.
 *
 * A set is a cache line. The first rules share one page, so a small program touches no more; later ones spread over
 * four pages, then over the whole table, which each time forgets those before. */
#define KNOWN_WAYS 4u
#define KNOWN_SHIFT 10u
#define KNOWN_SHIFT_SOME 8u
#define KNOWN_SHIFT_FEW 6u
#define KNOWN_VALID UINT64_C(1)
#define KNOWN_OUTERMOST (KNOWN_VALID | 31u << 1) /* instead of a register: there is no caller */

struct known_rules {
    _Atomic uint64_t rules; /* both relaxed: see above */
    _Atomic uint64_t check;
};

static _Alignas(OS_PAGE) struct known_rules known[1u << KNOWN_SHIFT][KNOWN_WAYS];

/* Rules entered so far. Relaxed: any value is harmless. */
static _Atomic uint32_t known_count;

static const uint8_t kept_registers[] = {3, 6, 12, 13, 14, 15};
#define KEPT (sizeof kept_registers / sizeof *kept_registers)
#define KEPT_WORDS UINT64_C(63) /* how far below the frame at most */

static bool is_kept(unsigned number) {
    return ((1u << 3 | 1u << 6 | 0xfu << 12) >> number & 1) != 0;
}

/* Bit 0: valid. 1 to 5: the frame's register. 6 to 23: its offset. Then 6 bits per preserved register: words below the
 * frame. Returns 0 if the rules are not simple. */
static uint64_t simple_rules(const struct unwind_function *function, const struct unwind_row *row) {
    const unsigned returned = function->return_register;
    const uint32_t base = (uint32_t)row->values[UNWIND_FRAME];
    if (row->kinds[returned] == RULE_UNDEFINED) {
        return KNOWN_OUTERMOST;
    }
    if (function->signal || row->kinds[UNWIND_FRAME] != RULE_REGISTER || base > 15 || row->frame_offset < 0 ||
        row->frame_offset >= 1 << 18 || row->kinds[returned] != RULE_AT_OFFSET || row->values[returned] != -8) {
        return 0;
    }
    uint64_t rules = KNOWN_VALID | base << 1 | (uint64_t)row->frame_offset << 6;
    unsigned shift = 24;
    for (unsigned number = 0; number < UNWIND_REGISTERS; number++) {
        const bool kept = is_kept(number);
        const int32_t offset = row->values[number];
        if (kept && row->kinds[number] == RULE_AT_OFFSET && offset % 8 == 0 && offset < 0 &&
            offset >= -8 * (int32_t)KEPT_WORDS) {
            rules |= (uint64_t)(-offset / 8) << shift;
        } else if (row->kinds[number] != RULE_SAME && number != returned) {
            return 0;
        }
        shift += kept ? 6 : 0;
    }
    return rules;
}

static struct known_rules *known_set(uintptr_t pc, uint32_t count) {
    const unsigned shift = count < KNOWN_WAYS << KNOWN_SHIFT_FEW    ? KNOWN_SHIFT_FEW
                           : count < KNOWN_WAYS << KNOWN_SHIFT_SOME ? KNOWN_SHIFT_SOME
                                                                    : KNOWN_SHIFT;
    return known[pc * UINT64_C(0x9e3779b97f4a7c15) >> (64 - shift)];
}

static void remember(uintptr_t pc, uint64_t rules) {
    const uint32_t count = atomic_load_explicit(&known_count, memory_order_relaxed);
    if (rules != 0) {
        struct known_rules *set = known_set(pc, count);
        unsigned way = 0;
        /* None before the first: a page that is read before it is written faults twice. */
        while (count != 0 && way < KNOWN_WAYS && atomic_load_explicit(&set[way].rules, memory_order_relaxed) != 0) {
            way++;
        }
        struct known_rules *entry = &set[way < KNOWN_WAYS ? way : count % KNOWN_WAYS];
        atomic_store_explicit(&entry->rules, rules, memory_order_relaxed);
        atomic_store_explicit(&entry->check, pc ^ rules, memory_order_relaxed);
        atomic_store_explicit(&known_count, count + 1 != 0 ? count + 1 : count, memory_order_relaxed);
    }
}

static uint64_t recall(uintptr_t pc) {
    const uint32_t count = atomic_load_explicit(&known_count, memory_order_relaxed);
    if (count == 0) {
        return 0; /* untouched: as in remember */
    }
    struct known_rules *set = known_set(pc, count);
    for (unsigned way = 0; way < KNOWN_WAYS; way++) {
        const uint64_t rules = atomic_load_explicit(&set[way].rules, memory_order_relaxed);
        const uint64_t check = atomic_load_explicit(&set[way].check, memory_order_relaxed);
        if ((check ^ rules) == pc && (rules & KNOWN_VALID) != 0) {
            return rules;
        }
    }
    return 0;
}

/* Whether all that simple rules read of a frame is known. */
static bool is_known(const struct frame_bounds *bounds, uintptr_t address) {
    return address <= bounds->known_end && address >= bounds->known + 8 * KEPT_WORDS;
}

/* If everything that is read is known: without branches, which the processor would often predict wrongly. */
static void load_kept(uint64_t rules, uintptr_t address, uintptr_t *registers) {
#pragma GCC unroll 6
    for (unsigned i = 0; i < KEPT; i++) {
        uintptr_t *value = &registers[kept_registers[i]];
        const uint64_t words = rules >> (24 + 6 * i) & KEPT_WORDS;
        memcpy(value, words != 0 ? (const void *)(address - 8 * words) : value, sizeof *value);
    }
}

static bool read_kept(uint64_t rules, uintptr_t address, uintptr_t *registers, struct frame_bounds *bounds) {
    if (LIKELY(is_known(bounds, address))) {
        load_kept(rules, address, registers);
        return true;
    }
    for (unsigned i = 0; i < KEPT; i++) {
        const uint64_t words = rules >> (24 + 6 * i) & KEPT_WORDS;
        if (words != 0 && !frame_read(bounds, address - 8 * words, &registers[kept_registers[i]])) {
            return false;
        }
    }
    return true;
}

static enum frame_caller apply_simple(uint64_t rules, struct frame *frame, struct frame_bounds *bounds) {
    if (rules == KNOWN_OUTERMOST) {
        return FRAME_OUTERMOST;
    }
    const uintptr_t address = frame->registers[rules >> 1 & 31] + (rules >> 6 & 0x3ffff);
    uintptr_t pc;
    if (!frame_read(bounds, address - 8, &pc) || !read_kept(rules, address, frame->registers, bounds)) {
        return FRAME_UNKNOWN;
    }
    if (pc == 0) {
        return FRAME_OUTERMOST;
    }
    frame->registers[UNWIND_STACK_POINTER] = address;
    frame->pc = pc;
    frame->interrupted = false;
    return FRAME_FOUND;
}

#endif

/* Not inlined: most frames need none of its memory cleared. */
static NOINLINE enum frame_caller unwind_by_tables(uintptr_t pc, struct frame *frame, struct frame_bounds *bounds) {
    struct unwind_function function = {0};
    struct unwind_row row;
    if (!unwind_tables_exist() || !unwind_find_function(pc, &function) || !unwind_find_row(&function, pc, &row)) {
        return FRAME_UNKNOWN;
    }
#if defined(__x86_64__)
    remember(pc, simple_rules(&function, &row));
#endif
    return apply(&function, &row, frame, bounds);
}

enum frame_caller frame_unwind(struct frame *frame, struct frame_bounds *bounds) {
    const uintptr_t pc = frame->interrupted ? frame->pc : frame->pc - 1;
#if defined(__x86_64__)
    const uint64_t rules = recall(pc);
    if (rules != 0) {
        return apply_simple(rules, frame, bounds);
    }
#endif
    return unwind_by_tables(pc, frame, bounds);
}
