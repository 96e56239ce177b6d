#include "pool.h"

#include "base/bits.h"
#include "base/broken.h"
#include "base/fault.h"
#include "os/os.h"

#define WORD_BITS ((size_t)64)
#define MAP_WORDS (POOL_CHUNK / POOL_GRAIN / WORD_BITS)

/* Cells begin at FIRST_CELL. */
struct chunk {
    struct list link;
    uint32_t used;
    uint32_t hint;             /* no earlier word of the map has a free cell */
    uint32_t touched;          /* cells from here on were never used since the memory was fresh */
    uint64_t taken[MAP_WORDS]; /* a bit per cell */
};

/* A multiple of two cache lines, which processors like to fetch in pairs. */
#define FIRST_CELL ((sizeof(struct chunk) + 2 * POOL_GRAIN - 1) / (2 * POOL_GRAIN) * (2 * POOL_GRAIN))

static struct chunk *chunk_of_link(struct list *link) {
    return CONTAINER_OF(link, struct chunk, link);
}

static void *cell_at(const struct pool *pool, struct chunk *chunk, size_t index) {
    return (char *)chunk + FIRST_CELL + index * pool->cell_size;
}

/* Used bytes, in whole pages. */
static size_t chunk_bytes(const struct pool *pool, const struct chunk *chunk) {
    return round_up(FIRST_CELL + chunk->touched * pool->cell_size, os_page_size());
}

void pool_init(struct pool *pool, size_t cell_size) {
    *pool = (struct pool){.cell_size = cell_size, .cells = (POOL_CHUNK - FIRST_CELL) / cell_size};
    list_init(&pool->roomy);
    list_init(&pool->full);
    list_init(&pool->empty);
}

static int add_chunk(struct pool *pool) {
    struct chunk *chunk;
    if (!list_empty(&pool->empty)) {
        chunk = chunk_of_link(pool->empty.next);
        list_remove(&chunk->link);
    } else {
        void *memory;
        int error = os_map(POOL_CHUNK, POOL_CHUNK, &memory);
        if (error != 0) {
            return error;
        }
        chunk = memory;
        pool->bytes += chunk_bytes(pool, chunk);
    }
    list_push_back(&pool->roomy, &chunk->link);
    pool->spare += pool->cells;
    return 0;
}

int pool_reserve(struct pool *pool, size_t count) {
    int error = 0;
    while (pool->spare < count && error == 0) {
        error = add_chunk(pool);
    }
    return error;
}

/* The chunk must have a free cell. */
static size_t first_free(struct chunk *chunk) {
    while (~chunk->taken[chunk->hint] == 0) {
        chunk->hint++;
    }
    return chunk->hint * WORD_BITS + lowest_bit(~chunk->taken[chunk->hint]);
}

void *pool_take(struct pool *pool) {
    ASSERT(pool->spare > 0);
    struct chunk *chunk = chunk_of_link(pool->roomy.next);
    size_t index = first_free(chunk);
    chunk->taken[index / WORD_BITS] |= UINT64_C(1) << index % WORD_BITS;
    if (index >= chunk->touched) {
        pool->bytes -= chunk_bytes(pool, chunk);
        chunk->touched = (uint32_t)index + 1;
        pool->bytes += chunk_bytes(pool, chunk);
    }
    pool->spare--;
    pool->used++;
    if (++chunk->used == pool->cells) {
        list_remove(&chunk->link);
        list_push_front(&pool->full, &chunk->link);
    }
    return cell_at(pool, chunk, index);
}

/* Keeps the first page of a roomy chunk without users, which holds the head. False if the system refuses: then the
 * chunk is unchanged, or lost together with its addresses. */
static bool shed_chunk(struct pool *pool, struct chunk *chunk) {
    size_t page = os_page_size();
    bool lost = false;
    int error = os_replace((char *)chunk + page, POOL_CHUNK - page, &lost);
    if (error != 0 && !lost) {
        return false;
    }
    pool->bytes -= chunk_bytes(pool, chunk);
    pool->spare -= pool->cells;
    list_remove(&chunk->link);
    if (error == 0) {
        chunk->touched = 0;
        pool->bytes += chunk_bytes(pool, chunk);
        list_push_front(&pool->empty, &chunk->link);
    }
    return error == 0;
}

/* The cell's chunk is no longer full. */
static void release(struct pool *pool, struct chunk *chunk, const void *cell) {
    size_t index = ((uintptr_t)cell - (uintptr_t)chunk - FIRST_CELL) / pool->cell_size;
    uint32_t word = (uint32_t)(index / WORD_BITS);
    ASSERT((chunk->taken[word] >> index % WORD_BITS & 1) != 0);
    chunk->taken[word] &= ~(UINT64_C(1) << index % WORD_BITS);
    if (word < chunk->hint) {
        chunk->hint = word;
    }
    chunk->used--;
    pool->used--;
}

