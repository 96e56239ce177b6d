/*
 * layout.h - how a heap describes itself to debuggers and to programs that read a process or a core.
 *
 * An allocated ELF note, which survives strip and static linking, holds the distance to the heap's root. A root begins
 * with a `root_head`, which leads to a table of rows: sizes of structures, offsets and sizes of members, and constants.
 * So a reader works with every build.
 *
 *   note "MEMS", type 1:  | distance from this word to the root, 32 bits, signed |
 *
 * Rows and roots are writable data, because cores leave out read-only data.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define ROOT_MAGIC "MeMSroot"
/* Constant within a major version. Structures may change, because rows describe them. Rows may be added or removed; a
 * row whose meaning changes is renamed; root_head grows only at its end. */
#define ROOT_VERSION 8

enum root_heap { ROOT_ENGINE = 1, ROOT_SPACES, ROOT_HMM };

/*
 * A row is "structure" with 0 and its size; ".member", of the last structure before it, with its offset and size; or
 * "CONSTANT" with its value and 0. Rows are packed, because there are hundreds and only readers use them:
 *
 *   | offset, 32 bits | size, 32 bits | name, '\0', up to a multiple of 4 bytes |
 *
 * A heap lists its rows in a macro ROWS(STRUCTURE, CONSTANT), as STRUCTURE(name, member, ...) and CONSTANT(name);
 * LAYOUT_DEFINE makes the object.
 */
#define LAYOUT_ROW(name)         \
    struct {                     \
        uint32_t offset, size;   \
        char text[sizeof(name)]; \
    } LAYOUT_UNIQUE(__COUNTER__);
#define LAYOUT_UNIQUE(number) LAYOUT_JOIN(number)
#define LAYOUT_JOIN(number) row_##number

/* row(structure, member) for each of up to 64 members. No macro calls itself; each scan expands it anew. */
#define LAYOUT_EACH(row, structure, ...) LAYOUT_SCAN(LAYOUT_FIRST(row, structure, __VA_ARGS__))
#define LAYOUT_FIRST(row, structure, member, ...) \
    row(structure, member) __VA_OPT__(LAYOUT_AGAIN LAYOUT_CALL(row, structure, __VA_ARGS__))
#define LAYOUT_AGAIN() LAYOUT_FIRST
#define LAYOUT_CALL ()
#define LAYOUT_SCAN(...) LAYOUT_SCAN_16(LAYOUT_SCAN_16(LAYOUT_SCAN_16(LAYOUT_SCAN_16(__VA_ARGS__))))
#define LAYOUT_SCAN_16(...) LAYOUT_SCAN_4(LAYOUT_SCAN_4(LAYOUT_SCAN_4(LAYOUT_SCAN_4(__VA_ARGS__))))
#define LAYOUT_SCAN_4(...) LAYOUT_SCAN_1(LAYOUT_SCAN_1(LAYOUT_SCAN_1(LAYOUT_SCAN_1(__VA_ARGS__))))
#define LAYOUT_SCAN_1(...) __VA_ARGS__

#define LAYOUT_STRUCTURE_ROWS(structure, ...) \
    LAYOUT_ROW(#structure) LAYOUT_EACH(LAYOUT_MEMBER_ROW, structure, __VA_ARGS__)
#define LAYOUT_MEMBER_ROW(structure, member) LAYOUT_ROW("." #member)
#define LAYOUT_CONSTANT_ROW(constant) LAYOUT_ROW(#constant)

#define LAYOUT_STRUCTURE(structure, ...) \
    {0, sizeof(struct structure), #structure}, LAYOUT_EACH(LAYOUT_MEMBER, structure, __VA_ARGS__)
#define LAYOUT_MEMBER(structure, member) \
    {offsetof(struct structure, member), sizeof(((struct structure *)0)->member), "." #member},
#define LAYOUT_CONSTANT(constant) {(constant), 0, #constant},

#define LAYOUT_DEFINE(object, ROWS)                      \
    struct object {                                      \
        ROWS(LAYOUT_STRUCTURE_ROWS, LAYOUT_CONSTANT_ROW) \
        LAYOUT_ROW("")                                   \
    };                                                   \
    struct object object = {ROWS(LAYOUT_STRUCTURE, LAYOUT_CONSTANT){0, 0, ""}}

/* Of "structure.member", with the final '\0'. */
#define LAYOUT_NAME_MAX 40

/* A request from another process. One writer at a time stores `order` and `value`, then a new number in `bell`, one
 * byte, which cannot be seen half written. On a slow path the heap sees that `bell` differs from `answered` (relaxed),
 * carries out the order, and stores the result before `answered` (release). */
struct root_request {
    _Atomic uint32_t order; /* 0: trim; otherwise the number of an option, counted from 1 */
    _Atomic uint8_t bell;
    _Atomic uint8_t answered;
    _Atomic uint16_t error; /* 0 or an errno */
    _Atomic uint64_t value; /* in: the option's value; out: bytes given back */
};

/* Of the file that contains the library, which may be a static program; known only to the linker. Copied at the start;
 * until then, or if there is none, `size` is 0. */
#define BUILD_ID_BYTES 31
struct build_id {
    uint8_t bytes[BUILD_ID_BYTES];
    uint8_t size;
};

/* The beginning of every root. Constant after the start, except for the request. */
struct root_head {
    char magic[8];
    uint16_t version;
    uint16_t size;     /* of a root_head */
    uint32_t heap;     /* enum root_heap */
    uint32_t library;  /* MEMS_VERSION */
    const void *rows;  /* end with a row without a name */
    const void *start; /* where the walk begins; the rows name its structure */
    struct root_request request;
    struct build_id build_id;
};

/* The first member of a root of this kind. */
#define ROOT_HEAD(kind, library_version, layout, first)                                                 \
    {                                                                                                   \
        .magic = ROOT_MAGIC, .version = ROOT_VERSION, .size = sizeof(struct root_head), .heap = (kind), \
        .library = (library_version), .rows = (layout), .start = (first)                                \
    }

/* The note that leads to `root`, a `struct structure`, in the object that defines it. It needs a hidden name: the
 * distance to an exported one is unknown at link time. */
#define ROOT_NOTE(structure, root)                                                           \
    extern struct structure root##_here __attribute__((alias(#root), visibility("hidden"))); \
    __asm__(".pushsection .note.mems,\"a\",%note\n"                                          \
            ".balign 4\n"                                                                    \
            ".long 5, 4, 1\n"                                                                \
            ".asciz \"MEMS\"\n"                                                              \
            ".balign 4\n"                                                                    \
            ".long " #root "_here - .\n"                                                     \
            ".popsection\n")
