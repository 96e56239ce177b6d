/* mprotect.c - the C library's mprotect. The heap notes protections that would outlive the block. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include "api/family/backend.h"
#include "api/family/result.h"
#include "base/compiler.h"
#include "os/os.h"

EXPORT int mprotect(void *start, size_t size, int protection) {
#ifndef __GLIBC__ /* musl begins with the page of `start`; for glibc that must be a page's start */
    const size_t before = (uintptr_t)start % os_page_size();
    start = (char *)start - before;
    size += before;
#endif
    const bool open = (protection & (PROT_READ | PROT_WRITE)) == (PROT_READ | PROT_WRITE);
    int error = os_protect(start, size, protection);
    /* After a failure, too: a part may have been done. */
    backend_protected(start, size, open);
    return result_of(error);
}
