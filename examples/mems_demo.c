/*
 * mems_demo.c - the MeMS heap step by step, with a picture of it after each.
 *
 * usage: mems_demo         the story
 *        mems_demo json    the heap after its last change as JSON, for tools/draw_mems
 *
 * The exit status is 0 if everything was as expected. Build: cc -std=c17 mems_demo.c -lmems
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mems.h>

static bool quiet; /* print only the JSON */

static void expect(bool right, const char *what) {
    if (!right) {
        fprintf(stderr, "mems_demo: this is not so: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

static bool is(void *v_ptr, uintptr_t address) {
    return (uintptr_t)v_ptr == address;
}

static void show(const char *step) {
    if (!quiet) {
        printf("\n%s\n", step);
        mems_print_stats();
    }
}

/* Receives each mistake, instead of standard error. */
static void on_error(const struct mems_error *error, void *context) {
    ++*(int *)context;
    if (!quiet) {
        printf("\nA mistake: %s\n", error->text);
    }
}

/* A block's bytes are reached through its physical address, or by copying, which checks the block's bounds. */
static void use_block(char *v_ptr) {
    char *bytes = mems_get(v_ptr);
    expect(bytes != NULL, "a block has a physical address");
    strcpy(bytes, "The bytes are elsewhere.");
    expect(mems_get(v_ptr + 14) == bytes + 14, "each address of a block can be translated");

    char word[10];
    expect(mems_read(v_ptr + 14, word, sizeof word) == 0, "mems_read reads inside a block");
    expect(strncmp(word, "elsewhere.", sizeof word) == 0, "it reads what was written");
    expect(mems_write(v_ptr + 995, word, sizeof word) == ERANGE, "mems_write does not go beyond the block");
}

static void other_space(void) {
    struct mems_space *space = mems_space_create(&(struct mems_space_options){.alignment = 16});
    expect(space != NULL, "there is memory for a space");
    void *v_ptr = mems_space_malloc(space, 1000);
    expect(((uintptr_t)v_ptr & 0xffffffffffff) == 1000, "a space has virtual addresses of its own");
    mems_space_free(space, v_ptr);
    expect(is(mems_space_malloc(space, 1000), (uintptr_t)v_ptr) == false, "they come with a generation above them");
    errno = 0;
    mems_space_free(space, v_ptr);
    expect(errno == EFAULT, "so a stale handle is found, although another block has the address");
    if (!quiet) {
        puts("\nA space of its own, where sizes are rounded up to 16 bytes");
        mems_space_print_stats(space);
    }
    mems_space_destroy(space);
}

int main(int argc, char **argv) {
    quiet = argc > 1 && strcmp(argv[1], "json") == 0;
    int mistakes = 0;
    mems_set_error_handler(on_error, &mistakes);

    void *v_ptrs[10];
    for (size_t i = 0; i < 10; i++) {
        v_ptrs[i] = mems_malloc(1000);
        expect(v_ptrs[i] != NULL, "there is memory for ten blocks");
    }
    expect(is(v_ptrs[0], 1000) && is(v_ptrs[3], 4000) && is(v_ptrs[4], 5096), "addresses run on from page to page");
    show("Ten blocks of 1000 bytes");
    use_block(v_ptrs[0]);

    mems_free(v_ptrs[3]);
    show("The fourth one is freed: it merges with the HOLE behind it");
    errno = 0;
    mems_free(v_ptrs[3]);
    expect(errno == EFAULT && mistakes == 2, "a double free is told, and harmless");
    expect(is(mems_malloc(1000), 4000), "the smallest HOLE that fits is taken");

    expect(is(mems_realloc(v_ptrs[9], 2000), 10192), "a block grows in place into the HOLE behind it");
    v_ptrs[1] = mems_realloc(v_ptrs[1], 5000);
    expect(is(v_ptrs[1], 13288), "without one it moves, here to two new pages");
    show("The last block has grown to 2000 bytes, the second one has moved for 5000");

    for (size_t i = 4; i < 8; i++) {
        mems_free(v_ptrs[i]);
    }
    expect(mems_trim() == 4096, "the page that is one HOLE goes back to the system");
    show("Four more are freed, and their page is trimmed: reserved addresses without memory");
    if (quiet) {
        mems_stats_json(stdout);
    }

    other_space();
    mems_finish();
    expect(mems_malloc(1000) == NULL && errno == EPERM && mistakes == 4, "after mems_finish there is no heap");
    return EXIT_SUCCESS;
}
