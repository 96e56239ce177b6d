#include "target/saved.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "support/sorted.h"
#include "support/support.h"
#include "target/pieces.h"

/* Pieces closer than this become one segment of the file; zeros fill the gap. */
#define GAP ((uint64_t)4096)

/* --- Reading ------------------------------------------------------------------------------------------------------ */

static void read_mapping(struct target *target, const char *line) {
    struct mapping mapping = {0};
    char mode[5];
    int path = 0;
    if (sscanf(line, "mapping %lx %lx %4s %lx %lu %lu %lu %lu %lu %n", &mapping.start, &mapping.end, mode,
               &mapping.offset, &mapping.inode, &mapping.rss, &mapping.shared_rss, &mapping.huge, &mapping.swap,
               &path) < 9 ||
        mapping.end <= mapping.start ||
        (target->mapping_count != 0 && mapping.start < target->mappings[target->mapping_count - 1].end)) {
        return;
    }
    mapping.readable = mode[0] == 'r';
    mapping.writable = mode[1] == 'w';
    mapping.executable = mode[2] == 'x';
    mapping.shared = mode[3] == 's';
    mapping.path = copy_text(path > 0 ? line + path : "");
    *target_add_mapping(target) = mapping;
}

static void read_line(struct target *target, const char *line) {
    int pid;
    uint64_t page_size;
    uint64_t stack;
    int name = 0;
    if (sscanf(line, "process %d %lu %lu %n", &pid, &page_size, &target->saved_now, &name) >= 3 && name > 0) {
        target->pid = pid;
        free(target->program);
        target->program = make_printable(copy_text(line + name));
    } else if (strcmp(line, "stopped") == 0) {
        target->saved_stopped = true;
    } else if (sscanf(line, "thread %d %lx", &pid, &stack) == 2) {
        target->threads = grow(target->threads, target->thread_count, sizeof *target->threads);
        target->threads[target->thread_count++] = (struct thread){.id = pid, .stack = stack};
    } else {
        read_mapping(target, line);
    }
}

static void read_text(struct target *target, const char *bytes, size_t size) {
    char *text = make(size + 1);
    memcpy(text, bytes, size);
    text[size] = '\0';
    target->kind = TARGET_SAVED;
    target->has_usage = true;
    target_forget_mappings(target);
    char *rest;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        read_line(target, line);
    }
    free(text);
}

static void read_pages(struct target *target, const char *bytes, size_t size) {
    size_t count = size / sizeof *target->pages;
    free(target->pages);
    target->pages = make(count * sizeof *target->pages);
    target->page_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct page_run run;
        memcpy(&run, bytes + i * sizeof run, sizeof run);
        if (run.end > run.start &&
            (target->page_count == 0 || run.start >= target->pages[target->page_count - 1].end)) {
            target->pages[target->page_count++] = run;
        }
    }
}

void saved_read_note(struct target *target, unsigned type, const char *bytes, size_t size) {
    if (type == SAVED_TEXT) {
        read_text(target, bytes, size);
    } else if (type == SAVED_PAGES) {
        read_pages(target, bytes, size);
    }
}

/* --- Writing ------------------------------------------------------------------------------------------------------ */

/* Ascending, and disjoint. */
static void merge_runs(struct record *record) {
    size_t kept = 0;
    sort(record->runs, record->run_count, sizeof *record->runs);
    for (size_t i = 0; i < record->run_count; i++) {
        struct page_run run = record->runs[i];
        if (kept != 0 && run.start < record->runs[kept - 1].end) {
            run.start = record->runs[kept - 1].end;
        }
        if (run.start < run.end) {
            record->runs[kept++] = run;
        }
    }
    record->run_count = kept;
}

/* Runs of pieces with small gaps. */
static size_t count_segments(const struct record *record, struct piece *segments) {
    size_t count = 0;
    for (size_t i = 0; i < record->piece_count; i++) {
        if (count != 0 && record->pieces[i].start - segments[count - 1].end < GAP) {
            segments[count - 1].end = record->pieces[i].end;
        } else {
            segments[count++] = record->pieces[i];
        }
    }
    return count;
}

static char *process_text(const struct target *target, uint64_t now, size_t *size) {
    char *text;
    FILE *stream = open_memstream(&text, size);
    if (stream == NULL) {
        fail("no memory for a line of text");
    }
    fprintf(stream, "process %d %lu %lu %s\n", target->pid, target->page_size, now, target->program);
    if (target->kind != TARGET_LIVE || target_is_stopped(target)) {
        fputs("stopped\n", stream);
    }
    for (size_t i = 0; i < target->thread_count; i++) {
        fprintf(stream, "thread %d %lx\n", target->threads[i].id, target->threads[i].stack);
    }
    for (size_t i = 0; i < target->mapping_count; i++) {
        const struct mapping *mapping = &target->mappings[i];
        fprintf(stream, "mapping %lx %lx %c%c%c%c %lx %lu %lu %lu %lu %lu %s\n", mapping->start, mapping->end,
                mapping->readable ? 'r' : '-', mapping->writable ? 'w' : '-', mapping->executable ? 'x' : '-',
                mapping->shared ? 's' : 'p', mapping->offset, mapping->inode, mapping->rss, mapping->shared_rss,
                mapping->huge, mapping->swap, mapping->path);
    }
    fclose(stream);
    return text;
}

struct output {
    FILE *file;
    const char *path;
    uint64_t at;
};

static void put(struct output *output, const void *bytes, size_t size) {
    if (size != 0 && fwrite(bytes, 1, size, output->file) != size) {
        fail("%s: %s", output->path, strerror(errno));
    }
    output->at += size;
}

