/*
 * space_test.c - the MeMS heap as its user sees it: pictures, errors, and the bytes.
 */
#include "support/test.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mems.h"

static const char empty_picture[] = "----- MeMS SYSTEM STATS -----\n"
                                    "Pages used:\t0\n"
                                    "Space unused:\t0\n"
                                    "Main Chain Length:\t0\n"
                                    "Sub-chain Length array: []\n"
                                    "-----------------------------\n";

static const char ten_picture[] =
    "----- MeMS SYSTEM STATS -----\n"
    "MAIN[1000:5095]-> P[1000:1999] <-> P[2000:2999] <-> P[3000:3999] <-> P[4000:4999] <-> H[5000:5095] <-> NULL\n"
    "MAIN[5096:9191]-> P[5096:6095] <-> P[6096:7095] <-> P[7096:8095] <-> P[8096:9095] <-> H[9096:9191] <-> NULL\n"
    "MAIN[9192:13287]-> P[9192:10191] <-> P[10192:11191] <-> H[11192:13287] <-> NULL\n"
    "Pages used:\t3\n"
    "Space unused:\t2288\n"
    "Main Chain Length:\t3\n"
    "Sub-chain Length array: [5, 5, 3, ]\n"
    "-----------------------------\n";

static const char fourth_freed_picture[] =
    "----- MeMS SYSTEM STATS -----\n"
    "MAIN[1000:5095]-> P[1000:1999] <-> P[2000:2999] <-> P[3000:3999] <-> H[4000:5095] <-> NULL\n"
    "MAIN[5096:9191]-> P[5096:6095] <-> P[6096:7095] <-> P[7096:8095] <-> P[8096:9095] <-> H[9096:9191] <-> NULL\n"
    "MAIN[9192:13287]-> P[9192:10191] <-> P[10192:11191] <-> H[11192:13287] <-> NULL\n"
    "Pages used:\t3\n"
    "Space unused:\t3288\n"
    "Main Chain Length:\t3\n"
    "Sub-chain Length array: [4, 5, 3, ]\n"
    "-----------------------------\n";

/* --- Help -------------------------------------------------------------------------------------------------------- */

/* The text that a file descriptor receives between two calls. */
struct capture {
    int fd;
    int saved;
    FILE *file;
    char text[4096];
};

static void capture_begin(struct capture *capture, int fd) {
    fflush(NULL);
    capture->fd = fd;
    capture->saved = dup(fd);
    capture->file = tmpfile();
    assert_non_null(capture->file);
    assert_true(capture->saved >= 0 && dup2(fileno(capture->file), fd) == fd);
}

static void capture_end(struct capture *capture) {
    fflush(NULL);
    dup2(capture->saved, capture->fd);
    close(capture->saved);
    rewind(capture->file);
    capture->text[fread(capture->text, 1, sizeof capture->text - 1, capture->file)] = '\0';
    fclose(capture->file);
}

static void assert_picture(const char *expected) {
    struct capture capture;
    char *text = NULL;
    size_t length = 0;
    capture_begin(&capture, STDOUT_FILENO);
    mems_print_stats();
    capture_end(&capture);
    assert_string_equal(capture.text, expected);
    FILE *stream = open_memstream(&text, &length);
    mems_fprint_stats(stream);
    fclose(stream);
    assert_string_equal(text, expected);
    free(text);
}

static char *v(uintptr_t v_address) {
    return (char *)v_address;
}

static void start(void) {
    mems_finish();
    assert_int_equal(mems_init(), 0);
}

/* The blocks 1000:1999, 2000:2999, ... */
static void start_with_ten(void) {
    static const uintptr_t expected[] = {1000, 2000, 3000, 4000, 5096, 6096, 7096, 8096, 9192, 10192};
    start();
    for (size_t i = 0; i < 10; i++) {
        assert_ptr_equal(mems_malloc(1000), v(expected[i]));
    }
}

/* --- Pictures ---------------------------------------------------------------------------------------------------- */

