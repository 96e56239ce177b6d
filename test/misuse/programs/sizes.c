/*
 * sizes.c - sizes that cannot be, sizes that are not those of the block, and kinds of functions that do not belong
 * together. What C++ has is called by the names that its compilers give it, so that it can be misused in C too.
 */
#include "program.h"

#include <malloc.h>

#ifdef __cplusplus
extern "C" {
#endif
void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);
void *reallocarray(void *block, size_t count, size_t size);
void *_Znwm(size_t size);
void *_Znam(size_t size);
void _ZdlPv(void *block);
void _ZdaPv(void *block);
void _ZdlPvm(void *block, size_t size);
void _ZdaPvm(void *block, size_t size);
void *_ZnwmSt11align_val_t(size_t size, size_t alignment);
void *_ZnamSt11align_val_t(size_t size, size_t alignment);
void _ZdlPvSt11align_val_t(void *block, size_t alignment);
void _ZdlPvmSt11align_val_t(void *block, size_t size, size_t alignment);
#ifdef __cplusplus
}
#endif
#pragma weak free_sized
#pragma weak free_aligned_sized
#pragma weak _Znwm
#pragma weak _Znam
#pragma weak _ZdlPv
#pragma weak _ZdaPv
#pragma weak _ZdlPvm
#pragma weak _ZdaPvm
#pragma weak _ZnwmSt11align_val_t
#pragma weak _ZnamSt11align_val_t
#pragma weak _ZdlPvSt11align_val_t
#pragma weak _ZdlPvmSt11align_val_t

static size_t freed_as;

static void free_as(char *block) {
    free_sized(hidden(block), freed_as);
}

static void delete_as(char *block) {
    _ZdlPvm(hidden(block), freed_as);
}

static void delete_array_as(char *block) {
    _ZdaPvm(hidden(block), freed_as);
}

static bool freed_as_larger(size_t size) {
    if (free_sized == NULL) {
        return true;
    }
    freed_as = size * 2;
    by_thread(free_as, full(size));
    return true;
}

static bool freed_as_a_little_larger(size_t size) {
    if (free_sized == NULL) {
        return true;
    }
    freed_as = size + 1;
    by_thread(free_as, full(size));
    return true;
}

static bool deleted_as_larger(size_t size) {
    freed_as = size * 2;
    by_thread(delete_as, hidden(_Znwm(size)));
    return true;
}

static bool deleted_as_smaller(size_t size) {
    freed_as = size / 2;
    by_thread(delete_as, hidden(_Znwm(size)));
    return true;
}

static bool deleted_array_as_larger(size_t size) {
    freed_as = size * 2;
    by_thread(delete_array_as, hidden(_Znam(size)));
    return true;
}

static bool new_freed(size_t size) {
    free(hidden(_Znwm(size)));
    return true;
}

static bool malloc_deleted(size_t size) {
    _ZdlPv(hidden(malloc(size)));
    return true;
}

static bool array_deleted_as_one(size_t size) {
    _ZdlPv(hidden(_Znam(size)));
    return true;
}

static bool one_deleted_as_array(size_t size) {
    _ZdaPv(hidden(_Znwm(size)));
    return true;
}

static bool deleted_as_a_little_smaller(size_t size) {
    freed_as = size - 1;
    by_thread(delete_as, hidden(_Znwm(size)));
    return true;
}

static bool malloc_deleted_with_its_size(size_t size) {
    _ZdlPvm(hidden(malloc(size)), size);
    return true;
}

static bool memalign_deleted(size_t size) {
    _ZdlPv(hidden(memalign(64, size)));
    return true;
}

static bool new_reallocated(size_t size) {
    return realloc(hidden(_Znwm(size)), size * 3) != NULL;
}

static bool aligned_new_freed(size_t size) {
    free(hidden(_ZnwmSt11align_val_t(size, 64)));
    return true;
}

static bool aligned_new_deleted(size_t size) {
    _ZdlPv(hidden(_ZnwmSt11align_val_t(size, 64)));
    return true;
}

static bool new_deleted_as_aligned(size_t size) {
    _ZdlPvSt11align_val_t(hidden(_Znwm(size)), 64);
    return true;
}

static bool aligned_new_deleted_as_larger(size_t size) {
    _ZdlPvmSt11align_val_t(hidden(_ZnwmSt11align_val_t(size, 64)), size * 3, 64);
    return true;
}

