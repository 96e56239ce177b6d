#include "unwind_table.h"

#include <stddef.h>
#include <string.h>

#include "base/compiler.h"
#include "dwarf.h"
#include "single_page.h"

/* The only form that linkers write. */
#define SORTED_TABLE 0x3bu /* pairs of 32-bit distances from the header */
#define COUNT_32 0x03u

#define GUESSES 8u          /* of a position in it */
#define PAIRS_AT_ONCE 2048u /* the pages of a table up to this long are mapped with one fault */

#define REMEMBERED 2u /* nested states in a function's rules */

/* glibc's, as <dlfcn.h> has it from 2.35 on. */
struct object {
    uint64_t flags;
    void *start;
    void *end;
    void *link_map;
    const uint8_t *unwind_header; /* the section .eh_frame_hdr */
    uint64_t reserved[7];
};
extern int _dl_find_object(void *address, struct object *object) __attribute__((weak));

bool unwind_tables_exist(void) {
    return _dl_find_object != NULL;
}

/* Distances of the code and of its entry from the header. */
struct pair {
    int32_t code;
    int32_t entry;
};

/* The last pair that does not begin behind this distance, or NULL. Functions lie about evenly, so the position is
 * guessed by interpolation: bisecting a large table would read pages all over it. Where guesses fail, we bisect. */
