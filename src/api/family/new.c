/*
 * new.c - the C++ operators new and delete in all their forms, in C.
 *
 * The names are mangled for a size_t that is unsigned long. [new.delete] has four base forms, which allocate and free,
 * and sixteen derived ones, which call those. A program may replace any of them, and the others must then call its
 * replacement. So each derived form calls its base by its public name, which the dynamic linker may have bound to the
 * program's, and uses its knowledge of the heap only if the base is ours. The definitions are weak so that no compiler
 * assumes the answer.
 *
 * Only for the shared library. A C++ runtime is not needed, and is looked for only after a failed allocation. A static
 * C++ program has its runtime's operators, which call malloc.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/family/backend.h"
#include "base/bits.h"
#include "base/compiler.h"
#include "base/fmt.h"
#include "os/os.h"

#define OPERATOR EXPORT __attribute__((weak))
#define OPERATOR_IS(function) EXPORT __attribute__((weak, alias(function)))

/* std::nothrow_t by reference; nobody reads it. */
struct nothrow;

/* The base forms: plain, and aligned (std::align_val_t is a size_t). */
static void *new_plain(size_t size);
static void *new_aligned(size_t size, size_t alignment);
static void delete_plain(void *block);
static void delete_aligned(void *block, size_t alignment);
void *_Znwm(size_t size) OPERATOR_IS("new_plain");
void *_ZnwmSt11align_val_t(size_t size, size_t alignment) OPERATOR_IS("new_aligned");
void _ZdlPv(void *block) OPERATOR_IS("delete_plain");
void _ZdlPvSt11align_val_t(void *block, size_t alignment) OPERATOR_IS("delete_aligned");

/* The derived forms: arrays, nothrow, sized. */
static void *new_array(size_t size);
static void *new_array_aligned(size_t size, size_t alignment);
static void delete_array(void *block);
static void delete_array_aligned(void *block, size_t alignment);
void *_Znam(size_t size) OPERATOR_IS("new_array");
void *_ZnamSt11align_val_t(size_t size, size_t alignment) OPERATOR_IS("new_array_aligned");
void _ZdaPv(void *block) OPERATOR_IS("delete_array");
void _ZdaPvSt11align_val_t(void *block, size_t alignment) OPERATOR_IS("delete_array_aligned");
void *_ZnwmRKSt9nothrow_t(size_t size, const struct nothrow *tag);
void *_ZnamRKSt9nothrow_t(size_t size, const struct nothrow *tag);
void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const struct nothrow *tag);
void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const struct nothrow *tag);
void _ZdlPvRKSt9nothrow_t(void *block, const struct nothrow *tag);
void _ZdaPvRKSt9nothrow_t(void *block, const struct nothrow *tag);
void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *block, size_t alignment, const struct nothrow *tag);
void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *block, size_t alignment, const struct nothrow *tag);
void _ZdlPvm(void *block, size_t size);
void _ZdaPvm(void *block, size_t size);
void _ZdlPvmSt11align_val_t(void *block, size_t size, size_t alignment);
void _ZdaPvmSt11align_val_t(void *block, size_t size, size_t alignment);

/* Of the C++ runtime: std::get_new_handler and std::__throw_bad_alloc. NULL without one. */
typedef void new_handler(void);
__attribute__((weak)) new_handler *_ZSt15get_new_handlerv(void);
__attribute__((weak)) void _ZSt17__throw_bad_allocv(void);

/* In libdl before glibc 2.34. */
#pragma weak dlopen
#pragma weak dlsym

static bool plain_is_ours(void) {
    return _Znwm == new_plain && _ZdlPv == delete_plain;
}

static bool array_is_ours(void) {
    return _Znam == new_array && _ZdaPv == delete_array && plain_is_ours();
}

static bool aligned_is_ours(void) {
    return _ZnwmSt11align_val_t == new_aligned && _ZdlPvSt11align_val_t == delete_aligned;
}

static bool array_aligned_is_ours(void) {
    return _ZnamSt11align_val_t == new_array_aligned && _ZdaPvSt11align_val_t == delete_array_aligned &&
           aligned_is_ours();
}

/* A function of the C++ runtime that the program is linked with, or that a plug-in has loaded. Both calls may allocate:
 * no lock is held, and when a large block fails, small ones may still be had. */