static void put_zeros(struct output *output, uint64_t size) {
    static const char zeros[4096];
    while (size != 0) {
        size_t part = (size_t)smaller(size, sizeof zeros);
        put(output, zeros, part);
        size -= part;
    }
}

static size_t note_size(size_t content) {
    return sizeof(Elf64_Nhdr) + 8 + (content + 3) / 4 * 4;
}

static void put_note(struct output *output, unsigned type, const void *bytes, size_t size) {
    Elf64_Nhdr note = {.n_namesz = 5, .n_descsz = (Elf64_Word)size, .n_type = type};
    put(output, &note, sizeof note);
    put(output, "MEMS\0\0\0", 8);
    put(output, bytes, size);
    put_zeros(output, (size + 3) / 4 * 4 - size);
}

/* Memory that has been unmapped since is written as zeros. */
static void put_memory(struct output *output, struct target *target, uint64_t start, uint64_t end) {
    char buffer[65536];
    while (start < end) {
        size_t size = (size_t)smaller(end - start, sizeof buffer);
        size_t got = target_read_some(target, start, buffer, size);
        memset(buffer + got, 0, size - got);
        put(output, buffer, size);
        start += size;
    }
}

static void put_segment(struct output *output, struct target *target, const struct record *record,
                        const struct piece *segment, size_t *piece) {
    uint64_t at = segment->start;
    for (; *piece < record->piece_count && record->pieces[*piece].start < segment->end; ++*piece) {
        put_zeros(output, record->pieces[*piece].start - at);
        put_memory(output, target, record->pieces[*piece].start, record->pieces[*piece].end);
        at = record->pieces[*piece].end;
    }
}

/* More than 65534 headers are counted in a section header. */
static void put_headers(struct output *output, const struct piece *segments, size_t count, size_t notes) {
    const bool many = count + 1 >= PN_XNUM;
#if defined(__x86_64__)
    const Elf64_Half machine = EM_X86_64;
#else
    const Elf64_Half machine = EM_AARCH64;
#endif
    Elf64_Ehdr header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                         .e_type = ET_CORE,
                         .e_machine = machine,
                         .e_version = EV_CURRENT,
                         .e_phoff = sizeof header + (many ? sizeof(Elf64_Shdr) : 0),
                         .e_shoff = many ? sizeof header : 0,
                         .e_ehsize = sizeof header,
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = many ? PN_XNUM : (Elf64_Half)(count + 1),
                         .e_shentsize = sizeof(Elf64_Shdr),
                         .e_shnum = many};
    Elf64_Shdr section = {.sh_type = SHT_NULL, .sh_info = (Elf64_Word)(count + 1)};
    put(output, &header, sizeof header);
    put(output, &section, many ? sizeof section : 0);
    uint64_t offset = header.e_phoff + (count + 1) * sizeof(Elf64_Phdr);
    Elf64_Phdr note = {.p_type = PT_NOTE, .p_offset = offset, .p_filesz = notes, .p_align = 4};
    put(output, &note, sizeof note);
    offset += notes;
    for (size_t i = 0; i < count; i++) {
        uint64_t size = segments[i].end - segments[i].start;
        Elf64_Phdr load = {.p_type = PT_LOAD,
                           .p_flags = PF_R,
                           .p_offset = offset,
                           .p_vaddr = segments[i].start,
                           .p_filesz = size,
                           .p_memsz = size,
                           .p_align = 1};
        put(output, &load, sizeof load);
        offset += size;
    }
}

/* A file gets its name when it is complete, so nobody reads half of one, and a link stays a link. *whole is that name;
 * NULL for a pipe or a device, which is written to directly. */
static char *partial_path(const char *path, char **whole) {
    struct stat status;
    if (stat(path, &status) != 0) {
        *whole = copy_text(path);
    } else if (S_ISREG(status.st_mode)) {
        char *real = realpath(path, NULL);
        *whole = copy_text(real != NULL ? real : path);
        free(real);
    } else {
        *whole = NULL;
        return copy_text(path);
    }
    return make_text("%s.partial", *whole);
}

void saved_write(struct target *target, uint64_t now, const char *path) {
    struct record *record = target->record;
    size_t text_bytes;
    target->record = NULL;
    struct pieces pieces = {record->pieces, record->piece_count};
    pieces_merge(&pieces);
    record->piece_count = pieces.count;
    merge_runs(record);
    char *text = process_text(target, now, &text_bytes);
    struct piece *segments = make(record->piece_count * sizeof *segments);
    size_t count = count_segments(record, segments);
    size_t pages = record->run_count * sizeof *record->runs;
    char *whole = NULL;
    char *partial = partial_path(path, &whole);
    struct output output = {.file = fopen(partial, "wbe"), .path = partial};
    if (output.file == NULL) {
        fail("%s: %s", partial, strerror(errno));
    }
    put_headers(&output, segments, count, note_size(text_bytes) + note_size(pages));
    put_note(&output, SAVED_TEXT, text, text_bytes);
    put_note(&output, SAVED_PAGES, record->runs, pages);
    for (size_t i = 0, piece = 0; i < count; i++) {
        put_segment(&output, target, record, &segments[i], &piece);
        progress("saving", i, count);
    }
    progress_end();
    if (fclose(output.file) != 0 || (whole != NULL && rename(partial, whole) != 0)) {
        fail("%s: %s", path, strerror(errno));
    }
    free(whole);
    free(partial);
    free(segments);
    free(text);
}
