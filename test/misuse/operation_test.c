/*
 * A report names the function that was called. The engine's free has no argument for it, so its callers are reported as
 * "free".
 */
#include "misuse.h"

#ifdef LIBRARY_hmm
#define FREED_BY(operation) operation
#else
#define FREED_BY(operation) "free"
#endif

void _ZdlPv(void *block);                                                /* operator delete(void *) */
void _ZdaPv(void *block);                                                /* operator delete[](void *) */
void _ZdlPvm(void *block, size_t size);                                  /* operator delete(void *, std::size_t) */
void _ZdaPvm(void *block, size_t size);                                  /* operator delete[](void *, std::size_t) */
void _ZdlPvSt11align_val_t(void *block, size_t alignment);               /* operator delete(void *, std::align_val_t) */
void _ZdlPvmSt11align_val_t(void *block, size_t size, size_t alignment); /* ... (void *, std::size_t, align_val_t) */

static void call_free(void *block) {
    free(block);
}

static void call_cfree(void *block) {
    cfree(block);
}

static void call_realloc(void *block) {
    free(realloc(block, 100));
}

static void call_realloc_to_nothing(void *block) {
    free(realloc(block, (size_t)hidden(NULL)));
}

static void call_reallocarray(void *block) {
    free(reallocarray(block, 10, 10));
}

static void call_usable_size(void *block) {
    (void)malloc_usable_size(block);
}

static void call_free_sized(void *block) {
    free_sized(block, 10);
}

static void call_free_aligned_sized(void *block) {
    free_aligned_sized(block, 16, 10);
}

static void call_delete(void *block) {
    _ZdlPv(block);
}

static void call_delete_array(void *block) {
    _ZdaPv(block);
}

static void call_delete_sized(void *block) {
    _ZdlPvm(block, 10);
}

static void call_delete_array_sized(void *block) {
    _ZdaPvm(block, 10);
}

static void call_delete_aligned(void *block) {
    _ZdlPvSt11align_val_t(block, 16);
}

static void call_delete_sized_aligned(void *block) {
    _ZdlPvmSt11align_val_t(block, 10, 16);
}

static void a_fault_names_the_function_that_was_called(void) {
    static _Alignas(16) char foreign[64];
    static const struct {
        void (*call)(void *block);
        const char *report;
    } cases[] = {
        {call_free, "free" FOREIGN},
        {call_cfree, FREED_BY("cfree") FOREIGN},
        {call_realloc, "realloc" FOREIGN},
        {call_realloc_to_nothing, FREED_BY("realloc") FOREIGN},
        {call_reallocarray, "reallocarray" FOREIGN},
        {call_usable_size, "malloc_usable_size" FOREIGN},
        {call_free_sized, "free_sized" FOREIGN},
        {call_free_aligned_sized, "free_aligned_sized" FOREIGN},
        {call_delete, FREED_BY("operator delete") FOREIGN},
        {call_delete_array, FREED_BY("operator delete[]") FOREIGN},
        {call_delete_sized, "operator delete" FOREIGN},
        {call_delete_array_sized, "operator delete[]" FOREIGN},
        {call_delete_aligned, FREED_BY("aligned operator delete") FOREIGN},
        {call_delete_sized_aligned, "aligned operator delete" FOREIGN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_fault(cases[i].call, hidden(foreign), cases[i].report);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(a_fault_names_the_function_that_was_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
