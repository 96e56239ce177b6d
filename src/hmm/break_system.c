/*
 * break_system.c - the program breaks that need an operating system: the process's own, and one in reserved memory.
 */
#include <errno.h>
#include <sys/resource.h>

#include "base/bits.h"
#include "os/os.h"
#include "program_break.h"

static bool move_real(struct program_break *brk, intptr_t by, void **was) {
    (void)brk;
    return os_move_break(by, was) == 0;
}

static bool purge(struct program_break *brk, void *start, size_t size) {
    (void)brk;
    return os_purge(start, size) == 0;
}

/* Where the address space is limited, others need it too: then by and by. */
#define RESERVED_MAX ((size_t)64 << 30)
#define RESERVED_MIN ((size_t)1 << 20)
#define RESERVED_SHARE 4 /* one part in so many of what the heap has */

/* Whether what can be written is limited, as by `ulimit -d`: the break and every region count alike. */
static bool data_limited(void) {
    struct rlimit limit;
    return os_process_limit(0, RLIMIT_DATA, NULL, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

bool hmm_break_more(struct program_break *brk, size_t least, size_t held) {
    size_t size = RESERVED_MAX;
    /* A further region has no more to give then; and the break that it succeeds could not go down any more. */
    if (held != 0 && data_limited()) {
        return false;
    }
    least = least > RESERVED_MIN ? least : RESERVED_MIN;
    if (os_address_limit() != SIZE_MAX) {
        size = held / RESERVED_SHARE > least ? held / RESERVED_SHARE : least;
    }
    for (; size >= least; size /= 2) {
        if (hmm_break_reserved(brk, size) == 0) {
            brk->more = hmm_break_more;
            return true;
        }
    }
    return false;
}

bool hmm_break_real(struct program_break *brk) {
    *brk = (struct program_break){.move = move_real,
                                  .more = hmm_break_more,
                                  .purge = purge,
                                  .grain = os_page_size(),
                                  .zero = true,
                                  .shared = true};
    void *was;
    /* A move by nothing tells too little: where the C library keeps the break for itself, it succeeds. */
    if (!move_real(brk, (intptr_t)brk->grain, &was)) {
        return false;
    }
    return move_real(brk, -(intptr_t)brk->grain, &was);
}

/* Memory is made accessible, and given back, in steps of at least this: fewer system calls. */
#define COMMIT_STEP ((size_t)1 << 20)

static bool move_reserved(struct program_break *brk, intptr_t by, void **was) {
    if (by > brk->end - brk->now || by < brk->start - brk->now) {
        return false;
    }
    char *now = brk->now + by;
    if (now > brk->committed) {
        size_t left = (size_t)(brk->end - brk->committed);
        size_t more = round_up((size_t)(now - brk->committed), COMMIT_STEP);
        more = more < left ? more : left;
        os_dump(brk->committed, more + COMMIT_STEP < left ? more + COMMIT_STEP : left);
        if (os_commit(brk->committed, more) != 0) {
            return false;
        }
        brk->committed += more;
    }
    if (by < 0) {
        char *unused = brk->start + round_up((size_t)(now - brk->start), brk->grain);
        /* Refused, or without effect: the memory stays, and does no harm. */
        brk->zero = os_purge(unused, (size_t)(brk->committed - unused)) == 0 && os_purge_zeroes();
    }
    *was = brk->now;
    brk->now = now;
    return true;
}

int hmm_break_reserved(struct program_break *brk, size_t size) {
    size_t grain = os_page_size();
    if (size == 0 || size > (size_t)PTRDIFF_MAX - grain) {
        return ENOMEM;
    }
    size = round_up(size, grain);
    void *start;
    int error = os_reserve(size, grain, &start);
    if (error != 0) {
        return error;
    }
    (void)hmm_break_simulated(brk, start, size); /* a page is large enough, and aligned */
    brk->move = move_reserved;
    brk->purge = purge;
    brk->grain = grain;
    brk->zero = true;
    brk->committed = start;
    return 0;
}