static void the_picture_shows_blocks_and_holes(void) {
    assert_picture(ten_picture);
    mems_free(v(4000));
    assert_picture(fourth_freed_picture);
    assert_ptr_equal(mems_malloc(1000), v(4000));
    assert_picture(ten_picture);
}

static void a_heap_that_begins_again_is_empty(void) {
    assert_picture(empty_picture);
    assert_ptr_equal(mems_malloc(5000), v(1000));
    assert_ptr_equal(mems_malloc(1), v(6000));
    assert_picture("----- MeMS SYSTEM STATS -----\n"
                   "MAIN[1000:9191]-> P[1000:5999] <-> P[6000:6007] <-> H[6008:9191] <-> NULL\n"
                   "Pages used:\t2\n"
                   "Space unused:\t3184\n"
                   "Main Chain Length:\t1\n"
                   "Sub-chain Length array: [3, ]\n"
                   "-----------------------------\n");
    mems_finish();
    assert_int_equal(mems_init(), 0);
    assert_picture(empty_picture);
    assert_ptr_equal(mems_malloc(1000), v(1000));
}

static void the_picture_after_a_trim_has_fewer_pages(void) {
    assert_ptr_equal(mems_malloc(100), v(1000));
    assert_ptr_equal(mems_malloc(20000), v(5096));
    mems_free(v(5096));
    assert_int_equal(mems_trim(), 20480);
    assert_picture("----- MeMS SYSTEM STATS -----\n"
                   "MAIN[1000:5095]-> P[1000:1103] <-> H[1104:5095] <-> NULL\n"
                   "MAIN[5096:25575]-> H[5096:25575] <-> NULL\n"
                   "Pages used:\t1\n"
                   "Space unused:\t24472\n"
                   "Main Chain Length:\t2\n"
                   "Sub-chain Length array: [2, 1, ]\n"
                   "-----------------------------\n");
}

/* --- Bad input --------------------------------------------------------------------------------------------------- */

/* An error handler that uses the heap, as it may. */
struct heard {
    unsigned count;
    struct mems_error error;
    char text[256];
};

static void hear(const struct mems_error *error, void *context) {
    struct heard *heard = context;
    struct mems_stats stats;
    heard->count++;
    heard->error = *error;
    strncpy(heard->text, error->text, sizeof heard->text - 1);
    mems_stats(&stats);
    mems_free(mems_malloc(24));
    assert_non_null(mems_get(v(1000)));
}

/*
 * Checks an erroneous expression: its value as an integer, errno, and the line on standard error; then that a handler
 * gets the same with the function's name, and standard error nothing. The heap is unchanged: the picture of ten blocks
 * without the fourth.
 */
#define ASSERT_ERROR(call, value, number, v_address, line)           \
    do {                                                             \
        struct capture err;                                          \
        struct heard heard = {0};                                    \
        for (int handled = 0; handled < 2; handled++) {              \
            mems_set_error_handler(handled ? hear : NULL, &heard);   \
            capture_begin(&err, STDERR_FILENO);                      \
            errno = 0;                                               \
            uintptr_t result = (uintptr_t)(call);                    \
            int error = errno;                                       \
            capture_end(&err);                                       \
            mems_set_error_handler(NULL, NULL);                      \
            assert_string_equal(err.text, handled ? "" : line "\n"); \
            assert_int_equal(error, number);                         \
            assert_int_equal(result, (uintptr_t)(value));            \
            assert_picture(fourth_freed_picture);                    \
        }                                                            \
        assert_heard(&heard, number, (uintptr_t)(v_address), line);  \
    } while (0)

static void assert_heard(const struct heard *heard, int error, uintptr_t v_address, const char *line) {
    assert_int_equal(heard->count, 1);
    assert_int_equal(heard->error.error, error);
    assert_int_equal(heard->error.address, v_address);
    assert_string_equal(heard->text, line);
    size_t length = strlen(heard->error.function);
    assert_memory_equal(heard->error.function, line, length);
    assert_int_equal(line[length], ':');
}

