#include "stack.h"

#include <link.h>
#include <sys/auxv.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "frame.h"
#include "os.h"

/* A frame has at least a return address and a frame pointer. */
#define FRAME_MIN (2 * sizeof(uintptr_t))

struct walk {
    struct os_stack *own;
    struct frame_bounds bounds; /* of the stack that the last frame lies on */
    bool on_own;                /* that is the thread's own */
    uintptr_t last;             /* the last frame's stack pointer; 0: none yet */
    uintptr_t *frames;
    unsigned count;
    unsigned most;
    bool cut;
};

/* From the page of `low` to that of the last byte. If not, keeps which page is not: the next walk asks about it first.
 */
static bool are_readable(struct os_stack *own, uintptr_t low, uintptr_t high) {
    uintptr_t page = round_down(low, os_page_size());
    if (own->hole > page && own->hole < high && !frame_is_readable(own->hole)) {
        return false;
    }
    while (page < high && frame_is_readable(page)) {
        page += os_page_size();
    }
    own->hole = page < high ? page : 0;
    return page >= high;
}

/* The first thread's thread pointer, if that thread loads the library; otherwise its stack counts as foreign. */
static uintptr_t first_thread;

__attribute__((constructor(101))) static void note_first_thread(void) {
    first_thread = (uintptr_t)__builtin_thread_pointer();
}

/* Where the thread's own stack ends: at the thread pointer or, for the first thread, at the program's name. */
static uintptr_t stack_end(void) {
    const uintptr_t thread = (uintptr_t)__builtin_thread_pointer();
    return thread == first_thread ? getauxval(AT_EXECFN) : thread;
}

/* If an address is on the thread's own stack, extends the known part down to it. What can be read now stays readable
 * while the thread runs, because a guard separates its stack from mappings below it. Far below is other memory: asking
 * about all of that would take long, and fill pages. */
static bool on_own_stack(struct os_stack *own, uintptr_t at) {
    if (at >= own->low && at < own->high) {
        return true;
    }
    const uintptr_t end = stack_end();
    const uintptr_t from = own->high == end ? own->low : end;
    if (at >= end || from - at > OS_STACK_STEP || !are_readable(own, at, from)) {
        return false;
    }
    own->low = round_down(at, os_page_size());
    own->high = end;
    return true;
}

/* Continues on the thread's own stack if the address is there. The pages below may have been closed since, as Java
 * does with its stacks. */
static bool go_to_own(struct walk *walk, uintptr_t at) {
    if (!on_own_stack(walk->own, at)) {
        return false;
    }
    const uintptr_t low = round_down(at, os_page_size());
    const uintptr_t high = walk->own->high;
    walk->on_own = true;
    walk->bounds = (struct frame_bounds){.low = low, .high = high, .known = low, .known_end = high};
    return true;
}

/* Which stack the thread is on. */
static void find_bounds(struct walk *walk, uintptr_t at) {
    const uintptr_t page = round_down(at, os_page_size());
    if (!go_to_own(walk, at)) {
        walk->bounds = (struct frame_bounds){.low = page, .high = page + OS_STACK_FOREIGN};
    }
}

/* A walk goes upwards, or back onto the thread's own stack. */
static bool may_go_to(struct walk *walk, uintptr_t at) {
    const bool within = at >= walk->bounds.low && at <= walk->bounds.high - FRAME_MIN;
    bool allowed = within && at > walk->last;
    if (walk->last == 0) {
        find_bounds(walk, at);
        allowed = true;
    } else if (!within && !walk->on_own) {
        allowed = go_to_own(walk, at);
    }
    walk->last = at;
    return allowed;
}

/* False if there is no room. */
static bool add(struct walk *walk, uintptr_t frame) {
    if (walk->count == walk->most) {
        walk->cut = true;
        return false;
    }
    walk->frames[walk->count++] = frame;
    return true;
}