static COLD void *runtime_function(const char *name) {
    if (dlopen == NULL || dlsym == NULL) {
        return NULL;
    }
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL) {
        void *runtime = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_NOLOAD);
        function = runtime != NULL ? dlsym(runtime, name) : NULL;
    }
    return function;
}

static COLD new_handler *current_handler(void) {
    new_handler *(*get)(void) = _ZSt15get_new_handlerv;
    if (get == NULL) {
        *(void **)&get = runtime_function("_ZSt15get_new_handlerv");
    }
    return get != NULL ? get() : NULL;
}

static COLD _Noreturn void throw_bad_alloc(size_t size) {
    void (*throw)(void) = _ZSt17__throw_bad_allocv;
    if (throw == NULL) {
        *(void **)&throw = runtime_function("_ZSt17__throw_bad_allocv");
    }
    if (throw != NULL) {
        throw();
    }
    char line[160];
    struct fmt fmt = fmt_of(line, sizeof line);
    fmt_format(&fmt, "mems: operator new(%u): out of memory, and no C++ runtime to throw std::bad_alloc\n",
               (uint64_t)size);
    fmt_flush(&fmt, STDERR_FILENO);
    abort();
}

/* `alignment` 0 means that the function has none. */
struct request {
    size_t size;
    size_t alignment;
    bool array; /* libmems distinguishes new and new[] */
};

/* std::align_val_t(0): libc++ takes it for none, libstdc++ throws. The block's delete has the same alignment, so it is
 * an aligned one. */
static size_t alignment_given(size_t alignment) {
    return alignment != 0 ? alignment : 1;
}

/* NULL on failure, and for an alignment that is not a power of two. */
static void *allocate(struct request of) {
    if (of.alignment == 0) {
        return backend_alloc_new(of.array, of.size);
    }
    return is_power_of_two(of.alignment) ? backend_alloc_new_aligned(of.array, of.alignment, of.size) : NULL;
}

/* [new.delete.single]: the handler finds memory, throws, ends the program, or is removed. */
static COLD void *allocate_or_throw(struct request of) {
    new_handler *handler;
    while ((handler = current_handler()) != NULL && (of.alignment == 0 || is_power_of_two(of.alignment))) {
        handler();
        void *block = allocate(of);
        if (block != NULL) {
            return block;
        }
    }
    throw_bad_alloc(of.size);
}

static void *new_of(struct request of) {
    void *block = allocate(of);
    return LIKELY(block != NULL) ? block : allocate_or_throw(of);
}

static COLD void *new_slow(size_t size) {
    return new_of((struct request){.size = size});
}

static COLD void *new_array_slow(size_t size) {
    return new_of((struct request){.size = size, .array = true});
}

/* One function deep, like malloc. */
static void *new_plain(size_t size) {
    return backend_fast_alloc_or(size, new_slow);
}

static void *new_aligned(size_t size, size_t alignment) {
    return new_of((struct request){.size = size, .alignment = alignment_given(alignment)});
}

static void *new_array(size_t size) {
    return LIKELY(_Znwm == new_plain) ? backend_fast_alloc_or(size, new_array_slow) : _Znwm(size);
}

static void *new_array_aligned(size_t size, size_t alignment) {
    return LIKELY(_ZnwmSt11align_val_t == new_aligned)
               ? new_of((struct request){.size = size, .alignment = alignment_given(alignment), .array = true})
               : _ZnwmSt11align_val_t(size, alignment);
}

/* The nothrow forms should call the throwing ones and catch, which C cannot. This matters only if there is a handler,
 * which may throw, or if the program has its own new; then the runtime's nothrow form, which our name hides, does it.
 * If it cannot be found, the handler is not called, and the program's own new must not throw. */
static COLD void *nothrow_by_runtime(const char *form, struct request of, const struct nothrow *tag, bool ours) {
    const bool aligned = of.alignment != 0;
    const union {
        void *symbol;
        void *(*plain)(size_t size, const struct nothrow *tag);
        void *(*aligned)(size_t size, size_t alignment, const struct nothrow *tag);
    } runtime = {runtime_function(form)};
    if (runtime.symbol != NULL) {
        return aligned ? runtime.aligned(of.size, of.alignment, tag) : runtime.plain(of.size, tag);
    }
    if (ours) {
        return NULL;
    }
    if (aligned) {
        return of.array ? _ZnamSt11align_val_t(of.size, of.alignment) : _ZnwmSt11align_val_t(of.size, of.alignment);
    }
    return of.array ? _Znam(of.size) : _Znwm(of.size);
}

