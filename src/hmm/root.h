/*
 * root.h - where a reader from outside begins (base/layout.h). Where there is an operating system.
 */
#ifndef MEMS_HMM_ROOT_H
#define MEMS_HMM_ROOT_H

#include "base/layout.h"
#include "os/lock.h"

struct HmmHeap;

struct hmm_root {
    struct root_head head;
    const struct HmmHeap *heap;
    const uintptr_t *secret; /* of the headers' checksums */
    struct lock lock;        /* of all heaps without hooks */
};

extern struct hmm_root hmm_root;

#endif
