/*
 * new.c - the C++ operators new and delete in all their forms, in C.
 *
 * They are named as the C++ ABI mangles them where size_t is unsigned long. The standard [new.delete] divides the forms
 * into four that allocate and free, and sixteen that call those four; a program may replace any of them, and the others
 * must then lead to its replacement. So each derived form calls its base by its public name, which the dynamic linker
 * may have bound to the program's, unless the base proves to be ours: then it may use what it knows of the heap.
 * The definitions are weak so that no compiler takes the answer for granted.
 *
 * For the shared library alone. It does not need a C++ runtime, and looks for one only when an allocation has failed. A
 * static C++ program always has its runtime's operators, which stand on malloc and do all of this themselves.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend.h"
#include "base/bits.h"
#include "base/compiler.h"
#include "base/fmt.h"
#include "os/os.h"

#define OPERATOR EXPORT __attribute__((weak))
#define OPERATOR_IS(function) EXPORT __attribute__((weak, alias(function)))

/* A std::nothrow_t by reference, which nobody looks at. */
struct nothrow;

/* The four base forms: plain, and with an alignment (std::align_val_t, a size_t). */
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

/* std::get_new_handler and std::__throw_bad_alloc of the C++ runtime; NULL in a program that was linked without one. */
typedef void new_handler(void);
__attribute__((weak)) new_handler *_ZSt15get_new_handlerv(void);
__attribute__((weak)) void _ZSt17__throw_bad_allocv(void);

/* Before glibc 2.34 they are there only in programs that are linked with libdl. */
#pragma weak dlopen
#pragma weak dlsym

/* Whether a block that new gave out and delete takes back has seen no code but ours. */
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

/*
 * A function of the C++ runtime that the program is linked with, or that a plug-in has brought into a C program. Both
 * calls may allocate, which does no harm: no lock is held, and small blocks are there when a large one is not.
 */
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
    struct fmt fmt;
    fmt_init(&fmt, line, sizeof line);
    fmt_format(&fmt, "mems: operator new(%u): out of memory, and no C++ runtime to throw std::bad_alloc\n",
               (uint64_t)size);
    fmt_flush(&fmt, STDERR_FILENO);
    abort();
}

/* alignment 0: none in particular. NULL on failure, as always for an alignment that is no power of two. */
static void *allocate(size_t size, size_t alignment) {
    if (alignment == 0) {
        return backend_alloc(size);
    }
    return is_power_of_two(alignment) ? backend_alloc_aligned(alignment, size) : NULL;
}

/* The loop of [new.delete.single]: the handler finds memory, or throws, or ends the program, or is taken away. */
static COLD void *allocate_or_throw(size_t size, size_t alignment) {
    new_handler *handler;
    while ((handler = current_handler()) != NULL && (alignment == 0 || is_power_of_two(alignment))) {
        handler();
        void *block = allocate(size, alignment);
        if (block != NULL) {
            return block;
        }
    }
    throw_bad_alloc(size);
}

static COLD void *new_slow(size_t size) {
    void *block = backend_alloc(size);
    return LIKELY(block != NULL) ? block : allocate_or_throw(size, 0);
}

/* One function deep, as malloc is. */
static void *new_plain(size_t size) {
    return backend_fast_alloc_or(size, new_slow);
}

static void *new_aligned(size_t size, size_t alignment) {
    void *block = allocate(size, alignment);
    return LIKELY(block != NULL) ? block : allocate_or_throw(size, alignment);
}

static void *new_array(size_t size) {
    return LIKELY(_Znwm == new_plain) ? backend_fast_alloc_or(size, new_slow) : _Znwm(size);
}

static void *new_array_aligned(size_t size, size_t alignment) {
    return _ZnwmSt11align_val_t(size, alignment);
}

/*
 * The nothrow forms call the throwing ones and catch. C cannot catch, but it is only needed when there is a handler,
 * which may throw, or when new is the program's own; then the runtime's own nothrow form, which our name hides, does
 * it. Where it cannot be found the handler is not called, and a new of the program's own must not throw.
 */
