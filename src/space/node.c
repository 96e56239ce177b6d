#include "node.h"

#include <string.h>

#include "base/bits.h"
#include "base/fault.h"
#include "os/os.h"

#define CACHE_LINE 64u

_Static_assert(sizeof(struct sub_node) == CACHE_LINE, "a segment fills a cache line");

/* A free cell's link to the next one. */
struct free_cell {
    struct free_cell *next;
};

/* The head of a chunk; the cells begin at the next cache line. Those from `fresh` on have never been used. */
struct chunk {
    struct list link;
    struct free_cell *free;
    uint32_t fresh;
    uint32_t used;
};

_Static_assert(sizeof(struct chunk) <= CACHE_LINE, "the cells begin behind the head");

static void pool_init(struct node_pool *pool, size_t cell_size) {
    *pool = (struct node_pool){.chunk_size = os_page_size(), .cell_size = cell_size};
    pool->cells = (pool->chunk_size - CACHE_LINE) / cell_size;
    list_init(&pool->roomy);
    list_init(&pool->full);
}

static int add_chunk(struct node_pool *pool) {
    void *memory;
    int error = os_map(pool->chunk_size, pool->chunk_size, &memory);
    if (error == 0) {
        struct chunk *chunk = memory;
        list_push_back(&pool->roomy, &chunk->link);
        pool->chunks++;
        pool->spare += pool->cells;
    }
    return error;
}

static int pool_reserve(struct node_pool *pool, size_t count) {
    int error = 0;
    while (pool->spare < count && error == 0) {
        error = add_chunk(pool);
    }
    return error;
}

void *node_take(struct node_pool *pool) {
    ASSERT(pool->spare > 0);
    struct chunk *chunk = CONTAINER_OF(pool->roomy.next, struct chunk, link);
    struct free_cell *cell = chunk->free;
    if (cell != NULL) {
        chunk->free = cell->next;
    } else {
        cell = (struct free_cell *)((uintptr_t)chunk + CACHE_LINE + chunk->fresh++ * pool->cell_size);
    }
    pool->spare--;
    if (++chunk->used == pool->cells) {
        list_remove(&chunk->link);
        list_push_front(&pool->full, &chunk->link);
    }
    return memset(cell, 0, pool->cell_size);
}

/* An empty chunk goes back when as many cells again are free elsewhere, so that no chunk comes and goes at each call.
 */
static void shed_chunk(struct node_pool *pool, struct chunk *chunk) {
    if (pool->spare < 2 * pool->cells) {
        return;
    }
    list_remove(&chunk->link);
    if (os_unmap(chunk, pool->chunk_size) != 0) {
        list_push_back(&pool->roomy, &chunk->link);
        return;
    }
    pool->chunks--;
    pool->spare -= pool->cells;
}

void node_give(struct node_pool *pool, void *node) {
    struct chunk *chunk = (struct chunk *)round_down((uintptr_t)node, pool->chunk_size);
    struct free_cell *cell = node;
    if (chunk->used-- == pool->cells) {
        list_remove(&chunk->link);
        list_push_front(&pool->roomy, &chunk->link);
    }
    cell->next = chunk->free;
    chunk->free = cell;
    pool->spare++;
    if (chunk->used == 0) {
        shed_chunk(pool, chunk);
    }
}

size_t node_pool_used(const struct node_pool *pool) {
    return pool->chunks * pool->cells - pool->spare;
}

static void unmap_all(struct list *chunks, size_t size) {
    while (!list_empty(chunks)) {
        struct chunk *chunk = CONTAINER_OF(chunks->next, struct chunk, link);
        list_remove(&chunk->link);
        (void)os_unmap(chunk, size); /* refused: it stays mapped, unknown to anybody */
    }
}

static void pool_finish(struct node_pool *pool) {
    unmap_all(&pool->roomy, pool->chunk_size);
    unmap_all(&pool->full, pool->chunk_size);
    pool_init(pool, pool->cell_size);
}

void nodes_init(struct nodes *nodes) {
    pool_init(&nodes->main, sizeof(struct main_node));
    pool_init(&nodes->sub, sizeof(struct sub_node));
}

int nodes_reserve(struct nodes *nodes, size_t main_nodes, size_t sub_nodes) {
    int error = pool_reserve(&nodes->main, main_nodes);
    return error != 0 ? error : pool_reserve(&nodes->sub, sub_nodes);
}

size_t nodes_bytes(const struct nodes *nodes) {
    return nodes->main.chunks * nodes->main.chunk_size + nodes->sub.chunks * nodes->sub.chunk_size;
}

void nodes_finish(struct nodes *nodes) {
    pool_finish(&nodes->main);
    pool_finish(&nodes->sub);
}
