// What mems.hpp gives C++ programs: allocators with allocate_at_least, memory resources, arenas with a scope.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <list>
#include <map>
#include <memory>
#include <memory_resource>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <malloc.h>
#include <mems.hpp>

static void check(bool right, const char *what, int line) {
    if (!right) {
        std::fprintf(stderr, "hpp_test: line %d: this is not so: %s\n", line, what);
        std::exit(EXIT_FAILURE);
    }
}
#define CHECK(condition) check(condition, #condition, __LINE__)

static struct mems_arena_stats stats_of(mems_arena *arena) {
    struct mems_arena_stats stats;
    mems_arena_stats(arena, &stats);
    return stats;
}

// malloc is this library's, as it is not if only the linker was told.
static void the_library_is_there() {
    void *block = std::malloc(100);
    CHECK(malloc_usable_size(block) == mems_good_size(100));
    std::free(block);
}

template <class Allocator> static void containers_work(const Allocator &allocator) {
    std::vector<int, typename std::allocator_traits<Allocator>::template rebind_alloc<int>> numbers(allocator);
    for (int i = 0; i < 100000; i++) {
        numbers.push_back(i);
    }
    for (int i = 0; i < 100000; i++) {
        CHECK(numbers[static_cast<std::size_t>(i)] == i);
    }
    std::list<int, typename std::allocator_traits<Allocator>::template rebind_alloc<int>> list(
        numbers.begin(), numbers.end(), allocator);
    list.remove_if([](int i) { return i % 3 == 0; });
    auto copy = list;
    auto moved = std::move(list);
    CHECK(copy == moved);
}

static void at_least_is_all_of_the_block() {
    mems::allocator<char> allocator;
    for (std::size_t count = 1; count < 300000; count += 1 + count / 5) {
        auto result = allocator.allocate_at_least(count);
        CHECK(result.count >= count && result.count == malloc_usable_size(result.ptr));
        std::memset(result.ptr, 1, result.count);
        allocator.deallocate(result.ptr, count);
    }
    mems::allocator<int[3]> threes;
    auto result = threes.allocate_at_least(5);
    CHECK(result.count == mems_good_size(60) / 12);
    threes.deallocate(result.ptr, result.count);
    bool thrown = false;
    try {
        (void)mems::allocator<int>().allocate(SIZE_MAX / 2);
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    CHECK(thrown);
}

struct alignas(256) wide {
    char bytes[300];
};

static void alignment_is_kept() {
    mems::arena arena("aligned");
    std::vector<wide, mems::allocator<wide>> here(10);
    std::vector<wide, mems::allocator<wide>> there(10, arena);
    CHECK(reinterpret_cast<std::uintptr_t>(here.data()) % 256 == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(there.data()) % 256 == 0);
}

static void an_arena_ends_with_its_scope() {
    const std::size_t before = mems_arena_list(nullptr, 0);
    {
        mems::arena arena("scope");
        {
            std::vector<int, mems::allocator<int>> numbers(1000, 7, arena);
            CHECK(stats_of(arena.get()).blocks == 1);
            containers_work(mems::allocator<int>(arena));
            CHECK(stats_of(arena.get()).blocks == 1);
        }
        CHECK(stats_of(arena.get()).blocks == 0);
        mems::arena other(std::move(arena));
        CHECK(arena.get() == nullptr && std::strcmp(stats_of(other.get()).name, "scope") == 0);
        arena = std::move(other);
        CHECK(other.get() == nullptr && mems_arena_list(nullptr, 0) == before + 1);
        CHECK(mems_arena_malloc(arena.get(), 10) != nullptr);
        arena.reset();
        CHECK(stats_of(arena.get()).blocks == 0);
        CHECK(mems::allocator<int>(arena) == mems::allocator<char>(arena));
        CHECK(mems::allocator<int>(arena) != mems::allocator<char>());
    }
    CHECK(mems_arena_list(nullptr, 0) == before);
}

static void resources_serve_polymorphic_containers() {
    mems::arena_resource resource("document");
    {
        std::pmr::map<std::pmr::string, std::pmr::vector<std::pmr::string>> words(&resource);
        for (int i = 0; i < 2000; i++) {
            words["the key of the entry " + std::pmr::string(std::to_string(i % 50), &resource)].emplace_back(
                "a text that is too long for the string itself to hold");
        }
        CHECK(words.size() == 50 && stats_of(resource.get()).blocks >= 2000);
    }
    CHECK(stats_of(resource.get()).blocks == 0);
    auto *left = new (resource.allocate(sizeof(std::pmr::string))) std::pmr::string(1000, 'x', &resource);
    CHECK(left->size() == 1000);
    std::thread([&] { resource.deallocate(resource.allocate(100), 100); }).join();
    resource.release();
    CHECK(stats_of(resource.get()).blocks == 0);
    std::pmr::vector<wide> wides(7, mems::malloc_resource());
    CHECK(reinterpret_cast<std::uintptr_t>(wides.data()) % 256 == 0);
    CHECK(*mems::malloc_resource() == *mems::malloc_resource() && !(resource == *mems::malloc_resource()));
}

int main() {
    the_library_is_there();
    containers_work(mems::allocator<int>());
    at_least_is_all_of_the_block();
    alignment_is_kept();
    an_arena_ends_with_its_scope();
    resources_serve_polymorphic_containers();
}
