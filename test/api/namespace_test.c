/*
 * namespace_test.c - a program may use the library's internal names with other types, and both keep working. Also
 * linked with the archives, where the linker might confuse them.
 */
#include "misuse/misuse.h"

static unsigned calls;

void fault(void);
void fault(void) {
    calls++;
}

int block_at(int x, int y);
int block_at(int x, int y) {
    calls++;
    return x + y;
}

double lock_take(double door);
double lock_take(double door) {
    calls++;
    return door;
}

const char *fmt_text(const char *format);
const char *fmt_text(const char *format) {
    calls++;
    return format;
}

extern double window;
double window = 2.5;
extern const char *registry;
const char *registry = "registry";
extern char spans[3];
char spans[3] = {1, 2, 3};
extern int heap_mine;
int heap_mine = 4;
extern int hmm_heap;
int hmm_heap = 5;

/* Small, large and huge blocks; realloc turns one into the next. */
static void use_heap(void) {
    for (size_t size = 1; size <= 64 << 20; size *= 4) {
        char *block = malloc(size);
        char *other = calloc(1, size);
        assert_true(block != NULL && other != NULL && other[size - 1] == 0);
        block[0] = 'a';
        block = realloc(block, 2 * size);
        assert_true(block != NULL && block[0] == 'a');
        free(other);
        free(block);
    }
}

static void the_heap_leaves_the_names_of_the_program_alone(void) {
    unsigned before = calls;
    use_heap();
    assert_int_equal(calls, before);
    assert_true(window == 2.5 && heap_mine == 4 && hmm_heap == 5);
    assert_string_equal(registry, "registry");
    assert_memory_equal(spans, "\1\2\3", 3);
}

static void the_program_leaves_the_names_of_the_heap_alone(void) {
    unsigned before = calls;
    fault();
    assert_int_equal(block_at(2, 3), 5);
    assert_true(lock_take(1.5) == 1.5);
    assert_string_equal(fmt_text("text"), "text");
    assert_int_equal(calls, before + 4);
    window = 3.5;
    registry = NULL;
    memset(spans, 0, sizeof spans);
    heap_mine = -1;
    hmm_heap = -1;
    use_heap();
    window = 2.5;
    registry = "registry";
    memcpy(spans, "\1\2\3", 3);
    heap_mine = 4;
    hmm_heap = 5;
}

static void a_double_free_is_a_fault_all_the_same(void) {
#if defined(LIBRARY_hmm) || defined(LIBRARY_hmm_static)
    expect_fault(free_twice, &(size_t){40}, "free(@): double free: a cached block of 40 bytes");
#else
    expect_fault(free_twice, &(size_t){40}, "free(@): double free: slot # of a 48-byte slab, cached");
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(the_heap_leaves_the_names_of_the_program_alone),
        PLAIN(the_program_leaves_the_names_of_the_heap_alone),
        PLAIN(a_double_free_is_a_fault_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
