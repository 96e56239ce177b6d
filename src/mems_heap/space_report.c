#include "space_report.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>

#include "base/bits.h"
#include "complaint.h"
#include "os/os.h"

/* A region of the store, as it is shown. */
struct region_numbers {
    const void *physical;
    size_t size;
    size_t used;
    size_t live;
    uint32_t blocks;
};

struct snapshot {
    struct mems_stats stats;
    bool movable;
    struct mems_segment *segments;
    size_t count;
    struct region_numbers *regions;
    size_t region_count;
    size_t bytes; /* of the mapping with the segments, or 0 */
};

static void copy_segments(struct mems_space *space, struct snapshot *snapshot) {
    struct mems_segment *out = snapshot->segments;
    size_t index = 0;
    for (struct list *link = space->chain.list.next; link != &space->chain.list; link = link->next) {
        struct main_node *main = main_node_of(link);
        for (struct list *at = main->sub_chain.next; at != &main->sub_chain; at = at->next) {
            const struct sub_node *node = sub_node_of(at);
            bool process = sub_node_kind(node) != SEGMENT_HOLE;
            *out++ = (struct mems_segment){
                .main_index = index,
                .main_start = main->range.start,
                .main_last = main->range.last,
                .start = node->start,
                .last = node->last,
                .physical = process                      ? node->physical
                            : main_node_has_memory(main) ? main_node_physical(main, node->start)
                                                         : NULL,
                .kind = process ? MEMS_PROCESS : MEMS_HOLE,
                .v_ptr = process ? handle_of(node, space->number) : NULL,
                .pins = process ? node->pins : 0,
            };
        }
        index++;
    }
}

/* 0 unless the space is ready. */
static size_t region_count(const struct mems_space *space) {
    return space->state == SPACE_READY ? list_length(&space->store.regions) : 0;
}

static void copy_regions(const struct store *store, struct snapshot *snapshot) {
    struct region_numbers *out = snapshot->regions;
    const struct list *link = store->regions.next;
    for (size_t i = 0; i < snapshot->region_count; i++, link = link->next) {
        const struct region *region = CONTAINER_OF(link, struct region, link);
        *out++ = (struct region_numbers){region->memory, region->size, region->top, region->live, region->blocks};
    }
}

/* False if that failed, which has been reported. */
static bool take_snapshot(const char *function, struct mems_space *space, struct snapshot *snapshot) {
    if (!space_enter(function, space, NULL)) {
        return false;
    }
    *snapshot = (struct snapshot){.movable = space->movable};
    space_collect(space, &snapshot->stats);
    snapshot->count = snapshot->stats.processes + snapshot->stats.holes;
    snapshot->region_count = region_count(space);
    size_t segments = snapshot->count * sizeof *snapshot->segments;
    size_t bytes = round_up(segments + snapshot->region_count * sizeof *snapshot->regions, os_page_size());
    if (bytes > 0) {
        void *memory;
        if (os_map(bytes, OS_PAGE, &memory) != 0) {
            space_leave(space);
            complain(function, ENOMEM, "cannot get memory for a list of %u bytes (mmap failed)", bytes);
            return false;
        }
        snapshot->segments = memory;
        snapshot->regions = (struct region_numbers *)((char *)memory + segments);
        snapshot->bytes = bytes;
        copy_segments(space, snapshot);
        copy_regions(&space->store, snapshot);
    }
    space_leave(space);
    return true;
}

static void drop_snapshot(struct snapshot *snapshot) {
    if (snapshot->bytes > 0) {
        (void)os_unmap(snapshot->segments, snapshot->bytes);
    }
}

/* Of the main node whose first segment is segments[from]. */
static size_t sub_chain_length(const struct snapshot *snapshot, size_t from) {
    size_t end = from;
    while (end < snapshot->count && snapshot->segments[end].main_index == snapshot->segments[from].main_index) {
        end++;
    }
    return end - from;
}

static void print_sub_node(const struct mems_segment *segment, FILE *stream) {
    fprintf(stream, "%c[%" PRIuPTR ":%" PRIuPTR "] <-> ", segment->kind == MEMS_PROCESS ? 'P' : 'H', segment->start,
            segment->last);
}

static void print_main_node(const struct mems_segment *segments, size_t length, FILE *stream) {
    fprintf(stream, "MAIN[%" PRIuPTR ":%" PRIuPTR "]-> ", segments->main_start, segments->main_last);
    for (size_t i = 0; i < length; i++) {
        print_sub_node(&segments[i], stream);
    }
    fputs("NULL\n", stream);
}

static void print_snapshot(const struct snapshot *snapshot, FILE *stream) {
    fputs("----- MeMS SYSTEM STATS -----\n", stream);
    size_t length;
    for (size_t i = 0; i < snapshot->count; i += length) {
        length = sub_chain_length(snapshot, i);
        print_main_node(&snapshot->segments[i], length, stream);
    }
    fprintf(stream, "Pages used:\t%zu\n", snapshot->stats.pages);
    fprintf(stream, "Space unused:\t%zu\n", snapshot->stats.hole_bytes);
    fprintf(stream, "Main Chain Length:\t%zu\n", snapshot->stats.main_nodes);
    fputs("Sub-chain Length array: [", stream);
    for (size_t i = 0; i < snapshot->count; i += length) {
        length = sub_chain_length(snapshot, i);
        fprintf(stream, "%zu, ", length);
    }
    fputs("]\n-----------------------------\n", stream);
}

