/*
 * layout.h - how a heap describes itself to a reader from outside: a debugger, or a program that reads the memory of
 * another process or a core.
 *
 * An allocated ELF note, which survives strip and static linking, holds the distance from itself to the heap's root.
 * Every root begins with a `root_head`, which leads to a table of rows: the sizes of the heap's structures, the offsets
 * and sizes of their members, and the constants that a walk needs. So a reader knows no layout of its own, and one
 * reader serves all builds of the library.
 *
 *   note "MEMS", type 1:  | distance from this word to the root, 32 bits, signed |
 *
 * Rows and roots are writable data, though nobody writes most of them: cores leave out what is only read.
 */
#ifndef MEMS_BASE_LAYOUT_H
#define MEMS_BASE_LAYOUT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define ROOT_MAGIC "MeMSroot"
/* Grows when root_head or layout_row change, or what a row of the same name means. */
#define ROOT_VERSION 7

enum root_heap { ROOT_ENGINE = 1, ROOT_SPACES, ROOT_HMM };

#define LAYOUT_NAME_MAX 40

/* "structure.member": where it lies and its bytes. "structure": 0 and its bytes. "CONSTANT": its value and 0. */
struct layout_row {
    char name[LAYOUT_NAME_MAX];
    uint32_t offset;
    uint32_t size;
};

#define LAYOUT_SIZE(structure) \
    { #structure, 0, sizeof(struct structure) }
#define LAYOUT_MEMBER(structure, member) \
    { #structure "." #member, offsetof(struct structure, member), sizeof(((struct structure *)0)->member) }
#define LAYOUT_CONSTANT(constant) \
    { #constant, (constant), 0 }

/*
 * What somebody outside wants done, with one writer, who writes `order` and `value` first and then a new number into
 * `bell`, which as a single byte is never seen half written. The heap notices on a slow path that `bell` and `answered`
 * differ (relaxed), does it, and stores the result before `answered` (release).
 */
struct root_request {
    _Atomic uint32_t order; /* 0: trim; otherwise the number of an option, from 1 on */
    _Atomic uint8_t bell;
    _Atomic uint8_t answered;
    _Atomic uint16_t error; /* 0 or an errno */
    _Atomic uint64_t value; /* of the option, as a number; of the answer: bytes that were given back */
};

/* What every root begins with. All but the request never changes. */
struct root_head {
    char magic[8];
    uint32_t version;
    uint32_t heap;    /* enum root_heap */
    uint32_t library; /* MEMS_VERSION */
    uint32_t row_size;
    const struct layout_row *rows; /* up to one without a name */
    const void *start;             /* where the walk begins: the structure that the heap's rows say */
    struct root_request request;
};

/* The first member of a root of this kind. */
#define ROOT_HEAD(kind, library_version, layout, first)                                             \
    {                                                                                               \
        .magic = ROOT_MAGIC, .version = ROOT_VERSION, .heap = (kind), .library = (library_version), \
        .row_size = sizeof(struct layout_row), .rows = (layout), .start = (first)                   \
    }

/*
 * The note that leads to `root`, a `struct structure`, in the object that defines it: by a hidden name of it, since the
 * distance to an exported one is not known before the program runs.
 */
#define ROOT_NOTE(structure, root)                                                           \
    extern struct structure root##_here __attribute__((alias(#root), visibility("hidden"))); \
    __asm__(".pushsection .note.mems,\"a\",%note\n"                                          \
            ".balign 4\n"                                                                    \
            ".long 5, 4, 1\n"                                                                \
            ".asciz \"MEMS\"\n"                                                              \
            ".balign 4\n"                                                                    \
            ".long " #root "_here - .\n"                                                     \
            ".popsection\n")

#endif
