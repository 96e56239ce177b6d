#include "target/target.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/sorted.h"
#include "support/support.h"
#include "target/image.h"

void target_open(struct target *target, const char *name) {
    uint64_t pid;
    struct stat status;
    if (parse_number(name, &pid) && stat(name, &status) != 0) {
        const char *why = "there is no such process";
        if (pid == 0 || pid > INT_MAX || !target_glance(target, (pid_t)pid, &why)) {
            fail("process %s: %s", name, why);
        }
        if (target->pid != (pid_t)pid) {
            warn("process %s: its first thread has ended; thread %d stands for it", name, target->pid);
        }
        target->name = name;
        return;
    }
    if (stat(name, &status) != 0) {
        fail("%s: not a process id, and no such file; `mems list` shows the processes", name);
    }
    if (!S_ISREG(status.st_mode)) {
        fail("%s: a core must be a regular file", name);
    }
    target_open_core(target, name);
    target->name = name;
}

void target_close(struct target *target) {
    if (target->core != NULL) {
        core_close(target);
    }
    if (target->memory >= 0) {
        close(target->memory);
    }
    if (target->pagemap >= 0) {
        close(target->pagemap);
    }
    if (target->maps >= 0) {
        close(target->maps);
    }
    target_forget_mappings(target);
    target_drop_copies(target);
    free(target->pages);
    target_forget_threads(target);
    free(target->program);
    memset(target, 0, sizeof *target);
    target->memory = target->pagemap = target->maps = -1;
}

void target_drop_copies(struct target *target) {
    for (size_t i = 0; i < target->copy_count; i++) {
        free(target->copies[i].bytes);
    }
    free(target->copies);
    target->copies = NULL;
    target->copy_count = 0;
}

void target_forget_mappings(struct target *target) {
    for (size_t i = 0; i < target->mapping_count; i++) {
        free(target->mappings[i].path);
    }
    free(target->mappings);
    target->mappings = NULL;
    target->mapping_count = 0;
}

void target_forget_threads(struct target *target) {
    for (size_t i = 0; i < target->thread_count; i++) {
        free(target->threads[i].registers);
    }
    free(target->threads);
    target->threads = NULL;
    target->thread_count = 0;
}

static const struct copy *find_copy(const struct target *target, uint64_t address) {
    for (size_t i = 0; i < target->copy_count; i++) {
        if (address >= target->copies[i].start && address < target->copies[i].end) {
            return &target->copies[i];
        }
    }
    return NULL;
}

size_t target_read_some(struct target *target, uint64_t address, void *to, size_t size) {
    if (address + size < address) {
        return 0;
    }
    struct record *record = target->record;
    if (record != NULL && size != 0) {
        record->pieces = grow(record->pieces, record->piece_count, sizeof *record->pieces);
        record->pieces[record->piece_count++] = (struct piece){address, address + size};
    }
    if (target->kind != TARGET_LIVE) {
        return core_read(target, address, to, size);
    }
    const struct copy *copy = find_copy(target, address);
    if (copy != NULL && size <= copy->end - address) {
        memcpy(to, copy->bytes + (address - copy->start), size);
        return size;
    }
    if (target->image != NULL && image_has(target->image, address, size)) {
        image_read(target->image, address, to, size);
        return size;
    }
    return live_read(target, address, to, size);
}

void target_read_many(struct target *target, struct reading *readings, size_t count) {
    if (target->kind == TARGET_LIVE && target->record == NULL && target->image == NULL && target->copy_count == 0) {
        live_read_many(target, readings, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        readings[i].read = target_read(target, readings[i].address, readings[i].to, readings[i].size);
    }
}

void target_copy(struct target *target, uint64_t start, uint64_t end) {
    struct copy copy = {.start = start, .bytes = end > start ? malloc(end - start) : NULL};
    if (copy.bytes == NULL) {
        return;
    }
    copy.end = start + live_read(target, start, copy.bytes, end - start);
    target->copies = grow(target->copies, target->copy_count, sizeof *target->copies);
    target->copies[target->copy_count++] = copy;
}

bool target_read(struct target *target, uint64_t address, void *to, size_t size) {
    return target_read_some(target, address, to, size) == size;
}

bool target_read_number(struct target *target, uint64_t address, unsigned size, uint64_t *value) {
    *value = 0;
    return size <= sizeof *value && target_read(target, address, value, size);
}

bool target_read_pointer(struct target *target, uint64_t address, uint64_t *value) {
    return target_read_number(target, address, sizeof *value, value);
}

bool target_read_text(struct target *target, uint64_t address, char *text, size_t size) {
    size_t length = target_read_some(target, address, text, size - 1);
    text[length] = '\0';
    return length != 0;
}

struct mapping *target_mapping_from(struct target *target, uint64_t address) {
    const size_t index = ranges_from(target->mappings, target->mapping_count, sizeof *target->mappings, address);
    return index < target->mapping_count ? &target->mappings[index] : NULL;
}

const struct mapping *target_mapping(const struct target *target, uint64_t address) {
    const struct mapping *mapping = target_mapping_from((struct target *)(uintptr_t)target, address);
    return mapping != NULL && mapping->start <= address ? mapping : NULL;
}

struct mapping *target_add_mapping(struct target *target) {
    target->mappings = grow(target->mappings, target->mapping_count, sizeof *target->mappings);
    struct mapping *mapping = &target->mappings[target->mapping_count++];
    memset(mapping, 0, sizeof *mapping);
    return mapping;
}

pid_t target_thread_of(struct target *target, uint64_t pointer) {
    const struct mapping *mapping = target_mapping(target, pointer);
    target_read_threads(target);
    bool all_known = target->thread_count != 0;
    for (size_t i = 0; i < target->thread_count && mapping != NULL; i++) {
        uint64_t stack = target->threads[i].stack;
        if (stack >= mapping->start && stack < mapping->end) {
            return target->threads[i].id;
        }
        all_known &= stack != 0;
    }
    return pointer != 0 && mapping != NULL && all_known ? target->pid : 0;
}

struct blow target_blow(const siginfo_t *info) {
    struct blow blow = {.signal = info->si_signo};
    const bool is_fault = info->si_signo == SIGSEGV || info->si_signo == SIGBUS;
    /* abort sends its signal, too. */
    if (info->si_code <= 0 && info->si_signo != SIGABRT) {
        blow.sender = info->si_pid;
    }
    if (is_fault && info->si_code > 0 && info->si_code != SI_KERNEL) {
        blow.has_fault = true;
        blow.fault = (uint64_t)(uintptr_t)info->si_addr;
    }
    return blow;
}

char *target_blow_told(const struct blow *blow) {
    if (blow->sender != 0) {
        return make_text("process %d sent it that signal", blow->sender);
    }
    if (blow->signal == SIGSEGV || blow->signal == SIGBUS) {
        return copy_text("the processor gave no address: a pointer had a value that no address of a process has");
    }
    if (blow->signal == SIGABRT) {
        return copy_text("it has aborted: if the heap found a mistake, it said on standard error which");
    }
    return NULL;
}
