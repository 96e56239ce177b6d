#include "single_page.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"
#include "memory_calls.h"
#include "os.h"

/* What the kernel maps around a page. */
#define AROUND ((size_t)64 << 10)

/* Pages asked for, by their numbers modulo PAGES. Of two with one number, the second is read as any page. */
#define PAGES ((size_t)8192)
static _Atomic uint64_t asked[PAGES / 64]; /* relaxed: asking twice costs two calls more */

static bool ask(size_t number) {
    const uint64_t bit = UINT64_C(1) << number % 64;
    _Atomic uint64_t *word = &asked[number % PAGES / 64];
    return (atomic_load_explicit(word, memory_order_relaxed) & bit) == 0 &&
           (atomic_fetch_or_explicit(word, bit, memory_order_relaxed) & bit) == 0;
}

/* Pages that differ in their advice are mappings of their own. Advice on random reads only tells the kernel how much to
 * read from the file. */
void single_pages_map(const void *start, size_t size) {
    const size_t page = os_page_size();
    const uintptr_t first = round_down((uintptr_t)start, page);
    const uintptr_t end = round_up((uintptr_t)start + size, page);
    bool asks = false;
    for (uintptr_t at = first; page < AROUND && at < end; at += page) {
        asks |= ask(at / page);
    }
    if (!asks || sys_madvise((void *)first, end - first, MADV_RANDOM) != 0) {
        return;
    }
    for (uintptr_t at = first; at < end; at += page) {
        (void)*(const volatile char *)at;
    }
    (void)sys_madvise((void *)first, end - first, MADV_NORMAL);
}
