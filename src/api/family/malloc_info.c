/*
 * malloc_info.c - glibc's statistics of malloc. A program means the heap that it uses, so none may reach the C
 * library's unused arena. In glibc's terms:
 *
 *   arena = uordblks + fordblks;  uordblks: used;  fordblks: cached + free
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "api/family/backend.h"
#include "api/family/with_malloc.h"
#include "base/compiler.h"
#include "os/os.h"

/* As in glibc's <malloc.h>; musl has none of this. */
struct mallinfo {
    int arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};
struct mallinfo2 {
    size_t arena;    /* bytes from the system, without mapped blocks */
    size_t ordblks;  /* number of free blocks */
    size_t smblks;   /* number of cached blocks */
    size_t hblks;    /* number of blocks with separate mappings */
    size_t hblkhd;   /* their bytes */
    size_t usmblks;  /* always 0, as in glibc */
    size_t fsmblks;  /* bytes of cached blocks, part of fordblks */
    size_t uordblks; /* bytes in use */
    size_t fordblks; /* bytes free */
    size_t keepcost; /* what malloc_trim could give back at once */
};

struct mallinfo mallinfo(void);
struct mallinfo2 mallinfo2(void);
void malloc_stats(void);
int malloc_info(int options, FILE *stream);

static struct mallinfo2 info_collect(void) {
    struct backend_figures figures;
    backend_figures(&figures);
    return (struct mallinfo2){
        .arena = figures.held,
        .ordblks = figures.free_blocks,
        .smblks = figures.cached_blocks,
        .hblks = figures.mapped_blocks,
        .hblkhd = figures.mapped,
        .fsmblks = figures.cached,
        .uordblks = figures.used,
        .fordblks = figures.cached + figures.free,
        .keepcost = figures.trimmable,
    };
}

EXPORT struct mallinfo2 mallinfo2(void) {
    return info_collect();
}

static int capped(size_t value) {
    return value < INT_MAX ? (int)value : INT_MAX;
}

/* Caps at INT_MAX, so that numbers are never negative or wrapped around. */
static struct mallinfo info_capped(void) {
    struct mallinfo2 info = info_collect();
    return (struct mallinfo){
        .arena = capped(info.arena),
        .ordblks = capped(info.ordblks),
        .smblks = capped(info.smblks),
        .hblks = capped(info.hblks),
        .hblkhd = capped(info.hblkhd),
        .usmblks = capped(info.usmblks),
        .fsmblks = capped(info.fsmblks),
        .uordblks = capped(info.uordblks),
        .fordblks = capped(info.fordblks),
        .keepcost = capped(info.keepcost),
    };
}

EXPORT struct mallinfo mallinfo(void) {
    return info_capped();
}

EXPORT void malloc_stats(void) {
    backend_report(STDERR_FILENO);
}

static void put_row(FILE *stream, const char *kind, size_t count, size_t size) {
    fprintf(stream, "<total type=\"%s\" count=\"%zu\" size=\"%zu\"/>\n", kind, count, size);
}

static void put_sizes(FILE *stream, const struct backend_table *table) {
    fputs("<sizes>\n", stream);
    for (size_t i = 0; i < table->row_count; i++) {
        const struct backend_row *row = &table->rows[i];
        fprintf(stream, "<size from=\"%zu\" to=\"%zu\" total=\"%zu\" count=\"%zu\"/>\n", row->from, row->to, row->bytes,
                row->count);
    }
    fputs("</sizes>\n", stream);
}

static void put_totals(FILE *stream, const struct backend_figures *figures) {
    put_row(stream, "fast", figures->cached_blocks, figures->cached);
    put_row(stream, "rest", figures->free_blocks, figures->free);
}

static void put_sums(FILE *stream, const struct backend_figures *figures) {
    fprintf(stream, "<system type=\"current\" size=\"%zu\"/>\n<system type=\"max\" size=\"%zu\"/>\n", figures->held,
            figures->peak);
    fprintf(stream, "<aspace type=\"total\" size=\"%zu\"/>\n<aspace type=\"mprotect\" size=\"%zu\"/>\n",
            figures->reserved, figures->accessible);
}

/* Figures are collected first, because the stream may allocate. */
static void write_info(void *room, void *stream) {
    struct backend_table *table = room;
    const struct backend_figures *figures = &table->figures;
    backend_table(table);
    fputs("<malloc version=\"1\">\n<heap nr=\"0\">\n", stream);
    put_sizes(stream, table);
    put_totals(stream, figures);
    put_sums(stream, figures);
    fputs("</heap>\n", stream);
    put_totals(stream, figures);
    put_row(stream, "mmap", figures->mapped_blocks, figures->mapped);
    put_sums(stream, figures);
    fputs("</malloc>\n", stream);
}

/* XML with glibc's names and order: one heap, then the sums. "fast" is cached memory, "rest" other free memory. */
EXPORT int malloc_info(int options, FILE *stream) {
    if (options != 0) {
        errno = EINVAL;
        return -1;
    }
    os_with_scratch(sizeof(struct backend_table), write_info, stream);
    return ferror(stream) ? -1 : 0;
}

#ifdef __GLIBC__

struct mallinfo __libc_mallinfo(void);

EXPORT struct mallinfo __libc_mallinfo(void) {
    return info_capped();
}

#endif