/* Keeps the compiler from warning about deliberate mistakes. */
static size_t amount(size_t size) {
    volatile size_t hidden = size;
    return hidden;
}

static void start_with_nine(void) {
    start_with_ten();
    mems_free(v(4000));
}

static void a_request_that_cannot_be_granted_is_an_error(void) {
    ASSERT_ERROR(mems_malloc(0), NULL, ENOMEM, 0, "mems_malloc: cannot allocate a block of 0 bytes");
    ASSERT_ERROR(mems_malloc(amount(SIZE_MAX)), NULL, ENOMEM, 0,
                 "mems_malloc: 18446744073709551615 bytes are more than a block can hold");
    ASSERT_ERROR(mems_malloc(amount((size_t)PTRDIFF_MAX + 1)), NULL, ENOMEM, 0,
                 "mems_malloc: 9223372036854775808 bytes are more than a block can hold");
    ASSERT_ERROR(mems_malloc(amount((size_t)1 << 60)), NULL, ENOMEM, 0,
                 "mems_malloc: cannot get memory for 1152921504606846976 bytes (mmap failed)");
    ASSERT_ERROR(mems_malloc(amount(PTRDIFF_MAX)), NULL, ENOMEM, 0,
                 "mems_malloc: cannot get memory for 9223372036854775807 bytes (mmap failed)");
    ASSERT_ERROR(mems_calloc(amount((size_t)1 << 33), (size_t)1 << 33), NULL, ENOMEM, 0,
                 "mems_calloc: that many elements of 8589934592 bytes are more than a block can hold");
    ASSERT_ERROR(mems_calloc(3, 0), NULL, ENOMEM, 0, "mems_calloc: cannot allocate a block of 0 bytes");
    ASSERT_ERROR(mems_calloc(amount((size_t)1 << 30), (size_t)1 << 30), NULL, ENOMEM, 0,
                 "mems_calloc: cannot get memory for 1152921504606846976 bytes (mmap failed)");
    ASSERT_ERROR(mems_realloc(v(1000), amount(SIZE_MAX)), NULL, ENOMEM, 0,
                 "mems_realloc: 18446744073709551615 bytes are more than a block can hold");
    ASSERT_ERROR(mems_realloc(v(1000), amount((size_t)1 << 60)), NULL, ENOMEM, 0,
                 "mems_realloc: cannot get memory for 1152921504606846976 bytes (mmap failed)");
    struct mems_stats stats;
    mems_stats(&stats);
    assert_int_equal(stats.failures, 2 * 10);
}

#define INSIDE "3008 is inside the block 3000:3999, not its start"
#define HOLE "4000 is in the HOLE 4000:5095: freed before, or never handed out"
#define UNKNOWN "13288 was never handed out"

static void an_address_of_no_block_is_an_error(void) {
    ASSERT_ERROR((mems_free(v(3008)), 0), 0, EINVAL, 3008, "mems_free: " INSIDE);
    ASSERT_ERROR((mems_free(v(4000)), 0), 0, EFAULT, 4000, "mems_free: " HOLE);
    ASSERT_ERROR((mems_free(v(13288)), 0), 0, EFAULT, 13288, "mems_free: " UNKNOWN);
    ASSERT_ERROR((mems_free(v(999)), 0), 0, EFAULT, 999, "mems_free: 999 was never handed out");
    ASSERT_ERROR((mems_free(v(UINTPTR_MAX)), 0), 0, EFAULT, UINTPTR_MAX,
                 "mems_free: 18446744073709551615 was never handed out");
    ASSERT_ERROR(mems_realloc(v(3008), 8), NULL, EINVAL, 3008, "mems_realloc: " INSIDE);
    ASSERT_ERROR(mems_realloc(v(4000), 8), NULL, EFAULT, 4000, "mems_realloc: " HOLE);
    ASSERT_ERROR(mems_realloc(v(4000), 0), NULL, EFAULT, 4000, "mems_realloc: " HOLE);
    ASSERT_ERROR(mems_realloc(v(13288), 8), NULL, EFAULT, 13288, "mems_realloc: " UNKNOWN);
    ASSERT_ERROR(mems_usable_size(v(3008)), 0, EINVAL, 3008, "mems_usable_size: " INSIDE);
    ASSERT_ERROR(mems_usable_size(v(4000)), 0, EFAULT, 4000, "mems_usable_size: " HOLE);
    ASSERT_ERROR(mems_get(v(4000)), NULL, EFAULT, 4000, "mems_get: " HOLE);
    ASSERT_ERROR(mems_get(v(5095)), NULL, EFAULT, 5095,
                 "mems_get: 5095 is in the HOLE 4000:5095: freed before, or never handed out");
    ASSERT_ERROR(mems_get(v(13288)), NULL, EFAULT, 13288, "mems_get: " UNKNOWN);
    ASSERT_ERROR(mems_get(NULL), NULL, EFAULT, 0, "mems_get: 0 was never handed out");
    errno = 4711;
    mems_free(NULL);
    assert_int_equal(mems_usable_size(NULL), 0);
    assert_int_equal(errno, 4711);
}

