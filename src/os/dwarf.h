/* dwarf.h - decodes numbers of DWARF tables. Each function reads one at *at and advances *at past it. */
#pragma once

#include <stdint.h>

/* Pointer encodings: absent, and a mask for the format. */
#define DWARF_POINTER_OMITTED 0xffu
#define DWARF_POINTER_FORMAT 0x0fu

/* `size` bytes: 1, 2, 4 or 8. */
uint64_t dwarf_take(const uint8_t **at, unsigned size);
int64_t dwarf_signed(const uint8_t **at, unsigned size);

/* LEB128 numbers, unsigned and signed. */
uint64_t dwarf_number(const uint8_t **at);
int64_t dwarf_offset(const uint8_t **at);

/* Absolute or relative to its own address; unwind tables have no other pointers. */
uintptr_t dwarf_pointer(const uint8_t **at, unsigned encoding);
