/*
 * sites.c - a program that allocates at known places, and prints how much: "site FUNCTION BLOCKS BYTES" for what is
 * live, "peak FUNCTION BLOCKS BYTES" and "allocated FUNCTION BLOCKS BYTES". With an argument it then makes that kind of
 * mistake.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEPT 400000

static void *kept[KEPT];
static size_t count;

static void *keep(void *block) {
    kept[count++ % KEPT] = block;
    return block;
}

#define SITE __attribute__((noinline)) void

static inline __attribute__((always_inline)) void *inlined(size_t size) {
    void *block = malloc(size);
    __asm__ volatile("" : "+r"(block));
    return block;
}

SITE small_site(void);
SITE mixed_site(void);
SITE large_site(void);
SITE zeroed_site(void);
SITE resized_site(void);
SITE dropped_site(void);
SITE thread_site(void);
SITE leak_site(void);

SITE small_site(void) {
    keep(inlined(48));
}

SITE mixed_site(void) {
    static size_t size;
    size = (size + 331) % 3000 + 1;
    keep(malloc(size));
}

SITE large_site(void) {
    memset(keep(malloc(300000)), 1, 300000);
}

SITE zeroed_site(void) {
    keep(calloc(10, 100));
}

SITE resized_site(void) {
    keep(realloc(malloc(10), 5000));
}

SITE dropped_site(void) {
    keep(malloc(700));
}

SITE leak_site(void) {
    keep(malloc(1500));
}

SITE thread_site(void) {
    keep(malloc(2000));
}

static void wake(int number) {
    (void)number;
}

static void *in_thread(void *unused) {
    (void)unused;
    for (int i = 0; i < 5000; i++) {
        thread_site();
    }
    return NULL;
}

static void tell(const char *what, const char *site, size_t blocks, size_t bytes) {
    printf("%s %s %zu %zu\n", what, site, blocks, bytes);
}

static void repeat(void (*site)(void), int times) {
    for (int i = 0; i < times; i++) {
        site();
    }
}

static void allocate(void) {
    pthread_t thread;
    repeat(small_site, 100000);
    repeat(mixed_site, 9000);
    repeat(large_site, 30);
    repeat(zeroed_site, 8000);
    repeat(resized_site, 3000);
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
    size_t mixed = 0;
    for (size_t i = 0, size = 0; i < 9000; i++) {
        size = (size + 331) % 3000 + 1;
        mixed += size;
    }
    const struct {
        const char *name;
        size_t blocks;
        size_t bytes;
    } sites[] = {
        {"small_site", 100000, 4800000}, {"mixed_site", 9000, mixed},      {"large_site", 30, 9000000},
        {"zeroed_site", 8000, 8000000},  {"resized_site", 3000, 15000000}, {"thread_site", 5000, 10000000},
    };
    for (size_t i = 0; i < sizeof sites / sizeof *sites; i++) {
        tell("site", sites[i].name, sites[i].blocks, sites[i].bytes);
        tell("peak", sites[i].name, sites[i].blocks, sites[i].bytes);
    }
    /* Live at the peak, and freed since. */
    const size_t before = count;
    repeat(dropped_site, 20000);
    for (size_t i = before; i < count; i++) {
        free(kept[i]);
    }
    count = before;
    tell("peak", "dropped_site", 20000, 14000000);
    for (int i = 0; i < 100; i++) {
        repeat(dropped_site, 100);
        for (size_t at = before; at < count; at++) {
            free(kept[at]);
        }
        count = before;
    }
    tell("allocated", "dropped_site", 30000, 21000000);
}

/* --- Mistakes ----------------------------------------------------------------------------------------------------- */

static char *block;

SITE take_block(void);
SITE drop_block(void);
SITE touch(size_t at);

SITE take_block(void) {
    block = malloc(100);
    block[0] = 1;
}

SITE drop_block(void) {
    free(block);
    __asm__ volatile("");
}

SITE touch(size_t at) {
    ((volatile char *)block)[at] = 1;
}

static void *drop_in_thread(void *unused) {
    (void)unused;
    keep(malloc(7));
    drop_block();
    return NULL;
}

static void blunder(const char *kind) {
    pthread_t thread;
    take_block();
    if (strcmp(kind, "late") == 0) {
        pthread_create(&thread, NULL, drop_in_thread, NULL);
        pthread_join(thread, NULL);
        touch(10);
    } else if (strcmp(kind, "behind") == 0) {
        touch(112 + 5);
    }
}

int main(int words_count, char **words) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (words_count > 1) {
        blunder(words[1]);
        return 0;
    }
    allocate();
    puts("nothing 0");
    signal(SIGUSR1, wake);
    pause();
    repeat(leak_site, 20000);
    puts("leaked 0");
    for (;;) {
        pause();
    }
}
