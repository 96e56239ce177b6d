/*
 * slot_record.h - with harden=full: 16 bits for each slot, in a table of the window.
 *
 *    15            4 3      1    0
 *   +---------------+--------+------+
 *   |     slack     | origin | 1    |   live: the block ends `slack` bytes before its slot's room does
 *   +---------------+--------+------+
 *   |     slack     | origin | 0    |   not live: the same of the last block
 *   +---------------+--------+------+
 *
 * The records of a slab's slots are adjacent, starting with that of the first granule of its first unit. A record is
 * written by whoever changes the slot's state: the slab's writer, or a thread that frees the block remotely. That
 * thread marks the record as freed, then touches the block, and only then sets the remote bit. So whoever reads a block
 * that others may free reads its record again afterwards. Otherwise relaxed: see harden.c.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"
#include "engine/tables/window.h"
#include "slab.h"

#define RECORD_LIVE 1u
#define ORIGIN_MASK 7u
#define RECORD_SLACK_SHIFT 4u
#define RECORD_SLACK_MAX ((1u << (16 - RECORD_SLACK_SHIFT)) - 1)

struct slot {
    char *start;
    size_t room; /* bytes that a block may use */
    _Atomic uint16_t *record;
    unsigned size_class;
    uint32_t number; /* in the slab */
};

/* The first unit of the slab that contains an address; the address's entry says that there is one. */
static inline size_t record_slab(const void *address, unsigned size_class) {
    size_t unit = window_unit(address);
    return size_classes[size_class].units == 1 ? unit : window.spans[unit]->first;
}

/* The slot that starts at an address, in a slab of a class. */
static inline struct slot slot_of(void *start, unsigned size_class) {
    size_t first = record_slab(start, size_class);
    uint32_t number = size_class_slot(size_class, (uintptr_t)start - (uintptr_t)window_address(first));
    return (struct slot){
        .start = start,
        .room = size_class_room(size_class),
        .record = &window.records[first * (RECORDS_BYTES / sizeof *window.records) + number],
        .size_class = size_class,
        .number = number,
    };
}

static inline unsigned record_load(const struct slot *slot) {
    return atomic_load_explicit(slot->record, memory_order_relaxed);
}

static inline void record_store(const struct slot *slot, unsigned record) {
    atomic_store_explicit(slot->record, (uint16_t)record, memory_order_relaxed);
}

static inline bool record_is_live(unsigned record) {
    return (record & RECORD_LIVE) != 0;
}

/* The bytes from the end of the slot's block, or of its last one, to the end of its room. */
static inline size_t record_slack(unsigned record) {
    return record >> RECORD_SLACK_SHIFT;
}

/* The size of that block. */
static inline size_t record_size(const struct slot *slot, unsigned record) {
    return slot->room - record_slack(record);
}

static inline enum origin record_origin(unsigned record) {
    return (enum origin)(record >> 1 & ORIGIN_MASK);
}

static inline unsigned record_of_slack(size_t slack, enum origin origin) {
    return (unsigned)slack << RECORD_SLACK_SHIFT | (unsigned)origin << 1 | RECORD_LIVE;
}

static inline unsigned record_of(const struct slot *slot, size_t size, enum origin origin) {
    return record_of_slack(slot->room - size, origin);
}

/* The record of the same slot once its block is freed. */
static inline unsigned record_ended(unsigned record) {
    return record & ~RECORD_LIVE;
}
