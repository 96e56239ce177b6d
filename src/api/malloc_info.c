/*
 * malloc_info.c - glibc's questions to malloc and its switches, answered for this heap.
 *
 * A program that asks mallinfo2 or malloc_trim means the heap that it uses, so none of these may fall through to the C
 * library's idle arena. How the heap's figures map to glibc's words:
 *
 *   arena = uordblks + fordblks;  uordblks: used;  fordblks: cached + free
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend.h"
#include "base/compiler.h"
#include "base/fmt.h"

/* As in glibc's <malloc.h>; musl's has none of it. */
struct mallinfo {
    int arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};
struct mallinfo2 {
    size_t arena;    /* bytes from the system, mapped blocks apart */
    size_t ordblks;  /* number of free blocks */
    size_t smblks;   /* number of cached blocks */
    size_t hblks;    /* number of blocks with a mapping of their own */
    size_t hblkhd;   /* their bytes */
    size_t usmblks;  /* always 0, as in glibc */
    size_t fsmblks;  /* bytes of cached blocks, part of fordblks */
    size_t uordblks; /* bytes in use */
    size_t fordblks; /* bytes free */
    size_t keepcost; /* bytes that malloc_trim could give back at once */
};
enum { M_TRIM_THRESHOLD = -1, M_CHECK_ACTION = -5 };

struct mallinfo mallinfo(void);
struct mallinfo2 mallinfo2(void);
int mallopt(int parameter, int value);
int malloc_trim(size_t pad);
void malloc_stats(void);
int malloc_info(int options, FILE *stream);

/* Brings malloc along from a static archive: nobody shall ask here about a heap that is not in use. */
__attribute__((used)) static void *(*const with_malloc)(size_t) = malloc;

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

/* Numbers beyond an int's range stand at its end: too small, but never negative or wrapped around. */
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

/*
 * 1 where this heap does what is asked for, 0 otherwise. M_TRIM_THRESHOLD 0 is free memory back to the system at once;
 * M_CHECK_ACTION with its abort bit is what always happens. The others steer arenas, a top chunk and an mmap threshold,
 * none of which is a choice here.
 */
static int tune(int parameter, int value) {
    switch (parameter) {
    case M_TRIM_THRESHOLD:
        return value == 0 && backend_trim_always();
    case M_CHECK_ACTION:
        return (value & 2) != 0;
    default:
        return 0;
    }
}

EXPORT int mallopt(int parameter, int value) {
    return tune(parameter, value);
}

/* 1 when memory went back to the system. The engine has no top to leave a pad at: there all free memory goes. */
EXPORT int malloc_trim(size_t pad) {
    (void)pad;
    return backend_trim(pad) > 0;
}

EXPORT void malloc_stats(void) {
    backend_report(STDERR_FILENO);
}

/* Puts what fmt holds into the stream and empties it. */
static void put(FILE *stream, struct fmt *fmt) {
    fputs(fmt->text, stream);
    fmt_init(fmt, fmt->text, fmt->capacity);
}

static void put_row(FILE *stream, struct fmt *fmt, const char *kind, size_t count, size_t size) {
    fmt_format(fmt, "<total type=\"%s\" count=\"%u\" size=\"%u\"/>\n", kind, (uint64_t)count, (uint64_t)size);
    put(stream, fmt);
}

static void put_sizes(FILE *stream, struct fmt *fmt, const struct backend_figures *figures) {
    fputs("<sizes>\n", stream);
    for (size_t i = 0; i < figures->row_count; i++) {
        const struct backend_row *row = &figures->rows[i];
        fmt_format(fmt, "<size from=\"%u\" to=\"%u\" total=\"%u\" count=\"%u\"/>\n", (uint64_t)row->from,
                   (uint64_t)row->to, (uint64_t)row->bytes, (uint64_t)row->count);
        put(stream, fmt);
    }
    fputs("</sizes>\n", stream);
}

/*
 * The state of the heap as XML, in the words of glibc's malloc_info: "fast" is what is cached, "rest" what is free
 * otherwise. All is gathered first, for the stream may allocate its buffer while we write.
 */
EXPORT int malloc_info(int options, FILE *stream) {
    if (options != 0) {
        errno = EINVAL;
        return -1;
    }
    struct backend_figures figures;
    backend_figures(&figures);
    char text[256];
    struct fmt fmt;
    fmt_init(&fmt, text, sizeof text);
    fputs("<malloc version=\"1\">\n<heap nr=\"0\">\n", stream);
    put_sizes(stream, &fmt, &figures);
    put_row(stream, &fmt, "fast", figures.cached_blocks, figures.cached);
    put_row(stream, &fmt, "rest", figures.free_blocks, figures.free);
    put_row(stream, &fmt, "mmap", figures.mapped_blocks, figures.mapped);
    fmt_format(&fmt, "<system type=\"current\" size=\"%u\"/>\n", (uint64_t)figures.held);
    put(stream, &fmt);
    fmt_format(&fmt, "<aspace type=\"total\" size=\"%u\"/>\n<aspace type=\"mprotect\" size=\"%u\"/>\n",
               (uint64_t)figures.reserved, (uint64_t)figures.accessible);
    put(stream, &fmt);
    fputs("</heap>\n</malloc>\n", stream);
    return ferror(stream) ? -1 : 0;
}

/* glibc's other names for two of them. */
#ifdef __GLIBC__

struct mallinfo __libc_mallinfo(void);
int __libc_mallopt(int parameter, int value);

EXPORT struct mallinfo __libc_mallinfo(void) {
    return info_capped();
}

EXPORT int __libc_mallopt(int parameter, int value) {
    return tune(parameter, value);
}

#endif
