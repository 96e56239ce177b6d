/* backend_hmm.c - HMM as the heap behind malloc (backend.h). */
#include <errno.h>

#include "api/family/backend.h"
#include "base/fmt.h"
#include "hmm.h"
#include "hmm/block.h"
#include "os/os.h"

_Static_assert(HMM_ROWS <= BACKEND_ROWS, "there is room for all rows");

/* A block's header counts as part of it, or merging two free blocks would change the bytes in use. Numbers come from
 * counters, read one after another; with other threads, each is right for a moment. */
void backend_figures(struct backend_figures *figures) {
    struct HmmStats stats;
    hmm_stats(&hmm_heap, &stats);
    size_t cached = stats.cached + stats.cached_blocks * BLOCK_HEADER;
    size_t free = stats.free + stats.free_blocks * BLOCK_HEADER;
    size_t last = hmm_last_free(&hmm_heap);
    *figures = (struct backend_figures){
        .held = stats.region,
        .peak = stats.peak,
        .used = stats.region - cached - free,
        .cached = cached,
        .free = free,
        .cached_blocks = stats.cached_blocks,
        .free_blocks = stats.free_blocks,
        .trimmable = last < free ? last : free,
        .reserved = stats.region,
        .accessible = stats.region,
    };
}

void backend_table(struct backend_table *table) {
    struct hmm_row rows[HMM_ROWS];
    backend_figures(&table->figures);
    hmm_rows(&hmm_heap, rows);
    table->row_count = 0;
    for (unsigned i = 0; i < HMM_ROWS; i++) {
        size_t from = BLOCK_ALIGN << i;
        if (rows[i].blocks > 0) {
            table->rows[table->row_count++] = (struct backend_row){
                .from = from, .to = from + (from - 1), .count = rows[i].blocks, .bytes = rows[i].bytes};
        }
    }
}

static void put_row(struct fmt *out, const char *name, size_t bytes, const char *meaning) {
    fmt_text(out, "  ");
    fmt_label(out, name, 14);
    fmt_column(out, bytes, 20);
    fmt_format(out, "   %s\n", meaning);
}

void backend_report(int fd) {
    struct HmmStats stats;
    hmm_stats(&hmm_heap, &stats);
    char text[2048];
    struct fmt out = fmt_of(text, sizeof text);
    fmt_format(&out, "HMM: heap of process %u (%s)\n\nregion                         bytes\n", os_process_id(),
               program_invocation_short_name);
    put_row(&out, "used", stats.used, "allocated blocks");
    put_row(&out, "cached", stats.cached, "freed blocks on quick lists");
    put_row(&out, "free", stats.free, "blocks of the free list");
    put_row(&out, "overhead", stats.overhead, "headers and the ends of regions");
    fmt_text(&out, "  ----------------------------------\n");
    put_row(&out, "region", stats.region, "their sum");
    put_row(&out, "peak", stats.peak, "its highest value so far");
    put_row(&out, "most used", stats.most, "its highest value so far, with headers and cached blocks");
    put_row(&out, "largest free", stats.largest_free, "of the free list");
    fmt_text(&out, "\ncounters                      number\n");
    put_row(&out, "used", stats.used_blocks, "blocks");
    put_row(&out, "cached", stats.cached_blocks, "blocks");
    put_row(&out, "free", stats.free_blocks, "blocks");
    put_row(&out, "regions", stats.regions, "more than one if something stopped the break");
    put_row(&out, "break moves", (size_t)stats.break_moves, "up or down");
    put_row(&out, "failures", (size_t)stats.failures, "allocations that failed");
    fmt_flush(&out, fd);
}