/* The block may be at a multiple of it by chance. */
static bool deleted_as_more_aligned(size_t size) {
    char *block = hidden(_ZnwmSt11align_val_t(size, 64));
    if ((uintptr_t)block % 65536 == 0) {
        return false;
    }
    _ZdlPvSt11align_val_t(block, 65536);
    return true;
}

static bool deleted_as_less_aligned(size_t size) {
    _ZdlPvSt11align_val_t(hidden(_ZnwmSt11align_val_t(size, 4096)), 32);
    return true;
}

static bool aligned_array_deleted_as_one(size_t size) {
    _ZdlPvSt11align_val_t(hidden(_ZnamSt11align_val_t(size, 64)), 64);
    return true;
}

static bool freed_as_aligned(size_t size) {
    char *block = hidden(memalign(64, size));
    if (free_aligned_sized == NULL || (uintptr_t)block % 65536 == 0) {
        return free_aligned_sized == NULL;
    }
    free_aligned_sized(block, 65536, size);
    return true;
}

/* delete of an array whose length the compiler stored before it. */
static bool counted_array_deleted_as_one(size_t size) {
    _ZdlPv(hidden(_Znam(size + 8)) + 8);
    return true;
}

static bool deleted_twice(size_t size) {
    char *block = hidden(_Znwm(size));
    _ZdlPv(block);
    _ZdlPv(hidden(block));
    return true;
}

static bool product_too_large(size_t size) {
    char *block = hidden(calloc((size_t)hidden((void *)(SIZE_MAX / size)), size + 2));
    return block != NULL;
}

static bool array_too_large(size_t size) {
    return reallocarray(full(size), (size_t)hidden((void *)(SIZE_MAX / size)), size + 2) != NULL;
}

static bool aligned_too_large(size_t size) {
    return memalign(4096, (size_t)hidden((void *)(SIZE_MAX - 4096 - size))) != NULL;
}

static bool pages_too_large(size_t size) {
    return pvalloc((size_t)hidden((void *)(SIZE_MAX - size % 4096))) != NULL;
}

static bool sum_too_large(size_t size) {
    char *block = hidden(malloc((size_t)hidden((void *)(SIZE_MAX - size % 4096))));
    return block != NULL;
}

static bool realloc_too_large(size_t size) {
    char *block = full(size);
    return realloc(hidden(block), (size_t)hidden((void *)(SIZE_MAX - 100))) != NULL;
}

const struct kind sizes[] = {
    {"freed_as_larger", freed_as_larger},
    {"freed_as_a_little_larger", freed_as_a_little_larger},
    {"deleted_as_larger", deleted_as_larger},
    {"deleted_as_smaller", deleted_as_smaller},
    {"deleted_array_as_larger", deleted_array_as_larger},
    {"new_freed", new_freed},
    {"malloc_deleted", malloc_deleted},
    {"array_deleted_as_one", array_deleted_as_one},
    {"one_deleted_as_array", one_deleted_as_array},
    {"deleted_as_a_little_smaller", deleted_as_a_little_smaller},
    {"malloc_deleted_with_its_size", malloc_deleted_with_its_size},
    {"memalign_deleted", memalign_deleted},
    {"new_reallocated", new_reallocated},
    {"aligned_new_freed", aligned_new_freed},
    {"aligned_new_deleted", aligned_new_deleted},
    {"new_deleted_as_aligned", new_deleted_as_aligned},
    {"aligned_new_deleted_as_larger", aligned_new_deleted_as_larger},
    {"deleted_as_more_aligned", deleted_as_more_aligned},
    {"deleted_as_less_aligned", deleted_as_less_aligned},
    {"aligned_array_deleted_as_one", aligned_array_deleted_as_one},
    {"freed_as_aligned", freed_as_aligned},
    {"counted_array_deleted_as_one", counted_array_deleted_as_one},
    {"deleted_twice", deleted_twice},
    {"product_too_large", product_too_large},
    {"array_too_large", array_too_large},
    {"aligned_too_large", aligned_too_large},
    {"pages_too_large", pages_too_large},
    {"sum_too_large", sum_too_large},
    {"realloc_too_large", realloc_too_large},
    {NULL, NULL},
};
