/* The C++ operators new and delete in all forms: they use this heap, and fail as the standard requires. */
/* With the argument "mismatch" it deletes a block with the wrong size, which must end it; with another one, the
 * operators take an alignment of 0 for none. */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <malloc.h>
#include <new>

#define CHECK(condition)                                                         \
    do {                                                                         \
        if (!(condition)) {                                                      \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            std::exit(1);                                                        \
        }                                                                        \
    } while (0)

static const std::size_t small = 100;
static const std::size_t huge = std::size_t(100) << 20;
static volatile std::size_t impossible = SIZE_MAX / 2 + 1;
static const std::align_val_t strict{4096};

static bool aligned(void *block, std::size_t alignment) {
    return reinterpret_cast<std::uintptr_t>(block) % alignment == 0;
}

static void check_block(void *block, std::size_t size, std::size_t alignment) {
    CHECK(block != nullptr);
    CHECK(aligned(block, alignment));
    CHECK(malloc_usable_size(block) >= size);
    std::memset(block, 1, size < small ? size : small);
}

/* Each new of `given` alignment with each delete that may take its block, which lies at a multiple of `least`. */
static void test_aligned_forms(std::size_t size, std::align_val_t given, std::size_t least) {
    void *block;
    check_block(block = operator new(size, given), size, least);
    operator delete(block, given);
    check_block(block = operator new(size, given), size, least);
    operator delete(block, size, given);
    check_block(block = operator new(size, given, std::nothrow), size, least);
    operator delete(block, given, std::nothrow);
    check_block(block = operator new[](size, given), size, least);
    operator delete[](block, given);
    check_block(block = operator new[](size, given), size, least);
    operator delete[](block, size, given);
    check_block(block = operator new[](size, given, std::nothrow), size, least);
    operator delete[](block, given, std::nothrow);
}

/* Each new with each delete that may take its block. */
static void test_forms(std::size_t size) {
    void *block;
    check_block(block = operator new(size), size, 16);
    operator delete(block);
    check_block(block = operator new(size), size, 16);
    operator delete(block, size);
    check_block(block = operator new(size, std::nothrow), size, 16);
    operator delete(block, std::nothrow);
    check_block(block = operator new[](size), size, 16);
    operator delete[](block);
    check_block(block = operator new[](size), size, 16);
    operator delete[](block, size);
    check_block(block = operator new[](size, std::nothrow), size, 16);
    operator delete[](block, std::nothrow);
    test_aligned_forms(size, strict, 4096);
}

static void test_null_and_zero() {
    operator delete(nullptr);
    operator delete(nullptr, small);
    operator delete[](nullptr);
    operator delete[](nullptr, small);
    operator delete(nullptr, strict);
    operator delete[](nullptr, small, strict);
    void *a = operator new(0);
    void *b = operator new(0);
    CHECK(a != nullptr && b != nullptr && a != b);
    operator delete(a, std::size_t(0));
    operator delete(b);
}

static std::size_t held() {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* new uses this heap: a huge block shows in its statistics. */
static void test_memory_is_this_heaps() {
    std::size_t before = held();
    char *block = new char[huge];
    CHECK(held() >= before + huge);
    delete[] block;
    CHECK(held() < before + huge);
}

template <class Function> static bool throws_bad_alloc(Function function) {
    try {
        function();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

static void test_failure_throws() {
    CHECK(throws_bad_alloc([] { return operator new(impossible); }));
    CHECK(throws_bad_alloc([] { return operator new[](impossible); }));
    CHECK(throws_bad_alloc([] { return operator new(impossible, strict); }));
    CHECK(throws_bad_alloc([] { return operator new[](impossible, strict); }));
    CHECK(operator new(impossible, std::nothrow) == nullptr);
    CHECK(operator new[](impossible, std::nothrow) == nullptr);
    CHECK(operator new(impossible, strict, std::nothrow) == nullptr);
    CHECK(operator new[](impossible, strict, std::nothrow) == nullptr);
}

static int handled;

static void handle_three_times() {
    if (++handled == 3) {
        std::set_new_handler(nullptr);
    }
}

static void handle_by_throwing() {
    handled++;
    throw std::bad_alloc();
}

template <class Function> static int times_handled(void (*handler)(), Function function) {
    handled = 0;
    std::set_new_handler(handler);
    function();
    std::set_new_handler(nullptr);
    return handled;
}

static void test_handler_is_called_until_it_gives_up() {
    CHECK(times_handled(handle_three_times, [] { CHECK(throws_bad_alloc([] { return operator new(impossible); })); }) ==
          3);
    CHECK(times_handled(handle_three_times,
                        [] { CHECK(throws_bad_alloc([] { return operator new[](impossible, strict); })); }) == 3);
    CHECK(times_handled(handle_three_times, [] { CHECK(operator new(impossible, std::nothrow) == nullptr); }) == 3);
    CHECK(times_handled(handle_by_throwing, [] { CHECK(throws_bad_alloc([] { return operator new(impossible); })); }) ==
          1);
}

/* If the handler throws, the nothrow forms return NULL all the same. */
static void test_nothrow_forms_catch() {
    CHECK(times_handled(handle_by_throwing, [] { CHECK(operator new(impossible, std::nothrow) == nullptr); }) == 1);
    CHECK(times_handled(handle_by_throwing, [] { CHECK(operator new[](impossible, std::nothrow) == nullptr); }) == 1);
    CHECK(times_handled(handle_by_throwing, [] { CHECK(operator new(impossible, strict, std::nothrow) == nullptr); }) ==
          1);
    CHECK(times_handled(handle_by_throwing,
                        [] { CHECK(operator new[](impossible, strict, std::nothrow) == nullptr); }) == 1);
}

int main(int count, char **arguments) {
    if (count > 1 && std::strcmp(arguments[1], "mismatch") == 0) {
        operator delete(operator new(small), huge);
        return 0;
    }
    for (std::size_t size : {std::size_t(0), std::size_t(1), small, std::size_t(5000), std::size_t(200000), huge}) {
        test_forms(size);
    }
    if (count > 1) {
        test_aligned_forms(small, std::align_val_t{0}, 16); // as with libc++; libstdc++'s operators refuse it
    }
    test_null_and_zero();
    test_memory_is_this_heaps();
    test_failure_throws();
    test_handler_is_called_until_it_gives_up();
    test_nothrow_forms_catch();
    return 0;
}
