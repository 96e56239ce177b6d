#include "stats_report.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/fmt.h"
#include "engine/heaps/heap.h"
#include "engine/reports/arena_stats.h"
#include "engine/reports/stats.h"
#include "engine/root/root.h"
#include "os/message.h"
#include "os/os.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The JSON object, some 150 bytes a class, takes a few writes; a table one or two. */
#define BUFFER_SIZE 4096
/* Of either report, including a program's escaped name. */
#define LINE_RESERVE 640

/* Flushed whenever another line might not fit. */
struct report {
    struct fmt out;
    int fd;
    struct mems_engine_stats stats;
    char buffer[BUFFER_SIZE];
};

/* Which report is wanted. */
struct request {
    int fd;
    void (*put)(struct report *report, const struct mems_engine_stats *stats);
};

static void write_report(void *room, void *context) {
    struct report *report = room;
    const struct request *request = context;
    report->fd = request->fd;
    report->out = fmt_of(report->buffer, sizeof report->buffer);
    stats_collect(&report->stats);
    request->put(report, &report->stats);
    fmt_flush(&report->out, report->fd);
}

static struct fmt *report_line(struct report *report) {
    if (report->out.length > sizeof report->buffer - LINE_RESERVE) {
        fmt_flush(&report->out, report->fd);
    }
    return &report->out;
}

/* Its name in both reports, where it is kept, and what it means. */
struct row {
    const char *name;
    size_t offset; /* in struct mems_engine_stats */
    const char *meaning;
};

