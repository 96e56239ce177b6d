/*
 * early_heap.c - lets the resolvers of a program's IFUNCs allocate.
 *
 * glibc calls them while it relocates the program, before it copies the initial values of thread-local variables. The
 * thread's heap would be NULL, which the fast paths do not expect. But this library is relocated before the program,
 * and its own resolver sets the variable. When glibc then copies the initial values, the thread forgets its heap, and
 * gets it back at the next allocation (heap_obtain). Other C libraries have no IFUNCs; in a static program not even the
 * thread pointer is set up, and glibc's own malloc fails as well.
 */
#include "engine/heaps/heap.h"

#ifdef __GLIBC__

typedef void nothing(void);

static void do_nothing(void) {}

__attribute__((used)) static nothing *resolve(void) {
    heap_mine = &heap_none;
    return do_nothing;
}

__attribute__((ifunc("resolve"), visibility("hidden"))) nothing early_heap_resolved;

/* Without a call the library would have no IFUNC. */
__attribute__((constructor)) static void keep(void) {
    early_heap_resolved();
}

#endif