static const struct pair *find_pair(const struct pair *pairs, size_t count, int64_t distance) {
    if (count == 0 || pairs[0].code > distance) {
        return NULL;
    }
    single_page_map(&pairs[count - 1]);
    if (pairs[count - 1].code <= distance) {
        return &pairs[count - 1];
    }
    size_t low = 0;          /* begins at the code or before */
    size_t high = count - 1; /* begins behind it */
    for (unsigned guesses = GUESSES; high - low > 1;) {
        size_t middle = low + (high - low) / 2;
        if (guesses != 0) {
            const uint64_t part = (uint64_t)(distance - pairs[low].code);
            const uint64_t whole = (uint64_t)((int64_t)pairs[high].code - pairs[low].code);
            const size_t guess = low + (size_t)((high - low) * part / whole);
            middle = guess <= low ? low + 1 : guess >= high ? high - 1 : guess;
            guesses--;
        }
        single_page_map(&pairs[middle]);
        if (pairs[middle].code <= distance) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &pairs[low];
}

static const uint8_t *find_entry(const uint8_t *header, uintptr_t pc) {
    const uint8_t *at = header + 4;
    single_page_map(header);
    if (header[0] != 1 || header[2] != COUNT_32 || header[3] != SORTED_TABLE || header[1] == DWARF_POINTER_OMITTED) {
        return NULL;
    }
    (void)dwarf_pointer(&at, header[1]);
    const size_t count = (size_t)dwarf_take(&at, 4);
    if (count != 0 && count <= PAIRS_AT_ONCE) {
        single_pages_map(at, count * sizeof(struct pair));
    }
    const struct pair *pair = find_pair((const struct pair *)at, count, (int64_t)(pc - (uintptr_t)header));
    return pair != NULL ? header + pair->entry : NULL;
}

/* The entry that several functions share. */
static bool read_common(const uint8_t *at, struct unwind_function *function) {
    single_page_map(at);
    const uint64_t length = dwarf_take(&at, 4);
    function->common_end = at + length;
    at += 4;
    const uint8_t version = *at++;
    const char *augmentation = (const char *)at;
    at += strlen(augmentation) + 1;
    function->code_factor = dwarf_number(&at);
    function->data_factor = dwarf_offset(&at);
    function->return_register = (unsigned)(version == 1 ? *at++ : dwarf_number(&at));
    function->augmented = *augmentation == 'z';
    if (!function->augmented) {
        function->common = at;
        return *augmentation == '\0';
    }
    const uint64_t size = dwarf_number(&at);
    function->common = at + size;
    for (const char *letter = augmentation + 1; *letter != '\0'; letter++) {
        switch (*letter) {
        case 'R':
            function->encoding = *at++;
            break;
        case 'P': {
            const unsigned encoding = *at++;
            (void)dwarf_pointer(&at, encoding);
            break;
        }
        case 'L':
            at++;
            break;
        case 'S':
            function->signal = true;
            break;
        default: /* 'B', 'G': signed return addresses and tagged stacks */
            break;
        }
    }
    return true;
}

bool unwind_find_function(uintptr_t pc, struct unwind_function *function) {
    struct object object;
    if (_dl_find_object((void *)pc, &object) != 0 || object.unwind_header == NULL) {
        return false;
    }
    const uint8_t *at = find_entry(object.unwind_header, pc);
    if (at == NULL) {
        return false;
    }
    single_page_map(at);
    const uint64_t length = dwarf_take(&at, 4);
    function->own_end = at + length;
    single_page_map(function->own_end - 1);
    const uint8_t *place = at;
    const uint64_t distance = dwarf_take(&at, 4);
    if (length == 0 || length == UINT32_MAX || distance == 0 || !read_common(place - distance, function)) {
        return false;
    }
    function->start = dwarf_pointer(&at, function->encoding);
    const uint64_t size = dwarf_pointer(&at, function->encoding & DWARF_POINTER_FORMAT);
    if (function->augmented) {
        const uint64_t skipped = dwarf_number(&at);
        at += skipped;
    }
    function->own = at;
    return pc - function->start < size && function->return_register < UNWIND_REGISTERS;
}

/* DW_CFA_ instructions. Three have their code in the upper two bits. */
enum upper_code { CFA_ADVANCE_LOC = 1, CFA_OFFSET, CFA_RESTORE };
enum code {
    CFA_NOP,
    CFA_SET_LOC,
    CFA_ADVANCE_LOC1,
    CFA_ADVANCE_LOC2,
    CFA_ADVANCE_LOC4,
    CFA_OFFSET_EXTENDED,
    CFA_RESTORE_EXTENDED,
    CFA_UNDEFINED,
    CFA_SAME_VALUE,
    CFA_REGISTER,
    CFA_REMEMBER_STATE,
    CFA_RESTORE_STATE,
    CFA_DEF_CFA,
    CFA_DEF_CFA_REGISTER,
    CFA_DEF_CFA_OFFSET,
    CFA_DEF_CFA_EXPRESSION,
    CFA_EXPRESSION,
    CFA_OFFSET_EXTENDED_SF,
    CFA_DEF_CFA_SF,
    CFA_DEF_CFA_OFFSET_SF,
    CFA_VAL_OFFSET,
    CFA_VAL_OFFSET_SF,
    CFA_VAL_EXPRESSION,
    CFA_NEGATE_RA_STATE = 0x2d,
    CFA_GNU_ARGS_SIZE
};

struct program {
    const struct unwind_function *function;
    struct unwind_row *row;
    struct unwind_row initial;
    struct unwind_row remembered[REMEMBERED];
    unsigned depth;
    uintptr_t location;
    uintptr_t until; /* rules from here on belong to later instructions */
};

static void set_rule(struct program *program, uint64_t rule, enum unwind_rule kind, int64_t value) {
    const bool fits = value >= INT32_MIN && value <= INT32_MAX;
    program->row->kinds[rule] = (uint8_t)(fits ? kind : RULE_BEYOND);
    program->row->values[rule] = fits ? (int32_t)value : 0;
}

static void set_register(struct program *program, uint64_t number, enum unwind_rule kind, int64_t value) {
    const uint64_t rule = number - UNWIND_FIRST;
    if (rule < UNWIND_FRAME) {
        set_rule(program, rule, kind, value);
    }
}

static void restore(struct program *program, uint64_t number) {
    const uint64_t rule = number - UNWIND_FIRST;
    if (rule < UNWIND_FRAME) {
        program->row->kinds[rule] = program->initial.kinds[rule];
        program->row->values[rule] = program->initial.values[rule];
    }
}

/* The value of an expression's rule. The expression follows a length, which it begins with. */
static int64_t take_expression(const struct program *program, const uint8_t **at) {
    const int64_t distance = *at - program->function->own;
    const uint64_t length = dwarf_number(at);
    *at += length;
    return distance;
}

static void set_frame_offset(struct program *program, int64_t offset) {
    if (offset >= INT32_MIN && offset <= INT32_MAX) {
        program->row->frame_offset = (int32_t)offset;
    } else {
        set_rule(program, UNWIND_FRAME, RULE_BEYOND, 0);
    }
}

static void take_frame(struct program *program, const uint8_t **at, int64_t factor) {
    set_rule(program, UNWIND_FRAME, RULE_REGISTER, (int64_t)dwarf_number(at));
    set_frame_offset(program, factor == 1 ? (int64_t)dwarf_number(at) : dwarf_offset(at) * factor);
}

/* False if the instruction is not about a register. */
static bool apply_register_rule(struct program *program, uint8_t code, const uint8_t **at) {
    const int64_t factor = program->function->data_factor;
    const uint64_t number = dwarf_number(at);
    switch (code) {
    case CFA_OFFSET_EXTENDED:
        set_register(program, number, RULE_AT_OFFSET, (int64_t)dwarf_number(at) * factor);
        return true;
    case CFA_RESTORE_EXTENDED:
        restore(program, number);
        return true;
    case CFA_UNDEFINED:
        set_register(program, number, RULE_UNDEFINED, 0);
        return true;
    case CFA_SAME_VALUE:
        set_register(program, number, RULE_SAME, 0);
        return true;
    case CFA_REGISTER:
        set_register(program, number, RULE_REGISTER, (int64_t)dwarf_number(at));
        return true;
    case CFA_EXPRESSION:
    case CFA_VAL_EXPRESSION:
        set_register(program, number, code == CFA_EXPRESSION ? RULE_AT_VALUE : RULE_VALUE,
                     take_expression(program, at));
        return true;
    case CFA_OFFSET_EXTENDED_SF:
        set_register(program, number, RULE_AT_OFFSET, dwarf_offset(at) * factor);
        return true;
    case CFA_VAL_OFFSET:
        set_register(program, number, RULE_OFFSET, (int64_t)dwarf_number(at) * factor);
        return true;
    case CFA_VAL_OFFSET_SF:
        set_register(program, number, RULE_OFFSET, dwarf_offset(at) * factor);
        return true;
    default:
        return false;
    }
}

/* False if it is not about the frame's address. */
static bool apply_frame_rule(struct program *program, uint8_t code, const uint8_t **at) {
    const int64_t factor = program->function->data_factor;
    switch (code) {
    case CFA_DEF_CFA:
        take_frame(program, at, 1);
        return true;
    case CFA_DEF_CFA_SF:
        take_frame(program, at, factor);
        return true;
    case CFA_DEF_CFA_REGISTER:
        set_rule(program, UNWIND_FRAME, RULE_REGISTER, (int64_t)dwarf_number(at));
        return true;
    case CFA_DEF_CFA_OFFSET:
        set_frame_offset(program, (int64_t)dwarf_number(at));
        return true;
    case CFA_DEF_CFA_OFFSET_SF:
        set_frame_offset(program, dwarf_offset(at) * factor);
        return true;
    case CFA_DEF_CFA_EXPRESSION:
        set_rule(program, UNWIND_FRAME, RULE_VALUE, take_expression(program, at));
        return true;
    default:
        return false;
    }
}

/* Instructions with a whole byte as opcode. */
static bool apply_other(struct program *program, uint8_t code, const uint8_t **at) {
    const struct unwind_function *function = program->function;
    switch (code) {
    case CFA_NOP:
    case CFA_NEGATE_RA_STATE:
        return true;
    case CFA_SET_LOC:
        program->location = dwarf_pointer(at, function->encoding);
        return true;
    case CFA_ADVANCE_LOC1:
    case CFA_ADVANCE_LOC2:
    case CFA_ADVANCE_LOC4:
        program->location += dwarf_take(at, 1u << (code - CFA_ADVANCE_LOC1)) * function->code_factor;
        return true;
    case CFA_REMEMBER_STATE:
        if (program->depth == REMEMBERED) {
            return false;
        }
        program->remembered[program->depth++] = *program->row;
        return true;
    case CFA_RESTORE_STATE:
        if (program->depth == 0) {
            return false;
        }
        *program->row = program->remembered[--program->depth];
        return true;
    case CFA_GNU_ARGS_SIZE:
        (void)dwarf_number(at);
        return true;
    default:
        return apply_frame_rule(program, code, at) || apply_register_rule(program, code, at);
    }
}

/* Runs the instructions for code before `until`. False if one is unknown. */
static bool run(struct program *program, const uint8_t *at, const uint8_t *end) {
    while (at < end && program->location <= program->until) {
        const uint8_t code = *at++;
        const uint64_t number = code & 0x3fu;
        switch (code >> 6) {
        case CFA_ADVANCE_LOC:
            program->location += number * program->function->code_factor;
            break;
        case CFA_OFFSET:
            set_register(program, number, RULE_AT_OFFSET, (int64_t)dwarf_number(&at) * program->function->data_factor);
            break;
        case CFA_RESTORE:
            restore(program, number);
            break;
        default:
            if (!apply_other(program, code, &at)) {
                return false;
            }
        }
    }
    return true;
}

/* Not inlined: the program's rows must be off the stack when the caller applies one. */
NOINLINE bool unwind_find_row(const struct unwind_function *function, uintptr_t pc, struct unwind_row *row) {
    struct program program = {.function = function, .row = row, .location = function->start, .until = UINTPTR_MAX};
    *row = (struct unwind_row){0};
    if (!run(&program, function->common, function->common_end)) {
        return false;
    }
    program.initial = *row;
    program.location = function->start;
    program.until = pc;
    return run(&program, function->own, function->own_end);
}