#define ROW(member, meaning) \
    { #member, offsetof(struct mems_engine_stats, member), meaning }

/* accessible is the sum of these. */
static const struct row window_rows[] = {
    ROW(live, "allocated blocks: slots, large blocks, samples' pages"),
    ROW(slack, "ends of spans too short for a slot, large blocks' rounding"),
    ROW(cached, "in magazines and depots"),
    ROW(free, "free slots, used before"),
    ROW(untouched, "free slots, never used"),
    ROW(dirty, "free spans, not purged yet"),
    ROW(fresh, "free spans that hold no memory"),
};

/* Parts of the rows above, and memory outside them. */
static const struct row other_rows[] = {
    ROW(accessible, ""),  ROW(window, ""),     ROW(metadata, ""),       ROW(large_blocks, ""),  ROW(large_bytes, ""),
    ROW(huge_blocks, ""), ROW(huge_bytes, ""), ROW(sampled_blocks, ""), ROW(sampled_bytes, ""),
};

/* uint64_t; these count events or things. */
static const struct row counter_rows[] = {
    ROW(threads, "heaps in use"),
    ROW(heaps_made, "heaps ever made for a thread"),
    ROW(refills, "magazines refilled"),
    ROW(flushes, "magazines flushed"),
    ROW(remote_frees, "blocks freed by a thread that does not own them"),
    ROW(adoptions, "abandoned slabs adopted"),
    ROW(purges, "spans purged"),
    ROW(purged_bytes, "their bytes"),
    ROW(pages_moved, "blocks that realloc moved by their pages"),
    ROW(huge_page_bytes, "bytes made present as huge pages (huge_pages)"),
    ROW(failures, "allocations that failed for lack of memory"),
    ROW(minor_faults, "page faults of the process, served from memory"),
    ROW(major_faults, "page faults that waited for a disk"),
    ROW(guards, "guards set (harden)"),
    ROW(guards_refused, "guards that the system refused"),
    ROW(quarantined, "bytes of freed blocks in quarantine"),
};

_Static_assert(sizeof(size_t) == sizeof(uint64_t), "a row is read as 64 bits, whichever type it has");

static uint64_t row_value(const struct mems_engine_stats *stats, const struct row *row) {
    uint64_t value;
    memcpy(&value, (const char *)stats + row->offset, sizeof value);
    return value;
}

/* Right-aligned, rounded down: 512 B, 11.8 MiB. */
static void put_human(struct fmt *out, uint64_t size, size_t width) {
    static const char units[][4] = {"B  ", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    uint64_t rest = 0;
    for (; size >= 1024; size /= 1024) {
        rest = size % 1024;
        unit++;
    }
    if (unit == 0) {
        fmt_column(out, size, width);
    } else {
        fmt_column(out, size, width - 2);
        fmt_format(out, ".%u", rest * 10 / 1024);
    }
    fmt_format(out, " %s", units[unit]);
}

static void put_bytes(struct report *report, const char *indent, const char *name, uint64_t bytes,
                      const char *meaning) {
    struct fmt *out = report_line(report);
    fmt_text(out, indent);
    fmt_label(out, name, 16 - strlen(indent));
    fmt_column(out, bytes, 20);
    put_human(out, bytes, 8);
    fmt_format(out, "%s%s\n", *meaning != '\0' ? "   " : "", meaning);
}

static void put_rule(struct report *report) {
    fmt_text(report_line(report), "  -----------------------------------------------\n");
}

static void put_heading(struct report *report) {
    struct fmt *out = report_line(report);
    fmt_format(out, "MeMS %u.%u.%u: heap of process %u (%s)\n\n", (uint64_t)MEMS_VERSION_MAJOR,
               (uint64_t)MEMS_VERSION_MINOR, (uint64_t)MEMS_VERSION_PATCH, os_process_id(),
               program_invocation_short_name);
}

static void put_window(struct report *report, const struct mems_engine_stats *stats) {
    fmt_text(report_line(report), "window                         bytes\n");
    for (size_t i = 0; i < COUNT(window_rows); i++) {
        put_bytes(report, "  ", window_rows[i].name, row_value(stats, &window_rows[i]), window_rows[i].meaning);
    }
    put_rule(report);
    put_bytes(report, "  ", "accessible", stats->accessible, "their sum");
    put_bytes(report, "  ", "reserved", stats->window, "address space, accessible or not");
}

static void put_memory(struct report *report, const struct mems_engine_stats *stats) {
    size_t touched = stats->live + stats->slack + stats->cached + stats->free + stats->dirty;
    size_t heap = touched + stats->metadata + stats->huge_bytes;
    fmt_text(report_line(report), "\nmemory                         bytes\n");
    put_bytes(report, "  ", "window", touched, "live + slack + cached + free + dirty");
    put_bytes(report, "  ", "metadata", stats->metadata, "tables and descriptors");
    put_bytes(report, "  ", "huge blocks", stats->huge_bytes, "mapped separately");
    put_rule(report);
    put_bytes(report, "  ", "heap", heap, "their sum: at most this much is resident");
    put_bytes(report, "  ", "process", stats->resident, "resident, with code, stacks and other mappings");
    struct fmt *out = report_line(report);
    fmt_format(out, "  %u large blocks (part of live): %u bytes; %u huge blocks: %u bytes\n",
               (uint64_t)stats->large_blocks, (uint64_t)stats->large_bytes, (uint64_t)stats->huge_blocks,
               (uint64_t)stats->huge_bytes);
    fmt_format(out, "  %u sampled small blocks (part of live): %u bytes of pages\n", (uint64_t)stats->sampled_blocks,
               (uint64_t)stats->sampled_bytes);
}

static void put_class(struct report *report, const struct mems_class_stats *size_class) {
    struct fmt *out = report_line(report);
    fmt_column(out, size_class->size, 8);
    fmt_column(out, size_class->slabs, 8);
    fmt_column(out, size_class->live, 12);
    fmt_column(out, size_class->cached, 12);
    fmt_column(out, size_class->free, 12);
    fmt_column(out, size_class->slots, 12);
    put_human(out, (uint64_t)size_class->live * size_class->size, 10);
    fmt_char(out, '\n');
}

static void put_classes(struct report *report, const struct mems_engine_stats *stats) {
    fmt_text(report_line(report), "\nslots: live + cached + free = slots\n"
                                  "    size   slabs        live      cached        free       slots  live bytes\n");
    for (uint32_t i = 0; i < stats->class_count; i++) {
        if (stats->classes[i].slabs > 0) {
            put_class(report, &stats->classes[i]);
        }
    }
}

static void put_counters(struct report *report, const struct mems_engine_stats *stats) {
    fmt_text(report_line(report), "\ncounters                      number\n");
    for (size_t i = 0; i < COUNT(counter_rows); i++) {
        struct fmt *out = report_line(report);
        fmt_text(out, "  ");
        fmt_label(out, counter_rows[i].name, 14);
        fmt_column(out, row_value(stats, &counter_rows[i]), 20);
        fmt_format(out, "   %s\n", counter_rows[i].meaning);
    }
}

/* put() gets each arena, and whether it is the first. */
static void each_arena(struct report *report,
                       void (*put)(struct report *report, const struct mems_arena_stats *arena, bool first)) {
    bool first = true;
    for (uint32_t id = 1; root_ready() && id <= heaps_made(); id++) {
        struct mems_arena_stats arena;
        if (arena_stats_of(id, &arena)) {
            put(report, &arena, first);
            first = false;
        }
    }
}

static void put_arena(struct report *report, const struct mems_arena_stats *arena, bool first) {
    (void)first;
    struct fmt *out = report_line(report);
    fmt_column(out, arena->blocks, 12);
    fmt_column(out, arena->bytes, 18);
    fmt_column(out, arena->held, 18);
    fmt_text(out, "   \"");
    for (const char *at = arena->name; *at != '\0'; at++) {
        fmt_char(out, (unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f ? '?' : *at);
    }
    fmt_text(out, "\"\n");
}

static void put_arenas(struct report *report) {
    if (atomic_load_explicit(&heaps.arenas, memory_order_relaxed) != 0) {
        fmt_text(report_line(report),
                 "\narenas (part of the above)\n      blocks        live bytes        held bytes   name\n");
        each_arena(report, put_arena);
    }
}

static void put_text(struct report *report, const struct mems_engine_stats *stats) {
    put_heading(report);
    put_window(report, stats);
    put_memory(report, stats);
    put_classes(report, stats);
    put_arenas(report);
    put_counters(report, stats);
}

void stats_report_text(int fd) {
    os_with_scratch(sizeof(struct report), write_report, &(struct request){.fd = fd, .put = put_text});
}

/* In quotes. Bytes beyond ASCII become code points of Latin-1, so any name gives valid JSON. */
static void put_json_string(struct fmt *out, const char *text) {
    fmt_char(out, '"');
    for (size_t i = 0; text[i] != '\0' && i < 64; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c >= 0x7f) {
            fmt_format(out, "\\u00%s%s", (const char[]){"0123456789abcdef"[c >> 4], '\0'},
                       (const char[]){"0123456789abcdef"[c & 15], '\0'});
            continue;
        }
        if (c == '"' || c == '\\') {
            fmt_char(out, '\\');
        }
        fmt_char(out, (char)c);
    }
    fmt_char(out, '"');
}

static void put_json_rows(struct report *report, const struct mems_engine_stats *stats, const struct row *rows,
                          size_t count) {
    for (size_t i = 0; i < count; i++) {
        fmt_format(report_line(report), ",\"%s\":%u", rows[i].name, row_value(stats, &rows[i]));
    }
}

static void put_json_class(struct report *report, const struct mems_class_stats *size_class, bool first) {
    fmt_format(report_line(report), "%s{\"size\":%u,\"slabs\":%u,\"slots\":%u,\"live\":%u,\"cached\":%u,\"free\":%u}",
               first ? "" : ",", (uint64_t)size_class->size, (uint64_t)size_class->slabs, (uint64_t)size_class->slots,
               (uint64_t)size_class->live, (uint64_t)size_class->cached, (uint64_t)size_class->free);
}

static void put_json_arena(struct report *report, const struct mems_arena_stats *arena, bool first) {
    struct fmt *out = report_line(report);
    fmt_text(out, first ? "{\"name\":" : ",{\"name\":");
    put_json_string(out, arena->name);
    fmt_format(out, ",\"blocks\":%u,\"bytes\":%u,\"held\":%u}", (uint64_t)arena->blocks, (uint64_t)arena->bytes,
               (uint64_t)arena->held);
}

static void put_json(struct report *report, const struct mems_engine_stats *stats) {
    fmt_format(report_line(report), "{\"version\":%u,\"pid\":%u,\"program\":", (uint64_t)stats->version,
               os_process_id());
    put_json_string(report_line(report), program_invocation_short_name);
    put_json_rows(report, stats, window_rows, COUNT(window_rows));
    put_json_rows(report, stats, other_rows, COUNT(other_rows));
    put_json_rows(report, stats, counter_rows, COUNT(counter_rows));
    fmt_format(report_line(report), ",\"resident\":%u,\"classes\":[", (uint64_t)stats->resident);
    bool first = true;
    for (uint32_t i = 0; i < stats->class_count; i++) {
        if (stats->classes[i].slabs > 0) {
            put_json_class(report, &stats->classes[i], first);
            first = false;
        }
    }
    fmt_text(report_line(report), "],\"arenas\":[");
    each_arena(report, put_json_arena);
    fmt_text(report_line(report), "]}\n");
}

void stats_report_json(int fd) {
    os_with_scratch(sizeof(struct report), write_report, &(struct request){.fd = fd, .put = put_json});
}

/* A copy of standard error, with a number above those that programs use; and which file that was. */
#define KEPT_FD_MIN 200
static struct {
    int fd; /* 0: none is kept */
    struct os_file_identity file;
} kept;

void stats_report_prepare(const struct options *options) {
    if ((options->stats != STATS_NONE || options->profile_file[0] != '\0') &&
        os_file_identity(STDERR_FILENO, &kept.file) == 0) {
        (void)os_duplicate(STDERR_FILENO, KEPT_FD_MIN, &kept.fd);
    }
}

/* Not the copy, if the program closed it and has another file in its place. */
int stats_report_standard_error(void) {
    struct os_file_identity file;
    bool ours = kept.fd > 0 && os_file_identity(kept.fd, &file) == 0 && file.device == kept.file.device &&
                file.inode == kept.file.inode;
    return ours ? kept.fd : STDERR_FILENO;
}

void stats_report_path(struct fmt *path, const char *pattern) {
    for (; *pattern != '\0'; pattern++) {
        if (pattern[0] == '%' && pattern[1] == 'p') {
            fmt_decimal(path, os_process_id());
            pattern++;
        } else {
            fmt_char(path, *pattern);
        }
    }
}

/* Standard error if there is none. */
static int open_report(const char *pattern) {
    int fallback = stats_report_standard_error();
    char text[OPTIONS_PATH_MAX + 64]; /* room for a few ids */
    struct fmt path = fmt_of(text, sizeof text);
    stats_report_path(&path, pattern);
    if (path.length == 0) {
        return fallback;
    }
    int fd;
    int error = path.full ? ENAMETOOLONG : os_open_append(path.text, &fd);
    if (error != 0) {
        struct message complaint;
        message_begin(&complaint);
        fmt_format(&complaint.line, "mems: stats_file=%s cannot be opened (error %d): reporting here", pattern,
                   (int64_t)error);
        message_tell(&complaint, fallback);
        return fallback;
    }
    return fd;
}

void stats_report_at_exit(const struct options *options) {
    if (options->stats == STATS_NONE) {
        return;
    }
    int fd = open_report(options->stats_file);
    if (options->stats == STATS_JSON) {
        stats_report_json(fd);
    } else {
        stats_report_text(fd);
    }
    if (fd > STDERR_FILENO) {
        os_close(fd);
    }
}
