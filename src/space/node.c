#include "node.h"

#include "base/bits.h"
#include "base/fault.h"
#include "os/os.h"

/* A free cell's link to the next one. */
struct free_cell {
    struct free_cell *next;
};

union cell {
    struct free_cell free;
    struct main_node main;
    struct sub_node sub;
};

/* Cells from `fresh` on have never been used. */
struct chunk {
    struct list link;
    struct free_cell *free;
    uint32_t fresh;
    uint32_t used;
    union cell cells[];
};

static size_t cells_in(size_t chunk_size) {
    return (chunk_size - sizeof(struct chunk)) / sizeof(union cell);
}

void node_pool_init(struct node_pool *pool) {
    list_init(&pool->roomy);
    list_init(&pool->full);
    pool->chunk_size = os_page_size();
    pool->chunks = 0;
    pool->spare = 0;
}

size_t node_pool_used(const struct node_pool *pool) {
    return pool->chunks * cells_in(pool->chunk_size) - pool->spare;
}

static int add_chunk(struct node_pool *pool) {
    void *memory;
    int error = os_map(pool->chunk_size, pool->chunk_size, &memory);
    if (error == 0) {
        struct chunk *chunk = memory;
        list_push_back(&pool->roomy, &chunk->link);
        pool->chunks++;
        pool->spare += cells_in(pool->chunk_size);
    }
    return error;
}

int node_pool_reserve(struct node_pool *pool, size_t count) {
    int error = 0;
    while (pool->spare < count && error == 0) {
        error = add_chunk(pool);
    }
    return error;
}

static union cell *take_cell(struct node_pool *pool) {
    ASSERT(pool->spare > 0);
    struct chunk *chunk = CONTAINER_OF(pool->roomy.next, struct chunk, link);
    union cell *cell;
    if (chunk->free != NULL) {
        cell = (union cell *)chunk->free;
        chunk->free = chunk->free->next;
    } else {
        cell = &chunk->cells[chunk->fresh++];
    }
    pool->spare--;
    if (++chunk->used == cells_in(pool->chunk_size)) {
        list_remove(&chunk->link);
        list_push_front(&pool->full, &chunk->link);
    }
    return cell;
}

struct main_node *main_node_take(struct node_pool *pool) {
    struct main_node *node = &take_cell(pool)->main;
    *node = (struct main_node){0};
    list_init(&node->link);
    list_init(&node->sub_chain);
    return node;
}

struct sub_node *sub_node_take(struct node_pool *pool) {
    struct sub_node *node = &take_cell(pool)->sub;
    *node = (struct sub_node){0};
    list_init(&node->link);
    return node;
}

/* An empty chunk goes back when as many cells again are free elsewhere, so that no chunk comes and goes at each call.
 */
static void shed_chunk(struct node_pool *pool, struct chunk *chunk) {
    size_t cells = cells_in(pool->chunk_size);
    if (pool->spare < 2 * cells) {
        return;
    }
    list_remove(&chunk->link);
    if (os_unmap(chunk, pool->chunk_size) != 0) {
        list_push_back(&pool->roomy, &chunk->link);
        return;
    }
    pool->chunks--;
    pool->spare -= cells;
}

void node_give(struct node_pool *pool, void *node) {
    struct chunk *chunk = (struct chunk *)round_down((uintptr_t)node, pool->chunk_size);
    struct free_cell *cell = node;
    if (chunk->used-- == cells_in(pool->chunk_size)) {
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

static void unmap_all(struct list *chunks, size_t size) {
    while (!list_empty(chunks)) {
        struct chunk *chunk = CONTAINER_OF(chunks->next, struct chunk, link);
        list_remove(&chunk->link);
        (void)os_unmap(chunk, size); /* refused: it stays mapped, unknown to anybody */
    }
}

void node_pool_finish(struct node_pool *pool) {
    unmap_all(&pool->roomy, pool->chunk_size);
    unmap_all(&pool->full, pool->chunk_size);
    node_pool_init(pool);
}
