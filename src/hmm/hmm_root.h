/* hmm_root.h - where readers from outside begin (base/layout.h), on an operating system. */
#pragma once

#include <stdatomic.h>

#include "base/layout.h"
#include "os/lock.h"

struct HmmHeap;

/* A reader can find this many of the newest heaps made by HmmHeapCreate. */
#define HMM_HEAPS_KNOWN 64u

struct hmm_root {
    struct root_head head;
    const struct HmmHeap *heap;
    const uintptr_t *secret; /* for the headers' checksums */
    struct lock lock;        /* shared by all heaps without hooks */
    /* The newest heaps that HmmHeapCreate has made. One's memory may have another use by now; HmmHeap.own tells.
     * made_count is modulo 2^32. Relaxed: a reader from outside needs no order. */
    _Atomic uintptr_t made[HMM_HEAPS_KNOWN];
    _Atomic uint32_t made_count;
};

extern struct hmm_root hmm_root;

extern struct hmm_layout hmm_layout;