static inline void *nothrow_of(const char *form, struct request of, const struct nothrow *tag, bool ours) {
    void *block = ours ? allocate(of) : NULL;
    if (LIKELY(block != NULL) || (ours && current_handler() == NULL)) {
        return block;
    }
    return nothrow_by_runtime(form, of, tag, ours);
}

OPERATOR void *_ZnwmRKSt9nothrow_t(size_t size, const struct nothrow *tag) {
    return nothrow_of(__func__, (struct request){.size = size}, tag, plain_is_ours());
}

OPERATOR void *_ZnamRKSt9nothrow_t(size_t size, const struct nothrow *tag) {
    return nothrow_of(__func__, (struct request){.size = size, .array = true}, tag, array_is_ours());
}

OPERATOR void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const struct nothrow *tag) {
    return nothrow_of(__func__, (struct request){.size = size, .alignment = alignment_given(alignment)}, tag,
                      aligned_is_ours());
}

OPERATOR void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const struct nothrow *tag) {
    return nothrow_of(__func__, (struct request){.size = size, .alignment = alignment_given(alignment), .array = true},
                      tag, array_aligned_is_ours());
}

static void delete_plain(void *block) {
    backend_fast_free("operator delete", block);
}

static void delete_aligned(void *block, size_t alignment) {
    backend_free_aligned("aligned operator delete", block, alignment);
}

static void delete_array(void *block) {
    if (LIKELY(_ZdlPv == delete_plain)) {
        backend_fast_free("operator delete[]", block);
    } else {
        _ZdlPv(block);
    }
}

static void delete_array_aligned(void *block, size_t alignment) {
    if (LIKELY(_ZdlPvSt11align_val_t == delete_aligned)) {
        backend_free_aligned("aligned operator delete[]", block, alignment);
    } else {
        _ZdlPvSt11align_val_t(block, alignment);
    }
}

OPERATOR void _ZdlPvRKSt9nothrow_t(void *block, const struct nothrow *tag) {
    (void)tag;
    _ZdlPv(block);
}

OPERATOR void _ZdaPvRKSt9nothrow_t(void *block, const struct nothrow *tag) {
    (void)tag;
    _ZdaPv(block);
}

OPERATOR void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *block, size_t alignment, const struct nothrow *tag) {
    (void)tag;
    _ZdlPvSt11align_val_t(block, alignment);
}

OPERATOR void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *block, size_t alignment, const struct nothrow *tag) {
    (void)tag;
    _ZdaPvSt11align_val_t(block, alignment);
}

/* Checks the size if the block came from our own new; otherwise a plain delete. A block in one of the thread's slabs
 * whose class agrees needs no further check, unless the program has its own delete. */
static COLD void delete_sized_slow(void *block, size_t size) {
    if (plain_is_ours()) {
        backend_free_sized("operator delete", block, size, 0);
    } else {
        _ZdlPv(block);
    }
}

static COLD void delete_array_sized_slow(void *block, size_t size) {
    if (array_is_ours()) {
        backend_free_sized("operator delete[]", block, size, 0);
    } else {
        _ZdaPv(block);
    }
}

OPERATOR HOT void _ZdlPvm(void *block, size_t size) {
    if (UNLIKELY(_ZdlPv != delete_plain || !backend_fast_free_sized(block, size))) {
        delete_sized_slow(block, size);
    }
}

OPERATOR HOT void _ZdaPvm(void *block, size_t size) {
    if (UNLIKELY(_ZdaPv != delete_array || _ZdlPv != delete_plain || !backend_fast_free_sized(block, size))) {
        delete_array_sized_slow(block, size);
    }
}

OPERATOR void _ZdlPvmSt11align_val_t(void *block, size_t size, size_t alignment) {
    if (LIKELY(aligned_is_ours())) {
        backend_free_sized("aligned operator delete", block, size, alignment);
    } else {
        _ZdlPvSt11align_val_t(block, alignment);
    }
}

OPERATOR void _ZdaPvmSt11align_val_t(void *block, size_t size, size_t alignment) {
    if (LIKELY(array_aligned_is_ours())) {
        backend_free_sized("aligned operator delete[]", block, size, alignment);
    } else {
        _ZdaPvSt11align_val_t(block, alignment);
    }
}
