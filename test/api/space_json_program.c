/*
 * For space_json.sh: writes a heap's JSON to the named file, and the same from mems_stats and mems_walk to standard
 * output, one number or segment a line.
 */
#include <inttypes.h>

#include "mems.h"

static int print_segment(const struct mems_segment *segment, void *context) {
    (void)context;
    printf("segment %zu %" PRIuPTR " %" PRIuPTR " %s %" PRIuPTR " %" PRIuPTR " %" PRIuPTR "\n", segment->main_index,
           segment->main_start, segment->main_last, segment->kind == MEMS_PROCESS ? "PROCESS" : "HOLE", segment->start,
           segment->last, (uintptr_t)segment->physical);
    return 0;
}

static void print_stats(void) {
    struct mems_stats stats;
    mems_stats(&stats);
    printf("page_size %zu\npages %zu\nmain_nodes %zu\nprocesses %zu\nholes %zu\nprocess_bytes %zu\nhole_bytes %zu\n",
           stats.page_size, stats.pages, stats.main_nodes, stats.processes, stats.holes, stats.process_bytes,
           stats.hole_bytes);
    printf("reserved_bytes %zu\nmetadata_bytes %zu\nmaps %" PRIu64 "\nunmaps %" PRIu64 "\nfailures %" PRIu64 "\n",
           stats.reserved_bytes, stats.metadata_bytes, stats.maps, stats.unmaps, stats.failures);
}

/* Main nodes with and without memory, PROCESSes and HOLEs; `empty`: nothing at all. */
static void use(int empty) {
    enum { BLOCKS = 200 };
    void *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS && !empty; i++) {
        blocks[i] = mems_malloc(1 + i * i);
    }
    for (size_t i = 0; i < BLOCKS && !empty; i += 3) {
        mems_free(blocks[i]);
    }
    mems_trim();
    if (!empty) {
        mems_free(mems_malloc(0));
    }
}

int main(int count, char **arguments) {
    if (count < 2) {
        return 2;
    }
    use(count > 2);
    FILE *file = fopen(arguments[1], "w");
    if (file == NULL) {
        return 2;
    }
    mems_stats_json(file);
    fclose(file);
    print_stats();
    return mems_walk(print_segment, NULL);
}
