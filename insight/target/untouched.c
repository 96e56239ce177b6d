#include "target/untouched.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/support.h"

#define PAGEMAP_PRESENT ((uint64_t)1 << 63)
#define PAGEMAP_SWAPPED ((uint64_t)1 << 62)

/* Smaller reads of anonymous mappings do not justify reading the page map; pages read from it at once. */
#define ANONYMOUS_LEAST ((size_t)64 << 10)
#define PAGES_AHEAD 512u

/* The file of the last mapping looked up. */
struct mapped_file {
    pid_t pid;
    uint64_t start; /* of the mapping */
    uint64_t end;
    int file; /* -1: it cannot be had */
};

/* /proc/PID/map_files needs a privilege; a path may lead to another file by now. */
static int open_mapped(pid_t pid, const struct mapping *mapping) {
    char *path = make_text("/proc/%d/map_files/%lx-%lx", pid, mapping->start, mapping->end);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    if (file < 0) {
        struct stat status;
        path = make_text("/proc/%d/root%s", pid, mapping->path);
        file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        free(path);
        if (file >= 0 && (fstat(file, &status) != 0 || status.st_ino != mapping->inode || !S_ISREG(status.st_mode))) {
            close(file);
            file = -1;
        }
    }
    return file;
}

static int mapped_file(pid_t pid, const struct mapping *mapping) {
    static struct mapped_file last = {.file = -1};
    if (last.pid != pid || last.start != mapping->start || last.end != mapping->end) {
        if (last.file >= 0) {
            close(last.file);
        }
        last = (struct mapped_file){pid, mapping->start, mapping->end, open_mapped(pid, mapping)};
    }
    return last.file;
}

static bool is_anonymous(const struct mapping *mapping) {
    return mapping->inode == 0 && (mapping->path[0] == '\0' || strcmp(mapping->path, "[heap]") == 0 ||
                                   strncmp(mapping->path, "[anon:", 6) == 0);
}

/* How many bytes from an address on are in pages of the same kind, held by the process or not. 0: unknown. */
static size_t same_kind(const struct target *target, uint64_t address, size_t size, bool *held) {
    uint64_t pages[PAGES_AHEAD];
    const uint64_t page = address / target->page_size;
    const uint64_t last = (address + size - 1) / target->page_size;
    const size_t wanted = (size_t)smaller(last - page + 1, PAGES_AHEAD);
    ssize_t got = pread(target->pagemap, pages, wanted * sizeof *pages, (off_t)(page * sizeof *pages));
    if (got < (ssize_t)sizeof *pages) {
        return 0;
    }
    const size_t count = (size_t)got / sizeof *pages;
    size_t same = 0;
    *held = (pages[0] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)) != 0;
    while (same < count && ((pages[same] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)) != 0) == *held) {
        same++;
    }
    return (size_t)smaller(size, (page + same) * target->page_size - address);
}

/* The address's mapping if the page map should be asked before reading; else NULL. */
static const struct mapping *mapping_to_ask(const struct target *target, uint64_t address, size_t size) {
    const struct mapping *mapping = target->pagemap >= 0 ? target_mapping(target, address) : NULL;
    if (mapping == NULL || mapping->shared || !mapping->readable) {
        return NULL;
    }
    const bool is_long = smaller(size, mapping->end - address) >= ANONYMOUS_LEAST;
    return mapping->path[0] == '/' || (is_long && is_anonymous(mapping)) ? mapping : NULL;
}

bool untouched_may_be(const struct target *target, uint64_t address, size_t size) {
    return mapping_to_ask(target, address, size) != NULL;
}

size_t untouched_read(struct target *target, uint64_t address, void *to, size_t size, size_t *first) {
    const struct mapping *mapping = mapping_to_ask(target, address, size);
    *first = size;
    if (mapping == NULL) {
        return 0;
    }
    size = (size_t)smaller(size, mapping->end - address);
    bool held = true;
    size_t same = same_kind(target, address, size, &held);
    if (held || same == 0) {
        *first = same != 0 ? same : size;
        return 0;
    }
    if (mapping->path[0] != '/') {
        memset(to, 0, same);
        return same;
    }
    int file = mapped_file(target->pid, mapping);
    ssize_t got = file >= 0 ? pread(file, to, same, (off_t)(mapping->offset + (address - mapping->start))) : -1;
    return got > 0 ? (size_t)got : 0;
}
