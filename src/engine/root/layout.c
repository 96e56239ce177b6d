/*
 * layout.c - the rows of all structures that can be reached from the root (base/layout.h), for readers from outside.
 */
#include "engine/heaps/hardened_heap.h"
#include "engine/heaps/heap.h"
#include "engine/heaps/quarantine.h"
#include "engine/heaps/remote.h"
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

#define ENGINE_ROWS(STRUCTURE, MEMBER, CONSTANT) \
    STRUCTURE(mems_root)                         \
    MEMBER(mems_root, state)                     \
    MEMBER(mems_root, class_count)               \
    MEMBER(mems_root, settings.table)            \
    MEMBER(mems_root, options)                   \
    MEMBER(mems_root, window)                    \
    MEMBER(mems_root, size_classes)              \
    MEMBER(mems_root, spans)                     \
    MEMBER(mems_root, metadata)                  \
    MEMBER(mems_root, heaps)                     \
    MEMBER(mems_root, abandoned)                 \
    MEMBER(mems_root, huge_table)                \
    MEMBER(mems_root, samples)                   \
    MEMBER(mems_root, stack_table)               \
    MEMBER(mems_root, guarded_table)             \
    MEMBER(mems_root, canaries)                  \
    MEMBER(mems_root, unwinder)                  \
    MEMBER(mems_root, pages_moved)               \
    MEMBER(mems_root, failures)                  \
    STRUCTURE(option_table)                      \
    MEMBER(option_table, options)                \
    MEMBER(option_table, count)                  \
    STRUCTURE(option)                            \
    MEMBER(option, name)                         \
    MEMBER(option, values)                       \
    MEMBER(option, kind)                         \
    MEMBER(option, fixed)                        \
    MEMBER(option, offset)                       \
    MEMBER(option, size)                         \
    MEMBER(option, words)                        \
    CONSTANT(OPTION_WORD)                        \
    CONSTANT(OPTION_NUMBER)                      \
    CONSTANT(OPTION_SIZE)                        \
    CONSTANT(OPTION_TEXT)                        \
    STRUCTURE(area)                              \
    MEMBER(area, start)                          \
    MEMBER(area, size)                           \
    MEMBER(area, accessible)                     \
    STRUCTURE(window)                            \
    MEMBER(window, base)                         \
    MEMBER(window, granules)                     \
    MEMBER(window, page_map)                     \
    MEMBER(window, inbox_links)                  \
    MEMBER(window, live_map)                     \
    MEMBER(window, records)                      \
    MEMBER(window, spans)                        \
    MEMBER(window, heaps)                        \
    MEMBER(window, tables_start)                 \
    MEMBER(window, tables_size)                  \
    MEMBER(window, page_map_area)                \
    MEMBER(window, spans_area)                   \
    MEMBER(window, heaps_area)                   \
    MEMBER(window, inbox_links_area)             \
    MEMBER(window, live_map_area)                \
    MEMBER(window, metadata_area)                \
    MEMBER(window, units_area)                   \
    CONSTANT(UNIT_SHIFT)                         \
    CONSTANT(GRANULE_SHIFT)                      \
    CONSTANT(LIVE_WORD_BITS)                     \
    STRUCTURE(live_word)                         \
    MEMBER(live_word, live)                      \
    MEMBER(live_word, remote)                    \
    CONSTANT(UNIT_UNUSED)                        \
    CONSTANT(UNIT_FRESH)                         \
    CONSTANT(UNIT_UNMAPPED)                      \
    CONSTANT(UNIT_DIRTY)                         \
    CONSTANT(UNIT_PURGING)                       \
    CONSTANT(UNIT_LARGE)                         \
    CONSTANT(UNIT_PART)                          \
    CONSTANT(UNIT_LOST)                          \
    CONSTANT(UNIT_SAMPLES)                       \
    CONSTANT(HEAP_ID_SHIFT)                      \
    CONSTANT(CLASS_MASK)                         \
    CONSTANT(HEAP_ABANDONED)                     \
    CONSTANT(RECORDS_BYTES)                      \
    CONSTANT(RECORD_LIVE)                        \
    CONSTANT(RECORD_SLACK_SHIFT)                 \
    STRUCTURE(canaries)                          \
    MEMBER(canaries, secret)                     \
    MEMBER(canaries, multiplier)                 \
    MEMBER(canaries, bits)                       \
    STRUCTURE(metadata)                          \
    MEMBER(metadata, lock.state)                 \
    MEMBER(metadata, used)                       \
    STRUCTURE(size_class)                        \
    MEMBER(size_class, size)                     \
    MEMBER(size_class, slots)                    \
    MEMBER(size_class, units)                    \
    MEMBER(size_class, magazine)                 \
    MEMBER(size_class, guard_pages)              \
    STRUCTURE(spans)                             \
    MEMBER(spans, lock.state)                    \
    MEMBER(spans, top)                           \
    MEMBER(spans, fresh.tree.root)               \
    MEMBER(spans, dirty.tree.root)               \
    MEMBER(spans, aging)                         \
    MEMBER(spans, live_units)                    \
    MEMBER(spans, free_units)                    \
    MEMBER(spans, dirty_units)                   \
    MEMBER(spans, unmapped_units)                \
    MEMBER(spans, lost_units)                    \
    MEMBER(spans, purges)                        \
    MEMBER(spans, purged_units)                  \
    MEMBER(spans, decay_ms)                      \
    MEMBER(spans, now_ms)                        \
    STRUCTURE(span)                              \
    MEMBER(span, first)                          \
    MEMBER(span, units)                          \
    STRUCTURE(free_span)                         \
    MEMBER(free_span, span)                      \
    MEMBER(free_span, dirty_units)               \
    MEMBER(free_span, freed_ms)                  \
    MEMBER(free_span, node)                      \
    MEMBER(free_span, node.left)                 \
    MEMBER(free_span, node.right)                \
    MEMBER(free_span, age)                       \
    STRUCTURE(large)                             \
    MEMBER(large, span)                          \
    MEMBER(large, requested)                     \
    MEMBER(large, arena)                         \
    MEMBER(large, fence)                         \
    CONSTANT(FENCE_ALL)                          \
    CONSTANT(OS_PAGE)                            \
    STRUCTURE(list)                              \
    MEMBER(list, next)                           \
    MEMBER(list, prev)                           \
    STRUCTURE(slab)                              \
    MEMBER(slab, span)                           \
    MEMBER(slab, link)                           \
    MEMBER(slab, age)                            \
    MEMBER(slab, slots)                          \
    MEMBER(slab, free)                           \
    MEMBER(slab, used)                           \
    MEMBER(slab, unsettled)                      \
    MEMBER(slab, born_s)                         \
    MEMBER(slab, bitmap[0])                      \
    STRUCTURE(heaps)                             \
    MEMBER(heaps, lock.state)                    \
    MEMBER(heaps, made)                          \
    MEMBER(heaps, in_use)                        \
    MEMBER(heaps, unused)                        \
    MEMBER(heaps, depot_bytes)                   \
    STRUCTURE(heap)                              \
    MEMBER(heap, tops)                           \
    MEMBER(heap, id)                             \
    MEMBER(heap, link)                           \
    MEMBER(heap, mode_offset)                    \
    MEMBER(heap, checks_every)                   \
    MEMBER(heap, lock.state)                     \
    MEMBER(heap, classes)                        \
    MEMBER(heap, slab_bytes)                     \
    MEMBER(heap, aging)                          \
    MEMBER(heap, depot.stored_count)             \
    MEMBER(heap, depot.stored_bytes)             \
    MEMBER(heap, depot.stored_credit)            \
    MEMBER(heap, larges.ready)                   \
    MEMBER(heap, larges.units)                   \
    MEMBER(heap, backlog)                        \
    MEMBER(heap, thread)                         \
    MEMBER(heap, arena)                          \
    MEMBER(heap, hardened)                       \
    MEMBER(heap, thread_number)                  \
    MEMBER(heap, counters.refills)               \
    MEMBER(heap, counters.flushes)               \
    MEMBER(heap, counters.remote_frees)          \
    MEMBER(heap, counters.adoptions)             \
    MEMBER(heap, counters.stolen)                \
    MEMBER(heap, counters.class_refills)         \
    MEMBER(heap, counters.class_flushes)         \
    MEMBER(heap, inbox)                          \
    CONSTANT(INBOX_CLOSED)                       \
    CONSTANT(LINK_SET)                           \
    STRUCTURE(arena)                             \
    MEMBER(arena, name)                          \
    STRUCTURE(hardened)                          \
    MEMBER(hardened, quarantines)                \
    STRUCTURE(quarantine)                        \
    MEMBER(quarantine, places)                   \
    MEMBER(quarantine, blocks[0])                \
    STRUCTURE(heap_class)                        \
    MEMBER(heap_class, slabs)                    \
    MEMBER(heap_class, bottom)                   \
    MEMBER(heap_class, stock.magazines)          \
    MEMBER(heap_class, stock.count)              \
    MEMBER(heap_class, waiting)                  \
    STRUCTURE(stored)                            \
    MEMBER(stored, next)                         \
    MEMBER(stored, slots)                        \
    CONSTANT(MAGAZINE_SLOTS)                     \
    CONSTANT(MAGAZINE_MAX)                       \
    CONSTANT(KEPT_SHARE)                         \
    STRUCTURE(abandoned)                         \
    MEMBER(abandoned, lock.state)                \
    MEMBER(abandoned, available)                 \
    MEMBER(abandoned, slabs)                     \
    MEMBER(abandoned, aging)                     \
    MEMBER(abandoned, shared)                    \
    STRUCTURE(huge_table)                        \
    MEMBER(huge_table, lock.state)               \
    MEMBER(huge_table, live.tree.root)           \
    MEMBER(huge_table, live.count)               \
    MEMBER(huge_table, bytes)                    \
    MEMBER(huge_table, freed)                    \
    STRUCTURE(huge)                              \
    MEMBER(huge, node)                           \
    MEMBER(huge, next)                           \
    STRUCTURE(samples)                           \
    MEMBER(samples, lock.state)                  \
    MEMBER(samples, interval)                    \
    MEMBER(samples, chunks)                      \
    MEMBER(samples, records)                     \
    MEMBER(samples, number)                      \
    MEMBER(samples, live)                        \
    MEMBER(samples, live_bytes)                  \
    MEMBER(samples, peak_bytes)                  \
    MEMBER(samples, peak_ms)                     \
    MEMBER(samples, peak_number)                 \
    MEMBER(samples, missed)                      \
    MEMBER(samples, cut)                         \
    MEMBER(samples, allocated)                   \
    MEMBER(samples, freed)                       \
    STRUCTURE(sample_chunk)                      \
    MEMBER(sample_chunk, next)                   \
    MEMBER(sample_chunk, samples)                \
    STRUCTURE(sample)                            \
    MEMBER(sample, state)                        \
    MEMBER(sample, kind)                         \
    MEMBER(sample, behind)                       \
    MEMBER(sample, quarantined)                  \
    MEMBER(sample, died)                         \
    MEMBER(sample, number)                       \
    MEMBER(sample, start)                        \
    MEMBER(sample, size)                         \
    MEMBER(sample, interval)                     \
    MEMBER(sample, allocated)                    \
    MEMBER(sample, freed)                        \
    CONSTANT(SAMPLE_LIVE)                        \
    CONSTANT(SAMPLE_CLAIMED)                     \
    CONSTANT(SAMPLE_DEAD)                        \
    CONSTANT(SAMPLE_SMALL)                       \
    CONSTANT(SAMPLE_LARGE)                       \
    STRUCTURE(sample_event)                      \
    MEMBER(sample_event, stack)                  \
    MEMBER(sample_event, ms)                     \
    MEMBER(sample_event, thread)                 \
    MEMBER(sample_event, pointer)                \
    STRUCTURE(stack_sums)                        \
    MEMBER(stack_sums, samples)                  \
    MEMBER(stack_sums, blocks)                   \
    MEMBER(stack_sums, bytes)                    \
    MEMBER(stack_sums, blocks_variance)          \
    MEMBER(stack_sums, bytes_variance)           \
    STRUCTURE(stack)                             \
    MEMBER(stack, next)                          \
    MEMBER(stack, depth)                         \
    MEMBER(stack, cut)                           \
    MEMBER(stack, allocated)                     \
    MEMBER(stack, freed)                         \
    MEMBER(stack, lives)                         \
    MEMBER(stack, frames[0])                     \
    STRUCTURE(stack_table)                       \
    MEMBER(stack_table, buckets)                 \
    MEMBER(stack_table, count)                   \
    MEMBER(stack_table, bytes)                   \
    MEMBER(stack_table, beyond)                  \
    MEMBER(stack_table, other)                   \
    STRUCTURE(guarded)                           \
    MEMBER(guarded, span)                        \
    MEMBER(guarded, kind)                        \
    MEMBER(guarded, cells)                       \
    MEMBER(guarded, taken)                       \
    MEMBER(guarded, samples)                     \
    STRUCTURE(guarded_table)                     \
    MEMBER(guarded_table, spans)                 \
    MEMBER(guarded_table, cells_taken)           \
    MEMBER(guarded_table, mappings)              \
    MEMBER(guarded_table, unguarded)             \
    STRUCTURE(range_node)                        \
    MEMBER(range_node, node)                     \
    MEMBER(range_node, node.left)                \
    MEMBER(range_node, node.right)               \
    MEMBER(range_node, start)                    \
    MEMBER(range_node, last)

LAYOUT_DEFINE(engine_layout, ENGINE_ROWS);
