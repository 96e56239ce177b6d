#include "dwarf.h"

#include <stdbool.h>
#include <string.h>

/* In a pointer's encoding: what it is relative to, and one such value. */
#define ENCODED_RELATIVE 0x70u
#define RELATIVE_TO_PLACE 0x10u

uint64_t dwarf_take(const uint8_t **at, unsigned size) {
    uint64_t value = 0;
    memcpy(&value, *at, size); /* little-endian, as both processors are */
    *at += size;
    return value;
}

int64_t dwarf_signed(const uint8_t **at, unsigned size) {
    const unsigned unused = 64 - 8 * size;
    return (int64_t)(dwarf_take(at, size) << unused) >> unused;
}

static uint64_t leb128(const uint8_t **at, bool is_signed) {
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
        byte = *(*at)++;
        value |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
        shift += 7;
    } while ((byte & 0x80) != 0);
    return is_signed && shift < 64 && (byte & 0x40) != 0 ? value | ~UINT64_C(0) << shift : value;
}

uint64_t dwarf_number(const uint8_t **at) {
    return leb128(at, false);
}

int64_t dwarf_offset(const uint8_t **at) {
    return (int64_t)leb128(at, true);
}

uintptr_t dwarf_pointer(const uint8_t **at, unsigned encoding) {
    static const uint8_t sizes[8] = {8, 0, 2, 4, 8, 0, 0, 0};
    const uintptr_t place = (uintptr_t)*at;
    const unsigned size = sizes[encoding & 7];
    const uintptr_t value = size == 0                ? dwarf_number(at)
                            : (encoding & 0x08) != 0 ? (uintptr_t)dwarf_signed(at, size)
                                                     : dwarf_take(at, size);
    return value + ((encoding & ENCODED_RELATIVE) == RELATIVE_TO_PLACE ? place : 0);
}
