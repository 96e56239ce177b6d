/* hmm_root.h - where readers from outside begin (base/layout.h), on an operating system. */
#pragma once

#include <stdatomic.h>

#include "base/layout.h"
#include "os/lock.h"

struct HmmHeap;

/* How many of the newest heaps made by HmmHeapCreate a reader can find. */
#define HMM_HEAPS_KNOWN 64u

struct hmm_root {
    struct root_head head;
    const struct HmmHeap *heap;
    const uintptr_t *secret; /* for the headers' checksums */
    struct lock lock;        /* shared by all heaps without hooks */
    /* The newest heaps that HmmHeapCreate has made. The memory of one may have another use by now; HmmHeap.own tells.
     * made_count: how many were made, modulo 2^32. Relaxed, since a reader from outside needs no order. */
    _Atomic uintptr_t made[HMM_HEAPS_KNOWN];
    _Atomic uint32_t made_count;
};

extern struct hmm_root hmm_root;

/* The rows of the structures that a reader reaches from there. */
extern struct hmm_layout hmm_layout;
