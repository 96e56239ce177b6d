/* single_page.h - reads of files' mapped pages that few reads touch. On the first touch of a page the kernel maps up to
 * 64 KiB of the file around it, which count as the process's memory; but never beyond a mapping's end. */
#pragma once

#include <stddef.h>

/* Maps the pages of these bytes alone, unless all of them, or some with the same numbers modulo 8,192, were asked for
 * before. A page that has been mapped stays as it is. Changes no memory; does nothing if the kernel refuses. Costs two
 * system calls and usually one page fault. */
void single_pages_map(const void *start, size_t size);

static inline void single_page_map(const void *at) {
    single_pages_map(at, 1);
}
