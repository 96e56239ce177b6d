#include "stack_table.h"

#include <string.h>

#include "base/bits.h"
#include "engine/tables/size_class.h"
#include "os/os.h"

_Static_assert(sizeof(struct stack) + STACK_DEPTH * sizeof(uintptr_t) <= METADATA_MAX,
               "a stack is a piece of metadata");

_Static_assert(SIZE_CLASSES <= STACK_FREES, "the number of a size class means nothing else");

_Static_assert(sizeof(struct stack_table) <= OS_PAGE, "the table is a page");

/* Zero at first, so it takes no space in the library's file. On its own pages, which stay untouched while there are no
 * samples. */
_Alignas(OS_PAGE) struct stack_table stack_table;

/* Of the frames alone: for readers, the classes of a stack are in one bucket, the first one last. */
static uint32_t hash_of(const struct stack_frames *frames) {
    uint64_t hash = frames->depth;
    for (unsigned i = 0; i < frames->depth; i++) {
        hash = (hash ^ frames->frames[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return (uint32_t)hash;
}

static size_t frames_size(unsigned depth) {
    return depth * sizeof(uintptr_t);
}

static bool is_that(const struct stack *stack, uint32_t hash, const struct stack_frames *frames, uint8_t size_class) {
    return stack->hash == hash && stack->size_class == size_class && stack->depth == frames->depth &&
           stack->cut == frames->cut && memcmp(stack->frames, frames->frames, frames_size(frames->depth)) == 0;
}

/* The head in the index. Blocks of many classes may come from the same frames. */
static struct stack **head_of(uint32_t hash, uint8_t size_class) {
    const uint32_t head = (hash + size_class * UINT32_C(0x9e3779b1)) & (stack_table.heads - 1);
    return &stack_table.index[head / STACK_PART_HEADS][head % STACK_PART_HEADS];
}

static void add_to_index(struct stack *stack) {
    struct stack **head = head_of(stack->hash, stack->size_class);
    stack->indexed = *head;
    *head = stack;
}

static bool make_parts(uint32_t heads) {
    bool made = true;
    for (uint32_t part = 0; made && part * STACK_PART_HEADS < heads; part++) {
        struct stack ***place = &stack_table.index[part];
        *place = *place != NULL ? *place : metadata_alloc(METADATA_MAX);
        made = *place != NULL;
    }
    return made;
}

static void clear_heads(void) {
    for (uint32_t head = 0; head < stack_table.heads; head += STACK_PART_HEADS) {
        const uint32_t left = stack_table.heads - head;
        const size_t heads = left < STACK_PART_HEADS ? left : STACK_PART_HEADS;
        memset(stack_table.index[head / STACK_PART_HEADS], 0, heads * sizeof(struct stack *));
    }
}

/* Without memory, the index stays as it is. */
static void grow_index(void) {
    const uint32_t heads = stack_table.heads != 0 ? 2 * stack_table.heads : STACK_HEADS_FIRST;
    if (!make_parts(heads)) {
        return;
    }
    stack_table.heads = heads;
    clear_heads();
    for (unsigned i = 0; i < STACK_BUCKETS; i++) {
        for (struct stack *stack = stack_table.buckets[i]; stack != NULL; stack = stack->next) {
            add_to_index(stack);
        }
    }
}

static struct stack *find(uint32_t hash, const struct stack_frames *frames, uint8_t size_class) {
    const bool indexed = stack_table.heads != 0;
    struct stack *stack = indexed ? *head_of(hash, size_class) : stack_table.buckets[hash % STACK_BUCKETS];
    while (stack != NULL && !is_that(stack, hash, frames, size_class)) {
        stack = indexed ? stack->indexed : stack->next;
    }
    return stack;
}

static bool is_index_small(void) {
    return stack_table.count > STACK_FEW && stack_table.count > stack_table.heads / 2 &&
           stack_table.heads < STACK_PARTS * STACK_PART_HEADS;
}

static void add(struct stack *stack, size_t size) {
    struct stack **bucket = &stack_table.buckets[stack->hash % STACK_BUCKETS];
    stack->next = *bucket;
    *bucket = stack;
    stack_table.count++;
    stack_table.bytes += size;
    if (stack_table.heads != 0) {
        add_to_index(stack);
    }
    if (is_index_small()) {
        grow_index();
    }
}

/* NULL: there is no room. */
static struct stack *intern(const struct stack_frames *frames, uint8_t size_class) {
    const uint32_t hash = hash_of(frames);
    struct stack *stack = find(hash, frames, size_class);
    if (stack != NULL) {
        return stack;
    }
    const size_t size = sizeof(struct stack) + frames_size(frames->depth);
    stack = stack_table.bytes + size <= STACKS_MAX ? metadata_alloc(size) : NULL;
    if (stack == NULL) {
        return NULL;
    }
    *stack =
        (struct stack){.hash = hash, .depth = (uint16_t)frames->depth, .cut = frames->cut, .size_class = size_class};
    memcpy(stack->frames, frames->frames, frames_size(frames->depth));
    add(stack, size);
    return stack;
}

struct stack *stack_intern(const struct stack_frames *frames, uint8_t size_class) {
    stack_table.other.cut = true; /* written before the table is read, because a page that is read first faults twice */
    struct stack *stack = frames != NULL ? intern(frames, size_class) : NULL;
    if (stack == NULL) {
        stack_table.beyond++;
        stack = &stack_table.other;
    }
    return stack;
}

void stack_sums_add(struct stack_sums *sums, uint64_t size, double share) {
    const double weight = 1 / share;
    const double spread = weight * (weight - 1);
    const double bytes = (double)size;
    sums->samples++;
    sums->blocks += weight;
    sums->bytes += weight * bytes;
    sums->blocks_variance += spread;
    sums->bytes_variance += spread * bytes * bytes;
}

void stack_count_freed(struct stack *stack, uint64_t size, double share, uint64_t lived_ms) {
    unsigned life = 0;
    while (life < STACK_LIVES - 1 && lived_ms >> 2 * life != 0) {
        life++;
    }
    stack_sums_add(&stack->freed, size, share);
    stack->lives[life] += 1 / share;
}
