/*
 * hmm_demo.c - HMM step by step in a buffer of 64 KiB, with its free list after each.
 *
 * The exit status is 0 if everything was as expected. Build: cc -std=c17 hmm_demo.c -lhmm
 */
#include <errno.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <hmm.h>

static alignas(4096) unsigned char memory[64 << 10];

static void expect(bool right, const char *what) {
    if (!right) {
        fprintf(stderr, "hmm_demo: this is not so: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

static void show(const char *step) {
    printf("\n%s\n", step);
    HmmPrintFreelist(stdout);
}

static void *allocate(size_t size) {
    void *block = HmmAlloc(size);
    expect(block != NULL, "there is memory for the block");
    return block;
}

/* Allocates blocks of 2040 bytes, 2048 with their header. Returns the first of four; the others are free again. */
static char *split_and_merge(void) {
    char *first = allocate(2040), *second = allocate(2040), *third = allocate(2040), *fourth = allocate(2040);
    expect(second == first + 2048 && fourth == third + 2048, "blocks lie side by side");
    show("Four blocks: the break has moved by just as much");
    HmmFree(second);
    show("The second one is freed");
    expect(allocate(1500) == second, "what is free is used again");
    show("1500 bytes are taken from it: it is split");
    HmmFree(second);
    show("They are freed: the two parts merge");
    HmmFree(fourth);
    show("The fourth one is freed: its neighbours are used");
    HmmFree(third);
    show("The third one is freed: it merges with both neighbours");
    return first;
}

/* Lists the heap's blocks in address order. The heap is locked meanwhile, so nothing here may allocate. */
struct picture {
    char text[256];
    size_t length;
};

static int draw(const struct HmmBlock *block, void *context) {
    static const char *const states[] = {[HMM_USED] = "used", [HMM_CACHED] = "cached", [HMM_FREE] = "free"};
    struct picture *picture = context;
    size_t left = sizeof picture->text - picture->length;
    int length = snprintf(picture->text + picture->length, left, " [%s %zu]", states[block->state], block->size);
    picture->length += (size_t)length;
    return (size_t)length >= left; /* there is no more room */
}

static void walk(void) {
    struct picture picture = {.length = 0};
    expect(HmmWalk(draw, &picture) == 0, "the picture has room for all blocks");
    printf("\nThe blocks in order:%s\n", picture.text);
}

static void fill_and_recover(void) {
    void *blocks[64], *block;
    size_t count = 0;
    while (count < 64 && (block = HmmAlloc(4000)) != NULL) {
        blocks[count++] = block;
    }
    expect(count > 10 && count < 64 && errno == ENOMEM, "the buffer is used up, and errno says so");
    show("The buffer is full: what is left is too small");
    while (count > 0) {
        HmmFree(blocks[--count]);
    }
    HmmFree(allocate(40000));
    show("All of these are freed, and make one block again");
}

int main(void) {
    static char output[BUFSIZ];
    setvbuf(stdout, output, _IOFBF,
            sizeof output); /* stdio's own buffer would come from malloc, and with libhmm from this heap */
    expect(HmmUseBuffer(memory, sizeof memory) == 0, "the heap begins in the buffer");

    char *grown = split_and_merge();
    expect(HmmRealloc(grown, 3000) == grown, "a block grows in place when the memory behind it is free");
    show("The first one has grown to 3000 bytes in place");

    char *small = allocate(1000);
    HmmFree(small);
    expect(allocate(1000) == small, "a small block that was just freed comes first");
    char *aligned = HmmAlignedAlloc(1024, 1200);
    expect(aligned != NULL && (uintptr_t)aligned % 1024 == 0, "the alignment is as asked for");
    show("A block of 1000 bytes, and one of 1200 at a multiple of 1024");
    walk();
    fill_and_recover();

    HmmFree(grown);
    HmmFree(small);
    HmmFree(aligned);
    size_t given_back = HmmTrim();
    struct HmmStats stats;
    HmmStats(&stats);
    expect(stats.used == 0 && stats.free_blocks == 0, "there is nothing left");
    expect(stats.used + stats.cached + stats.free + stats.overhead == stats.region, "the figures add up");
    printf("\nAll is freed, and the break has gone down by %zu bytes: %zu are left of %zu\n", given_back, stats.region,
           stats.peak);
    return EXIT_SUCCESS;
}
