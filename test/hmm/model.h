/*
 * model.h - a heap's user who remembers everything: which blocks it holds, and what is in them.
 */
#ifndef MEMS_TEST_HMM_MODEL_H
#define MEMS_TEST_HMM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "hmm/heap.h"

#define MODEL_BLOCKS 256

/* What is asked of the heap; each concerns one of the model's blocks. */
enum model_operation {
    MODEL_ALLOC,
    MODEL_CALLOC,
    MODEL_ALIGNED,
    MODEL_REALLOC,
    MODEL_FREE,
    MODEL_TRIM,
    MODEL_OPERATIONS
};

/* Invariant: blocks[i] is NULL, and sizes[i] 0, or its first sizes[i] bytes are all fills[i]. */
struct model {
    unsigned char *blocks[MODEL_BLOCKS];
    size_t sizes[MODEL_BLOCKS];
    unsigned char fills[MODEL_BLOCKS];
    unsigned char fill; /* the last one */
};

static inline bool model_filled(const unsigned char *block, size_t size, unsigned char fill) {
    return size == 0 || (block[0] == fill && memcmp(block, block + 1, size - 1) == 0);
}

/* No block of the model touches the `size` bytes at `block`. */
static inline bool model_apart(const struct model *model, const unsigned char *block, size_t size) {
    for (size_t i = 0; i < MODEL_BLOCKS; i++) {
        if (model->blocks[i] != NULL && model->blocks[i] < block + size && block < model->blocks[i] + model->sizes[i]) {
            return false;
        }
    }
    return true;
}

/* Block i is this one from now on. False: it is not as the heap promises. */
static inline bool model_hold(struct model *model, size_t i, void *block, size_t size, size_t alignment) {
    if (block == NULL) {
        return true; /* the heap may be full */
    }
    if ((uintptr_t)block % alignment != 0 || hmm_usable_size("model", block) < size ||
        !model_apart(model, block, size)) {
        return false;
    }
    model->blocks[i] = block;
    model->sizes[i] = size;
    model->fills[i] = ++model->fill;
    memset(block, model->fill, size);
    return true;
}

static inline bool model_free(struct model *model, size_t i) {
    bool whole = model_filled(model->blocks[i], model->sizes[i], model->fills[i]);
    hmm_free("model", model->blocks[i]);
    model->blocks[i] = NULL;
    model->sizes[i] = 0;
    return whole;
}

static inline bool model_realloc(struct model *model, size_t i, size_t size) {
    unsigned char *block = hmm_realloc("model", model->blocks[i], size);
    if (block == NULL) {
        return model_filled(model->blocks[i], model->sizes[i], model->fills[i]);
    }
    size_t kept = size < model->sizes[i] ? size : model->sizes[i];
    bool whole = model_filled(block, kept, model->fills[i]);
    model->blocks[i] = NULL;
    model->sizes[i] = 0;
    return whole && model_hold(model, i, block, size, 16);
}

/* One step; false when the heap has broken a promise. */
static inline bool model_step(struct model *model, enum model_operation operation, size_t i, size_t size,
                              size_t alignment) {
    if (operation == MODEL_REALLOC) {
        return model_realloc(model, i, size);
    }
    if (operation == MODEL_TRIM) {
        hmm_trim(size);
        return true;
    }
    if (!model_free(model, i)) {
        return false;
    }
    switch (operation) {
    case MODEL_ALLOC:
        return model_hold(model, i, hmm_alloc(size), size, 16);
    case MODEL_ALIGNED:
        return model_hold(model, i, hmm_alloc_aligned(alignment, size), size, alignment);
    case MODEL_CALLOC: {
        void *block = hmm_alloc_zeroed(size, 1);
        return (block == NULL || model_filled(block, size, 0)) && model_hold(model, i, block, size, 16);
    }
    default:
        return true;
    }
}

static inline bool model_free_all(struct model *model) {
    bool whole = true;
    for (size_t i = 0; i < MODEL_BLOCKS; i++) {
        whole = model_free(model, i) && whole;
    }
    return whole;
}

#endif
