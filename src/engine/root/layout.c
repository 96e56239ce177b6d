/* layout.c - the rows (base/layout.h) of all structures that can be reached from the root. */
#include "engine/heaps/hardened_heap.h"
#include "engine/heaps/heap.h"
#include "engine/heaps/quarantine.h"
#include "engine/heaps/remote.h"
#include "engine/heaps/sample_points.h"
#include "engine/memory/huge.h"
#include "engine/memory/large.h"
#include "engine/samples/sample.h"
#include "engine/slabs/abandoned.h"
#include "engine/slabs/slab.h"
#include "engine/slabs/slot_record.h"
#include "engine/tables/canary.h"
#include "engine/tables/live_map.h"
#include "engine/tables/metadata.h"
#include "engine/tables/window.h"
#include "root.h"

/* clang-format off */
#define ENGINE_ROWS(STRUCTURE, CONSTANT)                                                                               \
    STRUCTURE(mems_root, state, class_count, settings.table, window, size_classes, spans, metadata, heaps,             \
        abandoned, huge_table, samples, stack_table, guarded_table, canaries, unwinder)                                \
    STRUCTURE(option_table, options, count)                                                                            \
    STRUCTURE(option, name, values, kind, fixed, words)                                                                \
    CONSTANT(OPTION_WORD) CONSTANT(OPTION_NUMBER) CONSTANT(OPTION_SIZE)                                                \
    STRUCTURE(area, start, size, accessible)                                                                           \
    STRUCTURE(window, base, page_map, inbox_links, live_map, records, spans, heaps, tables_start,                      \
        tables_size, page_map_area, spans_area, heaps_area, inbox_links_area, live_map_area, records_area,             \
        metadata_area, units_area)                                                                                     \
    CONSTANT(UNIT_SHIFT) CONSTANT(GRANULE_SHIFT) CONSTANT(LIVE_WORD_BITS)                                              \
    STRUCTURE(live_word, live, remote)                                                                                 \
    CONSTANT(UNIT_UNUSED) CONSTANT(UNIT_FRESH) CONSTANT(UNIT_UNMAPPED) CONSTANT(UNIT_DIRTY) CONSTANT(UNIT_PURGING)     \
    CONSTANT(UNIT_LARGE) CONSTANT(UNIT_PART) CONSTANT(UNIT_LOST) CONSTANT(UNIT_SAMPLES) CONSTANT(HEAP_ID_SHIFT)        \
    CONSTANT(CLASS_MASK) CONSTANT(HEAP_ABANDONED) CONSTANT(RECORDS_BYTES) CONSTANT(RECORD_LIVE)                        \
    CONSTANT(RECORD_SLACK_SHIFT)                                                                                       \
    STRUCTURE(canaries, secret, multiplier, bits)                                                                      \
    STRUCTURE(metadata, lock.state)                                                                                    \
    STRUCTURE(size_class, size, slots, units, magazine, guard_pages)                                                   \
    STRUCTURE(spans, lock.state, top, fresh.tree.root, dirty.tree.root, aging, live_units, free_units, dirty_units,    \
        unmapped_units, lost_units, decay_ms, now_ms)                                                                  \
    STRUCTURE(span, first, units)                                                                                      \
    STRUCTURE(free_span, span, dirty_units, node, node.left, node.right, age)                                          \
    STRUCTURE(large, span, requested, arena, fence)                                                                    \
    CONSTANT(FENCE_ALL) CONSTANT(OS_PAGE)                                                                              \
    STRUCTURE(list, next, prev)                                                                                        \
    STRUCTURE(slab, span, link, age, slots, free, used, unsettled, born_s, bitmap[0])                                  \
    STRUCTURE(heaps, lock.state, made, in_use, unused, depot_bytes)                                                    \
    STRUCTURE(heap, tops, id, bare, link, mode_offset, checks_every, lock.state, classes, slab_bytes, aging,                 \
        depot.stored_count, depot.stored_bytes, depot.stored_credit, larges.ready, larges.units, backlog, thread,      \
        arena, hardened, thread_number, counters.refills, counters.flushes, counters.remote_frees,                     \
        counters.adoptions, counters.stolen, counters.class_refills, counters.class_flushes, inbox)                    \
    CONSTANT(INBOX_CLOSED) CONSTANT(LINK_SET)                                                                          \
    STRUCTURE(arena, name)                                                                                             \
    STRUCTURE(hardened, quarantines)                                                                                   \
    STRUCTURE(quarantine, places, blocks[0])                                                                           \
    STRUCTURE(heap_class, slabs, stock.magazines, stock.count, ring)                                                \
    STRUCTURE(stored, next, slots)                                                                                     \
    CONSTANT(MAGAZINE_SLOTS) CONSTANT(MAGAZINE_MAX) CONSTANT(KEPT_SHARE)                                               \
    STRUCTURE(abandoned, lock.state, slabs, aging, shared)                                                             \
    STRUCTURE(huge_table, lock.state, live.tree.root, live.count, bytes, freed)                                        \
    STRUCTURE(huge, node, requested, origin)                                                                           \
    STRUCTURE(samples, lock.state, interval, held_before, chunks, number, peak_bytes, peak_ms,                                      \
        peak_number, missed, cut, allocated, freed)                                                                    \
    STRUCTURE(sample_chunk, next, samples)                                                                             \
    STRUCTURE(sample, state, kind, quarantined, died, number, start, size, interval, allocated, freed)                 \
    CONSTANT(SAMPLE_LIVE) CONSTANT(SAMPLE_CLAIMED) CONSTANT(SAMPLE_DEAD) CONSTANT(SAMPLE_SMALL)                        \
    CONSTANT(SAMPLE_LARGE) CONSTANT(SAMPLE_BEGIN_HELD) CONSTANT(STACK_LARGE) CONSTANT(STACK_HUGE)                      \
    STRUCTURE(sample_event, stack, ms, thread, pointer)                                                                \
    STRUCTURE(stack_sums, samples, blocks, bytes, blocks_variance, bytes_variance)                                     \
    STRUCTURE(stack, next, depth, cut, size_class, allocated, freed, lives, frames[0])                                 \
    STRUCTURE(stack_table, buckets, beyond, other)                                                                     \
    STRUCTURE(guarded, span, kind, cells)                                                                              \
    STRUCTURE(guarded_table, unguarded)                                                                                \
    STRUCTURE(range_node, node, node.left, node.right, start, last)
/* clang-format on */

LAYOUT_DEFINE(engine_layout, ENGINE_ROWS);
