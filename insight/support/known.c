#include "support/known.h"

#include <stdlib.h>

#include "support/support.h"

/* Where an address is, or belongs. */
static struct known_entry *entry_of(struct known_entry *entries, size_t room, uint64_t address) {
    size_t at = (size_t)(address * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (room - 1);
    while (entries[at].is_used && entries[at].address != address) {
        at = (at + 1) & (room - 1);
    }
    return &entries[at];
}

/* At most half of the entries are used. */
static void make_room(struct known *known) {
    if (2 * known->count < known->room) {
        return;
    }
    const size_t room = known->room != 0 ? 2 * known->room : 64;
    struct known_entry *entries = make_zeroed(room, sizeof *entries);
    for (size_t i = 0; i < known->room; i++) {
        if (known->entries[i].is_used) {
            *entry_of(entries, room, known->entries[i].address) = known->entries[i];
        }
    }
    free(known->entries);
    known->entries = entries;
    known->room = room;
}

void **known_find(struct known *known, uint64_t address, bool *is_new) {
    make_room(known);
    struct known_entry *entry = entry_of(known->entries, known->room, address);
    *is_new = !entry->is_used;
    known->count += *is_new;
    entry->address = address;
    entry->is_used = true;
    return &entry->value;
}

void known_free(struct known *known, void (*drop)(void *value)) {
    for (size_t i = 0; i < known->room; i++) {
        if (known->entries[i].value != NULL) {
            drop(known->entries[i].value);
        }
    }
    free(known->entries);
}
