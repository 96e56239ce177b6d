/* break_system.c - the breaks that need an operating system: the process's own, and one in reserved memory. */
#include <errno.h>

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

/* With a limit on address space, reserves step by step, to leave some to others. */
#define RESERVED_MAX ((size_t)64 << 30)
#define RESERVED_MIN ((size_t)1 << 20)
#define RESERVED_SHARE 4 /* reserve 1/RESERVED_SHARE of what the heap has */

/* The known limits in bytes; SIZE_MAX: none. */
static struct {
    size_t addresses; /* as by `ulimit -v` */
    size_t data;      /* writable memory, as by `ulimit -d`: the break and every region count alike */
    bool scarce;      /* limits are about to be set, or future memory may count as locked */
} limits = {.addresses = SIZE_MAX, .data = SIZE_MAX};

void hmm_break_ask_limits(void) {
    limits.addresses = os_address_limit();
    limits.data = os_data_limit();
}

static bool is_beyond(size_t has, size_t free, size_t limit) {
    return has > free && has - free > limit;
}

bool hmm_break_may_unmap(size_t free) {
    if (limits.addresses == SIZE_MAX && limits.data == SIZE_MAX) {
        return limits.scarce;
    }
    struct os_usage usage;
    os_usage(&usage);
    return !is_beyond(usage.mapped, free, limits.addresses) && !is_beyond(usage.data, free, limits.data);
}

bool hmm_break_more(struct program_break *brk, size_t least, size_t held) {
    size_t size = RESERVED_MAX;
    /* A further region could not get more memory then, and the earlier break could no longer be lowered. */
    if (held != 0 && limits.data != SIZE_MAX) {
        return false;
    }
    least = least > RESERVED_MIN ? least : RESERVED_MIN;
    if (limits.addresses != SIZE_MAX || limits.scarce) {
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
    /* Moving by 0 proves nothing: it succeeds even where the C library keeps the break for itself. */
    if (!move_real(brk, (intptr_t)brk->grain, &was)) {
        return false;
    }
    return move_real(brk, -(intptr_t)brk->grain, &was);
}

/* At least this much at a time, to save system calls. */
#define COMMIT_STEP ((size_t)1 << 20)

/* Up to `now`, and beyond if possible. */
static bool commit(struct program_break *brk, const char *now) {
    const size_t left = (size_t)(brk->end - brk->committed);
    const size_t least = (size_t)(now - brk->committed);
    size_t more = round_up(least, COMMIT_STEP);
    more = more < left ? more : left;
    if (brk->claimed) {
        if (os_claim(brk->committed, more) != 0) {
            more = round_up(least, brk->grain);
            if (os_claim(brk->committed, more) != 0) {
                return false;
            }
        }
    } else {
        os_dump(brk->committed, more + COMMIT_STEP < left ? more + COMMIT_STEP : left);
        if (os_commit(brk->committed, more) != 0) {
            return false;
        }
    }
    brk->committed += more;
    return true;
}

/* If the system refuses, or it has no effect, the memory stays, harmlessly. */
static void retreat(struct program_break *brk) {
    char *unused = brk->start + round_up((size_t)(brk->now - brk->start), brk->grain);
    const size_t size = (size_t)(brk->committed - unused);
    if (brk->claimed && (size == 0 || os_unmap(unused, size) == 0)) {
        brk->committed = unused;
    } else {
        brk->zero = os_purge(unused, size) == 0 && os_purge_zeroes();
    }
}

static bool move_reserved(struct program_break *brk, intptr_t by, void **was) {
    if (by > brk->end - brk->now || by < brk->start - brk->now) {
        return false;
    }
    char *now = brk->now + by;
    if (now > brk->committed && !commit(brk, now)) {
        return false;
    }
    *was = brk->now;
    brk->now = now;
    if (by < 0) {
        retreat(brk);
    }
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

void hmm_break_confine(struct program_break *brk) {
    limits.scarce = true;
    if (brk->move == move_reserved && !brk->claimed) {
        brk->claimed = brk->end == brk->committed || os_unmap(brk->committed, (size_t)(brk->end - brk->committed)) == 0;
        retreat(brk);
    }
}