/* The registers of the function that this is inlined into. */
ALWAYS_INLINE void frame_here(struct frame *frame) {
    uintptr_t *registers = frame->registers;
#if defined(__x86_64__)
    __asm__ __volatile__("movq %%rbx, 24(%1)\n\tmovq %%rbp, 48(%1)\n\tmovq %%rsp, 56(%1)\n\t"
                         "movq %%r12, 96(%1)\n\tmovq %%r13, 104(%1)\n\tmovq %%r14, 112(%1)\n\t"
                         "movq %%r15, 120(%1)\n\tleaq 0f(%%rip), %0\n0:"
                         : "=&r"(frame->pc)
                         : "r"(registers)
                         : "memory");
#else
    __asm__ __volatile__("stp x19, x20, [%1, #152]\n\tstp x21, x22, [%1, #168]\n\tstp x23, x24, [%1, #184]\n\t"
                         "stp x25, x26, [%1, #200]\n\tstp x27, x28, [%1, #216]\n\tstp x29, x30, [%1, #232]\n\t"
                         "mov %0, sp\n\tstr %0, [%1, #248]\n\tadr %0, ."
                         : "=&r"(frame->pc)
                         : "r"(registers)
                         : "memory");
#endif
    frame->interrupted = true;
}

static void by_tables(struct walk *walk) {
    struct frame frame = {0};
    frame_here(&frame);
    uintptr_t at = frame.registers[UNWIND_STACK_POINTER];
    enum frame_caller caller = FRAME_FOUND;
    for (bool first = true; caller == FRAME_FOUND; first = false) {
        if (!may_go_to(walk, at)) {
            walk->cut = true;
            return;
        }
        if (!first && !add(walk, frame.pc)) {
            return;
        }
        caller = frame_unwind(&frame, &walk->bounds);
        at = frame.registers[UNWIND_STACK_POINTER];
    }
    walk->cut = caller != FRAME_OUTERMOST;
}

/* A frame pointer points at the caller's, with the return address behind it; the outermost is 0. */
static void by_frame_pointers(struct walk *walk) {
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    while (frame != 0) {
        uintptr_t outer;
        uintptr_t returns;
        if (frame % sizeof frame != 0 || !may_go_to(walk, frame) || !frame_read(&walk->bounds, frame, &outer) ||
            !frame_read(&walk->bounds, frame + sizeof outer, &returns)) {
            walk->cut = true;
            return;
        }
        if (returns == 0 || !add(walk, frame_return_address(returns))) {
            return;
        }
        frame = outer;
    }
}

enum os_unwinder os_unwinder(void) {
    return unwind_tables_exist() ? OS_UNWINDER_TABLES : OS_UNWINDER_FRAME_POINTERS;
}

/* The linker defines this: the ELF header of the file that contains this code. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/* From the file's first code to its last. */
static void find_own_code(uintptr_t *first, uintptr_t *size) {
    const uintptr_t start = (uintptr_t)&__ehdr_start;
    const ElfW(Phdr) *segments = (const ElfW(Phdr) *)(start + __ehdr_start.e_phoff);
    *first = 0;
    for (unsigned i = 0; i < __ehdr_start.e_phnum; i++) { /* in ascending order */
        if (segments[i].p_type == PT_LOAD && (segments[i].p_flags & PF_X) != 0) {
            *first = *first != 0 ? *first : start + segments[i].p_vaddr;
            *size = start + segments[i].p_vaddr + segments[i].p_memsz - *first;
        }
    }
}

unsigned os_stack_own(const uintptr_t *frames, unsigned count) {
    uintptr_t first;
    uintptr_t size = 0;
    unsigned own = 0;
    find_own_code(&first, &size);
    if (getauxval(AT_ENTRY) - first < size) {
        return 0; /* in the program, beside its own functions */
    }
    while (own < count && frames[own] - first < size) {
        own++;
    }
    return own;
}

unsigned os_stack_walk(struct os_stack *stack, uintptr_t *frames, unsigned most, bool *cut) {
    static TLS bool at_work;
    *cut = true;
    if (at_work) {
        return 0;
    }
    at_work = true;
    struct walk walk = {.own = stack, .frames = frames, .most = most};
    if (os_unwinder() == OS_UNWINDER_TABLES) {
        by_tables(&walk);
    } else {
        by_frame_pointers(&walk);
    }
    at_work = false;
    *cut = walk.cut;
    return walk.count;
}
