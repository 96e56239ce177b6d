/* bench_pairs.c - bench_pairs SIZE COUNT [nothing] does COUNT pairs of malloc(SIZE) and free; if SIZE is 0, with sizes
 * of every class up to 1024 in turn. With "nothing" it calls functions that only return: the difference is what malloc
 * and free cost. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In assembly, because a compiler would add instructions to one that returns a value. */
void *nothing_malloc(size_t size);
void nothing_free(void *block);
__asm__(".text\n"
        ".globl nothing_malloc, nothing_free\n"
        ".type nothing_malloc, %function\n"
        ".type nothing_free, %function\n"
        "nothing_malloc:\n"
        "nothing_free:\n"
        "    ret\n");

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: bench_pairs SIZE COUNT [nothing]\n");
        return 2;
    }
    size_t size = strtoul(argv[1], NULL, 10);
    size_t count = strtoul(argv[2], NULL, 10);
    int nothing = argc > 3 && strcmp(argv[3], "nothing") == 0;

    /* Pointers, so that either pair is called in the same way; volatile, so that the compiler does not know where they
     * lead. */
    void *(*volatile allocate_volatile)(size_t) = nothing ? nothing_malloc : malloc;
    void (*volatile release_volatile)(void *) = nothing ? nothing_free : free;
    void *(*allocate)(size_t) = allocate_volatile;
    void (*release)(void *) = release_volatile;

    /* A permutation of the multiples of 16: random to a branch predictor, each size equally frequent. */
    size_t sizes[64];
    for (size_t i = 0; i < 64; i++) {
        sizes[i] = size > 0 ? size : 16 * (1 + i * 37 % 64);
    }
    for (size_t i = 0; i < count; i++) {
        release(allocate(sizes[i % 64]));
    }
    return 0;
}
