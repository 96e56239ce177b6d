/* backend_engine.c - the engine as the heap behind malloc (backend.h). */
#include "mems.h"

#include "api/family/backend.h"
#include "engine/reports/stats_report.h"
#include "engine/root/root.h"
#include "os/os.h"

_Static_assert(MEMS_SIZE_CLASSES <= BACKEND_ROWS, "each size class has a row");

/* The counts by class. */
static void figure_classes(struct backend_figures *figures, const struct mems_engine_stats *stats) {
    for (uint32_t i = 0; i < stats->class_count; i++) {
        const struct mems_class_stats *size_class = &stats->classes[i];
        figures->cached_blocks += size_class->cached;
        figures->trimmable -= size_class->cached * size_class->size;
        figures->free_blocks += size_class->free;
    }
}

static struct backend_figures figures_of(const struct mems_engine_stats *stats) {
    struct backend_figures figures = {
        .held = stats->accessible - stats->fresh,
        .peak = stats->accessible,
        .used = stats->live + stats->slack,
        .cached = stats->cached,
        .free = stats->free + stats->untouched + stats->dirty,
        .mapped = stats->huge_bytes,
        .mapped_blocks = stats->huge_blocks,
        .trimmable = stats->dirty + stats->cached, /* without what is cached of small blocks */
        .reserved = stats->window,
        .accessible = stats->accessible,
    };
    figure_classes(&figures, stats);
    return figures;
}

/* Each class begins where the last ends. */
static void fill_rows(struct backend_table *table, const struct mems_engine_stats *stats) {
    size_t from = 1;
    table->row_count = 0;
    for (uint32_t i = 0; i < stats->class_count; i++) {
        const struct mems_class_stats *size_class = &stats->classes[i];
        size_t count = size_class->cached + size_class->free;
        if (count > 0) {
            table->rows[table->row_count++] = (struct backend_row){
                .from = from, .to = size_class->size, .count = count, .bytes = count * size_class->size};
        }
        from = size_class->size + 1;
    }
}

static void collect_figures(void *stats, void *figures) {
    engine_stats(stats);
    *(struct backend_figures *)figures = figures_of(stats);
}

void backend_figures(struct backend_figures *figures) {
    os_with_scratch(sizeof(struct mems_engine_stats), collect_figures, figures);
}

static void collect_table(void *stats, void *table) {
    engine_stats(stats);
    ((struct backend_table *)table)->figures = figures_of(stats);
    fill_rows(table, stats);
}

void backend_table(struct backend_table *table) {
    os_with_scratch(sizeof(struct mems_engine_stats), collect_table, table);
}

void backend_report(int fd) {
    root_start();
    stats_report_text(fd);
}

bool backend_keeps_deepbind(void) {
    return mems_root.options.deepbind == DEEPBIND_KEEP;
}