static COLD void *nothrow_by_runtime(const char *form, size_t size, const struct nothrow *tag, bool ours,
                                     void *(*throwing)(size_t)) {
    void *(*runtime)(size_t, const struct nothrow *) = NULL;
    *(void **)&runtime = runtime_function(form);
    if (runtime != NULL) {
        return runtime(size, tag);
    }
    return ours ? NULL : throwing(size);
}

static COLD void *nothrow_aligned_by_runtime(const char *form, size_t size, size_t alignment, const struct nothrow *tag,
                                             bool ours, void *(*throwing)(size_t, size_t)) {
    void *(*runtime)(size_t, size_t, const struct nothrow *) = NULL;
    *(void **)&runtime = runtime_function(form);
    if (runtime != NULL) {
        return runtime(size, alignment, tag);
    }
    return ours ? NULL : throwing(size, alignment);
}

OPERATOR void *_ZnwmRKSt9nothrow_t(size_t size, const struct nothrow *tag) {
    bool ours = plain_is_ours();
    void *block = ours ? backend_alloc(size) : NULL;
    if (LIKELY(block != NULL) || (ours && current_handler() == NULL)) {
        return block;
    }
    return nothrow_by_runtime("_ZnwmRKSt9nothrow_t", size, tag, ours, _Znwm);
}

OPERATOR void *_ZnamRKSt9nothrow_t(size_t size, const struct nothrow *tag) {
    bool ours = array_is_ours();
    void *block = ours ? backend_alloc(size) : NULL;
    if (LIKELY(block != NULL) || (ours && current_handler() == NULL)) {
        return block;
    }
    return nothrow_by_runtime("_ZnamRKSt9nothrow_t", size, tag, ours, _Znam);
}

OPERATOR void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const struct nothrow *tag) {
    bool ours = aligned_is_ours();
    void *block = ours ? allocate(size, alignment) : NULL;
    if (LIKELY(block != NULL) || (ours && current_handler() == NULL)) {
        return block;
    }
    return nothrow_aligned_by_runtime("_ZnwmSt11align_val_tRKSt9nothrow_t", size, alignment, tag, ours,
                                      _ZnwmSt11align_val_t);
}

OPERATOR void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const struct nothrow *tag) {
    bool ours = array_aligned_is_ours();
    void *block = ours ? allocate(size, alignment) : NULL;
    if (LIKELY(block != NULL) || (ours && current_handler() == NULL)) {
        return block;
    }
    return nothrow_aligned_by_runtime("_ZnamSt11align_val_tRKSt9nothrow_t", size, alignment, tag, ours,
                                      _ZnamSt11align_val_t);
}

static void delete_plain(void *block) {
    backend_fast_free("operator delete", block);
}

static void delete_aligned(void *block, size_t alignment) {
    (void)alignment;
    backend_free("operator delete", block);
}

static void delete_array(void *block) {
    if (LIKELY(_ZdlPv == delete_plain)) {
        backend_fast_free("operator delete", block);
    } else {
        _ZdlPv(block);
    }
}

static void delete_array_aligned(void *block, size_t alignment) {
    _ZdlPvSt11align_val_t(block, alignment);
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

/*
 * The sized forms prove the size where the block came from our own new, and are plain deletes otherwise. A block of the
 * thread's own slabs whose class agrees with the size needs no second look; only the program's own delete would.
 */
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
        backend_free_sized("operator delete", block, size, alignment);
    } else {
        _ZdlPvSt11align_val_t(block, alignment);
    }
}

OPERATOR void _ZdaPvmSt11align_val_t(void *block, size_t size, size_t alignment) {
    if (LIKELY(array_aligned_is_ours())) {
        backend_free_sized("operator delete[]", block, size, alignment);
    } else {
        _ZdaPvSt11align_val_t(block, alignment);
    }
}
