/*
 * For page_size.sh, which compiles it with several definitions of PAGE_SIZE or none: prints what the heap makes of it.
 *
 * It includes only mems.h, which suffices for printf too.
 */
#include "mems.h"

/* Whether mems_init starts the heap, or the first allocation does. */
#ifdef INIT
#define START() printf("mems_init: %d\n", mems_init())
#else
#define START() ((void)0)
#endif

int main(void) {
    struct mems_stats stats;
    mems_finish(); /* has no effect before the start */
    START();
    void *first = mems_malloc(5000);
    if (first == NULL) {
        puts("no memory");
        return 0;
    }
    void *second = mems_calloc(1, 5000);
    second = mems_realloc(second, 6000);
    char *bytes = mems_get(second);
    bytes[5999] = 'a';
    mems_stats(&stats);
    printf("pages of %zu: %zu\n", stats.page_size, stats.pages);
    mems_print_stats();
    mems_free(first);
    mems_finish();
    return 0;
}
