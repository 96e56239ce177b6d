/* known.h - what has been found out about addresses: a hash table of pointers. All zero is an empty one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct known {
    struct known_entry {
        uint64_t address;
        void *value;
        bool is_used;
    } *entries;
    size_t count, room; /* the room is a power of two */
};

/* The value of an address, NULL at first; the place is valid until the next call. *is_new: it was not there. */
void **known_find(struct known *known, uint64_t address, bool *is_new);

/* Calls `drop` for each value but NULL. */
void known_free(struct known *known, void (*drop)(void *value));
