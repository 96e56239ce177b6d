/* model.h - a user who remembers the sizes, alignments and contents of all blocks. Random operations on a heap are
 * compared with it, and a broken promise ends the process. It covers what every heap promises; the promised layout of
 * MeMS spaces has its own model (mems_heap/layout.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocator.h"
#include "marked.h"

#define MODEL_BLOCKS 300

/* Each except the trim concerns one block of the model. */
enum model_operation {
    MODEL_ALLOC,
    MODEL_CALLOC,
    MODEL_ALIGNED,
    MODEL_REALLOC,
    MODEL_FREE,
    MODEL_TRIM,
    MODEL_OPERATIONS
};

/* Invariant: blocks[i].memory is NULL and blocks[i].size 0, or the block is marked; no two blocks overlap. */
struct model {
    const struct allocator *allocator;
    bool refusals; /* allocations may fail */
    size_t stride; /* of the marks in large blocks */
    uint64_t marks;
    struct marked blocks[MODEL_BLOCKS];
    size_t alignments[MODEL_BLOCKS]; /* as requested; 0: none */
};

/* No block of the model overlaps the `size` bytes at `memory`. */
static inline bool model_apart(const struct model *model, const unsigned char *memory, size_t size) {
    for (size_t i = 0; i < MODEL_BLOCKS; i++) {
        const struct marked *other = &model->blocks[i];
        if (other->memory != NULL && other->memory < memory + size && memory < other->memory + other->size) {
            return false;
        }
    }
    return true;
}

/* Block i is what an allocation of `size` bytes returned. */
static inline void model_hold(struct model *model, size_t i, void *memory, size_t size, size_t alignment) {
    if (memory == NULL) {
        CHECK(model->refusals);
        return;
    }
    CHECK((uintptr_t)memory % 16 == 0);
    CHECK(alignment == 0 || (uintptr_t)memory % alignment == 0);
    CHECK(model->allocator->usable_size(NULL, memory) >= size);
    CHECK(model_apart(model, memory, size));
    uint64_t mark = ++model->marks * UINT64_C(0x9e3779b97f4a7c15);
    model->blocks[i] = (struct marked){.memory = memory, .size = size, .mark = mark, .stride = model->stride};
    model->alignments[i] = alignment;
    marked_fill(&model->blocks[i]);
}

/* Every other block that was not resized, with its size. */
static inline void model_free(struct model *model, size_t i) {
    struct marked *block = &model->blocks[i];
    CHECK(marked_intact(block, SIZE_MAX));
    if (model->marks % 2 == 0) {
        model->allocator->free(NULL, block->memory);
    } else {
        model->allocator->free_sized(NULL, block->memory, block->size, model->alignments[i]);
    }
    *block = (struct marked){.memory = NULL};
}

static inline void model_realloc(struct model *model, size_t i, size_t size) {
    struct marked block = model->blocks[i];
    void *memory = model->allocator->resize(NULL, block.memory, size);
    if (memory == NULL) {
        CHECK(model->refusals && marked_intact(&block, SIZE_MAX));
        return;
    }
    if (block.memory != NULL) {
        block.memory = memory;
        CHECK(marked_intact(&block, size));
    }
    model->blocks[i] = (struct marked){.memory = NULL};
    model_hold(model, i, memory, size, 0);
}

/* With block i; an allocation frees the old block first. */
static inline void model_step(struct model *model, enum model_operation operation, size_t i, size_t size,
                              size_t alignment) {
    const struct allocator *heap = model->allocator;
    if (operation == MODEL_REALLOC) {
        model_realloc(model, i, size);
        return;
    }
    if (operation == MODEL_TRIM) {
        heap->trim(NULL, size);
        return;
    }
    model_free(model, i);
    switch (operation) {
    case MODEL_ALLOC:
        model_hold(model, i, heap->alloc(NULL, size), size, 0);
        break;
    case MODEL_ALIGNED:
        model_hold(model, i, heap->alloc_aligned(NULL, alignment, size), size, alignment);
        break;
    case MODEL_CALLOC: {
        unsigned char *memory = heap->alloc_zeroed(NULL, size);
        CHECK(memory == NULL || marked_zero(&(struct marked){.memory = memory, .size = size, .stride = model->stride}));
        model_hold(model, i, memory, size, 0);
        break;
    }
    default:
        break;
    }
}

static inline void model_free_all(struct model *model) {
    for (size_t i = 0; i < MODEL_BLOCKS; i++) {
        model_free(model, i);
    }
}