static void a_copy_beyond_a_block_is_an_error(void) {
    static char buffer[2000];
    ASSERT_ERROR(mems_read(v(3008), buffer, 993), ERANGE, ERANGE, 3008,
                 "mems_read: 993 bytes from 3008 on go beyond the block 3000:3999");
    ASSERT_ERROR(mems_write(v(3000), buffer, 1001), ERANGE, ERANGE, 3000,
                 "mems_write: 1001 bytes from 3000 on go beyond the block 3000:3999");
    ASSERT_ERROR(mems_write(v(3999), buffer, amount(SIZE_MAX)), ERANGE, ERANGE, 3999,
                 "mems_write: 18446744073709551615 bytes from 3999 on go beyond the block 3000:3999");
    ASSERT_ERROR(mems_read(v(4000), buffer, 1), EFAULT, EFAULT, 4000, "mems_read: " HOLE);
    ASSERT_ERROR(mems_write(v(13288), buffer, 0), EFAULT, EFAULT, 13288, "mems_write: " UNKNOWN);
    ASSERT_ERROR(mems_read(v(3000), NULL, 8), EINVAL, EINVAL, 3000, "mems_read: cannot copy 8 bytes from or to NULL");
    ASSERT_ERROR(mems_write(v(3000), NULL, 8), EINVAL, EINVAL, 3000, "mems_write: cannot copy 8 bytes from or to NULL");
    errno = 0;
    assert_int_equal(mems_read(v(3000), NULL, 0), 0);
    assert_int_equal(mems_write(v(3999), buffer, 1), 0);
    assert_int_equal(errno, 0);
}

static void a_space_that_cannot_be_is_an_error(void) {
    ASSERT_ERROR(mems_space_create(&(struct mems_space_options){.page_size = 5000}), NULL, EINVAL, 0,
                 "mems_space_create: a PAGE_SIZE of 5000 is not a multiple of the system's page size, 4096");
    ASSERT_ERROR(mems_space_create(&(struct mems_space_options){.alignment = 24}), NULL, EINVAL, 0,
                 "mems_space_create: an alignment of 24 is neither 8 nor 16");
    ASSERT_ERROR(mems_space_malloc(NULL, 8), NULL, EINVAL, 0, "mems_space_malloc: the space is NULL");
    ASSERT_ERROR(mems_space_walk(NULL, NULL, NULL), -1, EINVAL, 0, "mems_space_walk: the space is NULL");
    ASSERT_ERROR((mems_space_destroy(NULL), 0), 0, EINVAL, 0, "mems_space_destroy: the space is NULL");
    mems_set_page_size(8192);
    ASSERT_ERROR((mems_init)(), EBUSY, EBUSY, 0, "mems_init: the heap is in use with a PAGE_SIZE of 4096");
    mems_set_page_size(4096);
}

static unsigned lines(const char *text, const char *end_of_line) {
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, end_of_line)) != NULL; at++) {
        count++;
    }
    return count;
}

