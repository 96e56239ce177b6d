/* untouched.h - memory of a live process that has no page, whose contents are known without reading it. Reading it in
 * the process would fault a page in, which then counts in its Rss. So a private file mapping's contents come from the
 * file, and long stretches without a file, which read as zero, are not read. */
#pragma once

#include "target/target.h"

/* Reads memory that no page of the process holds; returns how many of the `size` bytes it read. If that is 0, read
 * *first bytes in the process before asking again. */
size_t untouched_read(struct target *target, uint64_t address, void *to, size_t size, size_t *first);

/* If false, read the memory in the process. */
bool untouched_may_be(const struct target *target, uint64_t address, size_t size);
