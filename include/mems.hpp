/*
 * mems.hpp - libmems for C++17 and later: allocators and memory resources over malloc and over arenas.
 *
 * new, delete and std::allocator use the replaced malloc, and need no header. This one is for arenas, and for the true
 * size of a block. Nothing here is compiled into the library; it needs no C++ runtime. Memory comes from
 * mems_alloc_at_least and mems_arena_malloc (mems.h), with their contracts; where those return NULL, these throw
 * std::bad_alloc, as the standard requires.
 */
#ifndef MEMS_HPP
#define MEMS_HPP

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <memory_resource>
#include <new>
#include <type_traits>
#include <utility>

#include "mems.h"

namespace mems {

/*
 * An arena that ends with its scope. It can be moved; one that was moved from allocates from malloc. The functions are
 * those of mems.h, and any thread may call them.
 */
class arena {
  public:
    explicit arena(const char *name = "") : handle_(mems_arena_create(name)) {
        if (handle_ == nullptr) {
            throw std::bad_alloc();
        }
    }
    arena(arena &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    arena &operator=(arena &&other) noexcept {
        if (this != &other) {
            mems_arena_destroy(handle_);
            handle_ = std::exchange(other.handle_, nullptr);
        }
        return *this;
    }
    arena(const arena &) = delete;
    arena &operator=(const arena &) = delete;
    ~arena() {
        mems_arena_destroy(handle_);
    }

    /* Ends all blocks, but runs no destructors. */
    void reset() noexcept {
        mems_arena_reset(handle_);
    }

    /* The handle of mems.h; the arena keeps it. */
    mems_arena *get() const noexcept {
        return handle_;
    }

  private:
    mems_arena *handle_;
};

namespace detail {

inline void *allocate(mems_arena *arena, std::size_t bytes, std::size_t alignment) {
    void *block = alignment <= alignof(std::max_align_t) ? mems_arena_malloc(arena, bytes)
                                                         : mems_arena_aligned_alloc(arena, alignment, bytes);
    if (block == nullptr) {
        throw std::bad_alloc();
    }
    return block;
}

} // namespace detail

#if defined(__cpp_lib_allocate_at_least)
template <class Pointer> using allocation_result = std::allocation_result<Pointer, std::size_t>;
#else
/* std::allocation_result of C++23. */
template <class Pointer> struct allocation_result {
    Pointer ptr;
    std::size_t count;
};
#endif

/*
 * An allocator for containers: over malloc, or over an arena, which must outlive the container. It has
 * allocate_at_least, so a container that uses it (C++23) grows into the whole of a block. Allocators are equal if they
 * have the same arena, and propagate when a container is copied, moved or swapped.
 */
template <class T> class allocator {
  public:
    using value_type = T;
    using size_type = std::size_t;
    using difference_type = std::ptrdiff_t;
    using propagate_on_container_copy_assignment = std::true_type;
    using propagate_on_container_move_assignment = std::true_type;
    using propagate_on_container_swap = std::true_type;
    using is_always_equal = std::false_type;

    allocator() noexcept = default;
    allocator(mems_arena *arena) noexcept : arena_(arena) {}
    allocator(const mems::arena &arena) noexcept : arena_(arena.get()) {}
    template <class U> allocator(const allocator<U> &other) noexcept : arena_(other.arena()) {}

    [[nodiscard]] T *allocate(std::size_t count) {
        return take(bytes_of(count));
    }

    [[nodiscard]] allocation_result<T *> allocate_at_least(std::size_t count) {
        const std::size_t bytes = bytes_of(count);
        const std::size_t good = alignof(T) <= alignof(std::max_align_t) ? mems_good_size(bytes) : bytes;
        return {take(good), good / sizeof(T)};
    }

    void deallocate(T *block, std::size_t) noexcept {
        mems_arena_free(arena_, block);
    }

    mems_arena *arena() const noexcept {
        return arena_;
    }

  private:
    static std::size_t bytes_of(std::size_t count) {
        if (count > std::numeric_limits<std::ptrdiff_t>::max() / sizeof(T)) {
            throw std::bad_array_new_length();
        }
        return count * sizeof(T);
    }

    T *take(std::size_t bytes) {
        return static_cast<T *>(detail::allocate(arena_, bytes, alignof(T)));
    }

    mems_arena *arena_ = nullptr;
};

template <class T, class U> bool operator==(const allocator<T> &a, const allocator<U> &b) noexcept {
    return a.arena() == b.arena();
}
template <class T, class U> bool operator!=(const allocator<T> &a, const allocator<U> &b) noexcept {
    return !(a == b);
}

/*
 * A memory resource with its own arena, for std::pmr containers. release() frees all of it at once, like that of
 * std::pmr::monotonic_buffer_resource; but freed blocks are used again, and any thread may use the resource.
 */
class arena_resource : public std::pmr::memory_resource {
  public:
    explicit arena_resource(const char *name = "") : arena_(name) {}
    arena_resource(const arena_resource &) = delete;
    arena_resource &operator=(const arena_resource &) = delete;

    void release() noexcept {
        arena_.reset();
    }
    mems_arena *get() const noexcept {
        return arena_.get();
    }

  private:
    void *do_allocate(std::size_t bytes, std::size_t alignment) override {
        return detail::allocate(arena_.get(), bytes, alignment);
    }
    void do_deallocate(void *block, std::size_t, std::size_t) override {
        mems_arena_free(arena_.get(), block);
    }
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override {
        return this == &other;
    }

    mems::arena arena_;
};

/*
 * The memory resource over malloc: std::pmr::new_delete_resource without the detour over operator new. Lives as long as
 * the program.
 */
inline std::pmr::memory_resource *malloc_resource() noexcept {
    class resource final : public std::pmr::memory_resource {
        void *do_allocate(std::size_t bytes, std::size_t alignment) override {
            return detail::allocate(nullptr, bytes, alignment);
        }
        void do_deallocate(void *block, std::size_t, std::size_t) override {
            std::free(block);
        }
        bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override {
            return this == &other;
        }
    };
    static resource malloc_resource;
    return &malloc_resource;
}

} // namespace mems

#endif