static int visit_nothing(const struct mems_segment *segment, void *context) {
    (void)segment;
    (void)context;
    return 1;
}

/* All functions report the same, and only mems_init starts the heap again. */
static void every_call_after_the_end_is_an_error(void) {
    struct capture err;
    struct mems_stats stats;
    char buffer[8];
    mems_finish();
    capture_begin(&err, STDERR_FILENO);
    errno = 0;
    void *block = mems_malloc(8);
    int error = errno;
    bool failed = mems_calloc(1, 8) == NULL && mems_realloc(NULL, 8) == NULL && mems_realloc(v(1000), 8) == NULL &&
                  mems_get(v(1000)) == NULL && mems_usable_size(v(1000)) == 0 && mems_trim() == 0 &&
                  mems_read(v(1000), buffer, 8) == EPERM && mems_write(v(1000), buffer, 8) == EPERM &&
                  mems_walk(visit_nothing, NULL) == -1;
    mems_free(v(1000));
    mems_print_stats();
    mems_fprint_stats(stderr);
    mems_stats_json(stderr);
    mems_stats(&stats);
    mems_finish();
    capture_end(&err);
    assert_null(block);
    assert_int_equal(error, EPERM);
    assert_true(failed);
    assert_memory_equal(err.text, "mems_malloc: called after mems_finish\n", 38);
    assert_int_equal(lines(err.text, ": called after mems_finish\n"), 16);
    assert_int_equal(lines(err.text, ": 1000 belongs to a heap that has ended: called after mems_finish\n"), 6);
    assert_int_equal(lines(err.text, "\n"), 16);
    assert_int_equal(mems_init(), 0);
    assert_ptr_equal(mems_malloc(8), v(1000));
}

/* --- Blocks ------------------------------------------------------------------------------------------------------ */

static void assert_all(const char *bytes, char value, size_t size) {
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(bytes[i], value);
    }
}

static void an_address_inside_a_block_is_translated(void) {
    char *physical = mems_get(v(5096));
    memset(physical, 'a', 1000);
    for (uintptr_t i = 0; i < 1000; i++) {
        assert_ptr_equal(mems_get(v(5096 + i)), physical + i);
    }
    assert_ptr_equal(mems_get(v(6096)), physical + 1000);
    assert_int_equal((uintptr_t)physical % 8, 0);
    assert_int_equal(mems_usable_size(v(5096)), 1000);
    assert_all(physical, 'a', 1000);
}

static void read_and_write_copy(void) {
    char buffer[16] = {0};
    assert_int_equal(mems_write(v(2010), "something", 9), 0);
    assert_int_equal(mems_read(v(2014), buffer, 5), 0);
    assert_string_equal(buffer, "thing");
    assert_memory_equal(mems_get(v(2010)), "something", 9);
}

static void realloc_grows_into_the_next_hole(void) {
    mems_free(v(2000));
    mems_free(v(3000));
    char *physical = mems_get(v(1000));
    memset(physical, 'a', 1000);
    assert_ptr_equal(mems_realloc(v(1000), 2000), v(1000));
    assert_ptr_equal(mems_realloc(v(1000), 3000), v(1000)); /* to the end of the HOLE */
    assert_ptr_equal(mems_get(v(1000)), physical);
    assert_all(physical, 'a', 1000);
    assert_int_equal(mems_usable_size(v(1000)), 3000);
    assert_ptr_equal(mems_realloc(v(1000), 1), v(1000));
    assert_int_equal(mems_usable_size(v(1000)), 8);
    assert_ptr_equal(mems_malloc(2992), v(1008)); /* the remainder */
}

static void realloc_moves_a_block_that_cannot_grow(void) {
    memset(mems_get(v(1000)), 'a', 1000);
    assert_ptr_equal(mems_realloc(v(1000), 1001), v(11192));
    assert_all(mems_get(v(11192)), 'a', 1000);
    assert_ptr_equal(mems_malloc(1000), v(1000));
    assert_ptr_equal(mems_realloc(NULL, 500), v(12200));
    errno = 0;
    assert_null(mems_realloc(v(12200), 0));
    assert_int_equal(errno, 0);
    assert_ptr_equal(mems_malloc(500), v(12200));
}

