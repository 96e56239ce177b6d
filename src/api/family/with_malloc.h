/* with_malloc.h - a static link that takes this file takes malloc too: its functions describe the heap in use. */
#pragma once

#include <stdlib.h>

__attribute__((used)) static void *(*const with_malloc)(size_t) = malloc;