/* On the locked stream. A cancelled thread gives all of it back; a visit that longjmps does not. */
struct showing {
    struct snapshot snapshot;
    FILE *stream;
};

static void end_showing(void *context) {
    struct showing *showing = context;
    if (showing->stream != NULL) {
        funlockfile(showing->stream);
    }
    drop_snapshot(&showing->snapshot);
}

static void show(const char *function, struct mems_space *space, FILE *stream,
                 void (*print)(const struct snapshot *snapshot, FILE *stream)) {
    if (space != NULL && stream == NULL) {
        complain(function, EINVAL, "the stream is NULL", 0);
        return;
    }
    struct showing showing;
    if (take_snapshot(function, space, &showing.snapshot)) {
        showing.stream = stream;
        flockfile(stream);
        pthread_cleanup_push(end_showing, &showing);
        print(&showing.snapshot, stream);
        pthread_cleanup_pop(1);
    }
}

void space_report_print(const char *function, struct mems_space *space, FILE *stream) {
    show(function, space, stream, print_snapshot);
}

static void json_address(const void *physical, FILE *stream) {
    if (physical != NULL) {
        fprintf(stream, "\"0x%" PRIxPTR "\"", (uintptr_t)physical);
    } else {
        fputs("null", stream);
    }
}

static void json_main_node(const struct mems_segment *segments, size_t length, bool movable, FILE *stream) {
    fprintf(stream, "{\"start\": %" PRIuPTR ", \"last\": %" PRIuPTR ", \"physical\": ", segments->main_start,
            segments->main_last);
    json_address(movable ? NULL : segments->physical, stream);
    fputs(", \"sub_chain\": [", stream);
    for (size_t i = 0; i < length; i++) {
        fprintf(stream, "%s\n    {\"kind\": \"%s\", \"start\": %" PRIuPTR ", \"last\": %" PRIuPTR ", \"physical\": ",
                i == 0 ? "" : ",", segments[i].kind == MEMS_PROCESS ? "PROCESS" : "HOLE", segments[i].start,
                segments[i].last);
        json_address(segments[i].physical, stream);
        fputc('}', stream);
    }
    fputs("]}", stream);
}

static void json_numbers(const struct mems_stats *stats, FILE *stream) {
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"page_size", stats->page_size},
        {"pages", stats->pages},
        {"main_nodes", stats->main_nodes},
        {"processes", stats->processes},
        {"holes", stats->holes},
        {"process_bytes", stats->process_bytes},
        {"hole_bytes", stats->hole_bytes},
        {"reserved_bytes", stats->reserved_bytes},
        {"metadata_bytes", stats->metadata_bytes},
        {"maps", stats->maps},
        {"unmaps", stats->unmaps},
        {"failures", stats->failures},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        fprintf(stream, "\"%s\": %" PRIu64 ",\n", numbers[i].name, numbers[i].value);
    }
}

static void json_store(const struct snapshot *snapshot, FILE *stream) {
    const struct mems_stats *stats = &snapshot->stats;
    fprintf(stream,
            "\"store\": {\"gap_bytes\": %zu, \"pinned\": %zu, \"moved_blocks\": %" PRIu64 ", \"moved_bytes\": %" PRIu64
            ", \"regions\": [",
            stats->gap_bytes, stats->pinned, stats->moved_blocks, stats->moved_bytes);
    for (size_t i = 0; i < snapshot->region_count; i++) {
        const struct region_numbers *region = &snapshot->regions[i];
        fputs(i == 0 ? "\n  {\"physical\": " : ",\n  {\"physical\": ", stream);
        json_address(region->physical, stream);
        fprintf(stream, ", \"size\": %zu, \"used\": %zu, \"live\": %zu, \"blocks\": %" PRIu32 "}", region->size,
                region->used, region->live, region->blocks);
    }
    fputs("]},\n", stream);
}

static void json_snapshot(const struct snapshot *snapshot, FILE *stream) {
    fputc('{', stream);
    json_numbers(&snapshot->stats, stream);
    if (snapshot->movable) {
        json_store(snapshot, stream);
    }
    fputs("\"main_chain\": [", stream);
    size_t length;
    for (size_t i = 0; i < snapshot->count; i += length) {
        length = sub_chain_length(snapshot, i);
        fputs(i == 0 ? "\n  " : ",\n  ", stream);
        json_main_node(&snapshot->segments[i], length, snapshot->movable, stream);
    }
    fputs("]}\n", stream);
}

void space_report_json(const char *function, struct mems_space *space, FILE *stream) {
    show(function, space, stream, json_snapshot);
}

int space_report_walk(const char *function, struct mems_space *space,
                      int (*visit)(const struct mems_segment *segment, void *context), void *context) {
    if (space != NULL && visit == NULL) {
        complain(function, EINVAL, "visit is NULL", 0);
        return -1;
    }
    struct showing showing = {.stream = NULL};
    if (!take_snapshot(function, space, &showing.snapshot)) {
        return -1;
    }
    int result = 0;
    pthread_cleanup_push(end_showing, &showing);
    for (size_t i = 0; i < showing.snapshot.count && result == 0; i++) {
        result = visit(&showing.snapshot.segments[i], context);
    }
    pthread_cleanup_pop(1);
    return result;
}