void pool_give(struct pool *pool, void *cell) {
    struct chunk *chunk = (struct chunk *)round_down((uintptr_t)cell, POOL_CHUNK);
    if (chunk->used == pool->cells) {
        list_remove(&chunk->link);
        list_push_front(&pool->roomy, &chunk->link);
    }
    release(pool, chunk, cell);
    pool->spare++;
    /* Requires as many free cells elsewhere, so that chunks do not come and go with each call. */
    if (chunk->used == 0 && pool->spare >= 2 * pool->cells) {
        (void)shed_chunk(pool, chunk);
    }
}

/* The roomy chunk with the fewest users or, to be filled, the most. */
static struct chunk *extreme(struct pool *pool, bool most) {
    struct chunk *found = NULL;
    for (struct list *link = pool->roomy.next; link != &pool->roomy; link = link->next) {
        struct chunk *chunk = chunk_of_link(link);
        if (found == NULL || (most ? chunk->used > found->used : chunk->used < found->used)) {
            found = chunk;
        }
    }
    return found;
}

static void *take_to_fill(struct pool *pool, struct chunk **target) {
    if (*target == NULL || (*target)->used == pool->cells) {
        *target = extreme(pool, true);
        list_remove(&(*target)->link);
        list_push_front(&pool->roomy, &(*target)->link);
    }
    return pool_take(pool);
}

/* The chunk is in no list; returns how many users moved. */
static size_t empty_chunk(struct pool *pool, struct chunk *chunk, size_t limit,
                          void (*move)(void *from, void *to, void *context), void *context) {
    size_t moved = 0;
    struct chunk *target = NULL;
    for (size_t word = 0; word < MAP_WORDS; word++) {
        for (; chunk->taken[word] != 0 && moved < limit; moved++) {
            void *from = cell_at(pool, chunk, word * WORD_BITS + lowest_bit(chunk->taken[word]));
            move(from, take_to_fill(pool, &target), context);
            release(pool, chunk, from);
        }
    }
    return moved;
}

size_t pool_gather(struct pool *pool, size_t limit, void (*move)(void *from, void *to, void *context), void *context) {
    size_t moved = 0;
    while (moved < limit && pool->spare >= pool->cells + pool->cells / 8) {
        struct chunk *chunk = extreme(pool, false);
        list_remove(&chunk->link);
        pool->spare -= pool->cells - chunk->used; /* its free cells are not for its own users */
        moved += empty_chunk(pool, chunk, limit - moved, move, context);
        list_push_back(&pool->roomy, &chunk->link);
        pool->spare += pool->cells - chunk->used;
        if (chunk->used == 0 && !shed_chunk(pool, chunk)) {
            break;
        }
    }
    return moved;
}

static void unmap_all(struct list *chunks) {
    while (!list_empty(chunks)) {
        struct chunk *chunk = chunk_of_link(chunks->next);
        list_remove(&chunk->link);
        (void)os_unmap(chunk, POOL_CHUNK); /* if refused, it stays mapped for good */
    }
}

void pool_finish(struct pool *pool) {
    unmap_all(&pool->roomy);
    unmap_all(&pool->full);
    unmap_all(&pool->empty);
    pool_init(pool, pool->cell_size);
}

struct audit {
    size_t spare;
    size_t used;
    size_t bytes;
};

static const char *chunks_flaw(const struct pool *pool, const struct list *chunks, struct audit *audit) {
    for (struct list *link = chunks->next; link != chunks; link = link->next) {
        const struct chunk *chunk = chunk_of_link(link);
        size_t used = 0;
        for (size_t word = 0; word < MAP_WORDS; word++) {
            used += count_bits(chunk->taken[word]);
            if (word < chunk->hint && ~chunk->taken[word] != 0) {
                return "pool: a free cell before the hint";
            }
        }
        if (used != chunk->used || (chunks == &pool->full) != (used == pool->cells) ||
            (chunks == &pool->empty && used != 0)) {
            return "pool: the number of a chunk's cells is wrong";
        }
        audit->used += used;
        audit->spare += chunks == &pool->roomy ? pool->cells - used : 0;
        audit->bytes += chunk_bytes(pool, chunk);
    }
    return NULL;
}

bool pool_valid(const struct pool *pool, const char **why) {
    struct audit audit = {0};
    const struct list *lists[] = {&pool->roomy, &pool->full, &pool->empty};
    const char *flaw = NULL;
    for (size_t i = 0; i < sizeof lists / sizeof *lists && flaw == NULL; i++) {
        flaw = chunks_flaw(pool, lists[i], &audit);
    }
    if (flaw == NULL && (audit.spare != pool->spare || audit.used != pool->used || audit.bytes != pool->bytes)) {
        flaw = "pool: the sums are wrong";
    }
    return flaw == NULL || broken(why, flaw);
}