static void calloc_clears_recycled_memory(void) {
    memset(mems_get(v(3000)), 'a', 1000);
    mems_free(v(3000));
    assert_ptr_equal(mems_calloc(111, 9), v(3000));
    assert_all(mems_get(v(3000)), 0, 1000);
    void *large = mems_calloc(3, 5000);
    assert_all(mems_get(large), 0, 15000);
}

static void spaces_are_apart(void) {
    struct mems_space *space =
        mems_space_create(&(struct mems_space_options){.page_size = 8192, .alignment = 16, .generations = -1});
    struct mems_space *other = mems_space_create(&(struct mems_space_options){.generations = -1});
    assert_non_null(space);
    assert_non_null(other);
    assert_ptr_equal(mems_space_malloc(space, 1), v(1000));
    assert_ptr_equal(mems_space_malloc(space, 8170), v(1016));
    assert_ptr_equal(mems_space_malloc(other, 9), v(1000));
    assert_int_equal((uintptr_t)mems_space_get(space, v(1016)) % 16, 0);
    assert_int_equal(mems_space_usable_size(space, v(1000)), 16);
    assert_int_equal(mems_space_usable_size(other, v(1000)), 16);
    assert_ptr_not_equal(mems_space_get(space, v(1000)), mems_space_get(other, v(1000)));
    assert_ptr_not_equal(mems_space_get(space, v(1000)), mems_get(v(1000)));
    struct mems_stats stats;
    mems_space_stats(space, &stats);
    assert_int_equal(stats.page_size, 8192);
    assert_int_equal(stats.pages, 1);
    assert_int_equal(stats.processes, 2);
    mems_space_free(space, v(1000));
    mems_space_destroy(other);
    assert_picture(ten_picture);
    mems_space_stats(space, &stats);
    assert_int_equal(stats.hole_bytes, 16);
    mems_space_destroy(space);
}

/* visit may do anything, and ends the walk by its result. */
static int free_third(const struct mems_segment *segment, void *context) {
    unsigned *visits = context;
    if (++*visits == 3) {
        mems_free((void *)segment->start);
        return 4711;
    }
    return 0;
}

static void a_walk_ends_when_it_is_told_to(void) {
    unsigned visits = 0;
    assert_int_equal(mems_walk(free_third, &visits), 4711);
    assert_int_equal(visits, 3);
    assert_ptr_equal(mems_malloc(1000), v(3000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN_WITH(the_picture_shows_blocks_and_holes, start_with_ten, NULL),
        PLAIN_WITH(a_heap_that_begins_again_is_empty, start, NULL),
        PLAIN_WITH(the_picture_after_a_trim_has_fewer_pages, start, NULL),
        PLAIN_WITH(a_request_that_cannot_be_granted_is_an_error, start_with_nine, NULL),
        PLAIN_WITH(an_address_of_no_block_is_an_error, start_with_nine, NULL),
        PLAIN_WITH(a_copy_beyond_a_block_is_an_error, start_with_nine, NULL),
        PLAIN_WITH(a_space_that_cannot_be_is_an_error, start_with_nine, NULL),
        PLAIN_WITH(every_call_after_the_end_is_an_error, start_with_ten, NULL),
        PLAIN_WITH(an_address_inside_a_block_is_translated, start_with_ten, NULL),
        PLAIN_WITH(read_and_write_copy, start_with_ten, NULL),
        PLAIN_WITH(realloc_grows_into_the_next_hole, start_with_ten, NULL),
        PLAIN_WITH(realloc_moves_a_block_that_cannot_grow, start_with_ten, NULL),
        PLAIN_WITH(calloc_clears_recycled_memory, start_with_ten, NULL),
        PLAIN_WITH(spaces_are_apart, start_with_ten, NULL),
        PLAIN_WITH(a_walk_ends_when_it_is_told_to, start_with_ten, NULL),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
