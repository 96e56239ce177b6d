/* live.c - a live process: memory by process_vm_readv or /proc/PID/mem, mappings from smaps. */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/support.h"
#include "support/text.h"
#include "target/proc.h"
#include "target/registers.h"
#include "target/residency.h"
#include "target/target.h"
#include "target/untouched.h"

/* Seconds that what only smaps tells may be old. */
#define USAGE_AGE_MOST 60.0

/* "start-end perms offset device inode path" */
static bool parse_mapping(char *line, struct mapping *mapping) {
    char *at;
    mapping->start = strtoull(line, &at, 16);
    mapping->end = *at == '-' ? strtoull(at + 1, &at, 16) : 0;
    if (*at != ' ' || strlen(at) < 6 || mapping->end <= mapping->start) {
        return false;
    }
    mapping->readable = at[1] == 'r';
    mapping->writable = at[2] == 'w';
    mapping->executable = at[3] == 'x';
    mapping->shared = at[4] == 's';
    mapping->offset = strtoull(at + 5, &at, 16);
    at += strspn(at, " ");
    at += strcspn(at, " "); /* the device */
    mapping->inode = strtoull(at, &at, 10);
    mapping->path = copy_text(at + strspn(at, " "));
    return true;
}

/* A line of smaps below a mapping's own: "Name:   NUMBER kB". */
static void parse_usage(const char *line, struct mapping *mapping) {
    const struct {
        const char *name;
        uint64_t *number;
    } numbers[] = {
        {"Rss:", &mapping->rss},
        {"Shared_Clean:", &mapping->shared_rss},
        {"Shared_Dirty:", &mapping->shared_rss},
        {"AnonHugePages:", &mapping->huge},
        {"Swap:", &mapping->swap},
    };
    if (strncmp(line, "VmFlags:", 8) == 0) {
        mapping->uncounted = strstr(line, " pf") != NULL || strstr(line, " ht") != NULL;
    }
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        const size_t length = line[0] == numbers[i].name[0] ? strlen(numbers[i].name) : 0;
        if (length != 0 && strncmp(line, numbers[i].name, length) == 0) {
            *numbers[i].number += strtoull(line + length, NULL, 10) * 1024;
        }
    }
}

/* A line of maps or smaps. */
static void take_line(char *line, void *context) {
    struct target *target = context;
    if (isupper((unsigned char)line[0])) {
        if (target->mapping_count != 0) {
            parse_usage(line, &target->mappings[target->mapping_count - 1]);
        }
    } else if (!parse_mapping(line, target_add_mapping(target))) {
        target->mapping_count--;
    }
}

static bool read_mappings(struct target *target, int file) {
    target_forget_mappings(target);
    target->measured = false;
    return file >= 0 && proc_lines(file, take_line, target) && target->mapping_count != 0;
}

/* Whether it still has the memory of when its maps were opened. */
static bool has_same_memory(struct target *target) {
    char byte;
    if (target->maps < 0) {
        target->maps = proc_open(target->pid, "maps");
    }
    return target->maps < 0 || pread(target->maps, &byte, 1, 0) == 1;
}

bool target_read_mappings(struct target *target) {
    if (target->kind != TARGET_LIVE) {
        return true;
    }
    const int file = proc_open(target->pid, "smaps");
    if (file < 0) {
        return target_read_places(target);
    }
    const bool read = read_mappings(target, file) && has_same_memory(target);
    target->has_usage = true;
    target->usage_read = now_seconds();
    close(file);
    return read;
}

/* The file stays open for the next time. It shows the memory that the process has now, and nothing once it has ended or
 * executed another program. */
bool target_read_places(struct target *target) {
    if (target->maps < 0) {
        target->maps = proc_open(target->pid, "maps");
    }
    target->has_usage = false;
    return read_mappings(target, target->maps);
}

/* Takes what the page map does not tell from the last reading of smaps. */
static void take_old_usage(struct target *target, const struct mapping *old, size_t count) {
    size_t at = 0;
    for (size_t i = 0; i < target->mapping_count; i++) {
        struct mapping *mapping = &target->mappings[i];
        while (at < count && old[at].start < mapping->start) {
            at++;
        }
        if (at < count && old[at].start == mapping->start) {
            mapping->shared_rss = smaller(old[at].shared_rss, mapping->end - mapping->start);
            mapping->uncounted = old[at].uncounted;
        }
    }
}

bool target_update_mappings(struct target *target) {
    struct target old = {.mappings = target->mappings, .mapping_count = target->mapping_count};
    if (target->usage_read <= 0 || now_seconds() >= target->usage_read + USAGE_AGE_MOST) {
        return target_read_mappings(target);
    }
    target->mappings = NULL;
    target->mapping_count = 0;
    const bool read = target_read_places(target);
    take_old_usage(target, old.mappings, old.mapping_count);
    target_forget_mappings(&old);
    return read && (residency_measure(target) || target_read_mappings(target));
}

/* The information that the kernel shows to everybody, as part of a sentence; "" if none. */
static const char *resident_told(pid_t pid) {
    static char text[64];
    char status[4096];
    proc_read(pid, "status", status, sizeof status);
    const char *line = strstr(status, "\nVmRSS:");
    text[0] = '\0';
    if (line != NULL) {
        snprintf(text, sizeof text, "; it has %s resident", text_size(strtoull(line + 7, NULL, 10) * 1024));
    }
    return text;
}

static char *read_program(pid_t pid) {
    char name[64];
    proc_read(pid, "comm", name, sizeof name);
    name[strcspn(name, "\n")] = '\0';
    return make_printable(copy_text(name));
}

size_t live_read_resident(struct target *target, uint64_t address, void *to, size_t size) {
    struct iovec local = {.iov_base = to, .iov_len = size};
    struct iovec remote = {.iov_base = (void *)(uintptr_t)address, .iov_len = size};
    ssize_t got = target->memory >= 0 ? pread(target->memory, to, size, (off_t)address)
                                      : process_vm_readv(target->pid, &local, 1, &remote, 1, 0);
    return got > 0 ? (size_t)got : 0;
}

size_t live_read(struct target *target, uint64_t address, void *to, size_t size) {
    size_t done = 0;
    while (done < size && target->denied == NULL) {
        size_t part;
        size_t known = untouched_read(target, address + done, (char *)to + done, size - done, &part);
        if (known != 0) {
            done += known;
            continue;
        }
        const size_t got = live_read_resident(target, address + done, (char *)to + done, part);
        if (got == 0) {
            break;
        }
        done += got;
    }
    return done;
}

/* Pieces per system call: the kernel takes 1024 ranges on each side, and each piece may have a gap before it. */
#define READINGS_MOST 512u

/* Whether a piece begins on the page where the one before it ends. */
static bool is_near(const struct target *target, const struct reading *before, const struct reading *reading) {
    const uint64_t end = before->address + before->size;
    return before->size != 0 && reading->address >= end && (reading->address ^ (end - 1)) < target->page_size;
}

/* A system call's pieces as the kernel takes them. It looks up and pins the pages of each remote range, so neighbours
 * on a page are one range; what lies between them, on a page that is there, is read into `unused`. */
struct vector {
    struct iovec local[2 * READINGS_MOST];
    struct iovec remote[READINGS_MOST];
    size_t locals, remotes;
};

static void plan_vector(struct vector *vector, const struct target *target, const struct reading *readings,
                        size_t count) {
    static char unused[1 << 16]; /* the largest page */
    vector->locals = vector->remotes = 0;
    for (size_t i = 0; i < count; i++) {
        const struct reading *reading = &readings[i];
        if (i != 0 && is_near(target, reading - 1, reading)) {
            struct iovec *range = &vector->remote[vector->remotes - 1];
            const size_t gap = reading->address - (reading[-1].address + reading[-1].size);
            if (gap != 0) {
                vector->local[vector->locals++] = (struct iovec){unused, gap};
            }
            range->iov_len += gap + reading->size;
        } else {
            vector->remote[vector->remotes++] = (struct iovec){(void *)(uintptr_t)reading->address, reading->size};
        }
        vector->local[vector->locals++] = (struct iovec){reading->to, reading->size};
    }
}

/* Reads pieces in one system call. Returns how many were there; the next was not, or only in part. */
static size_t read_vector(struct target *target, struct reading *readings, size_t count) {
    static struct vector vector;
    plan_vector(&vector, target, readings, count);
    ssize_t got = process_vm_readv(target->pid, vector.local, vector.locals, vector.remote, vector.remotes, 0);
    size_t done = 0;
    for (; done < count; done++) {
        const struct reading *reading = &readings[done];
        const bool near = done != 0 && is_near(target, reading - 1, reading);
        got -= near ? (ssize_t)(reading->address - (reading[-1].address + reading[-1].size)) : 0;
        if (got < (ssize_t)reading->size) {
            break;
        }
        got -= (ssize_t)reading->size;
        readings[done].read = true;
    }
    return done;
}

void live_read_many(struct target *target, struct reading *readings, size_t count) {
    for (size_t at = 0; at < count;) {
        size_t plain = 0;
        while (target->memory < 0 && target->denied == NULL && plain < READINGS_MOST && at + plain < count &&
               !untouched_may_be(target, readings[at + plain].address, readings[at + plain].size)) {
            plain++;
        }
        at += plain != 0 ? read_vector(target, &readings[at], plain) : 0;
        if (at < count) {
            struct reading *reading = &readings[at++];
            reading->read = live_read(target, reading->address, reading->to, reading->size) == reading->size;
        }
    }
}

/* Which way of reading memory works, if any, tried on the first readable mapping. */
static void choose_way(struct target *target) {
    char byte;
    for (size_t i = 0; i < target->mapping_count; i++) {
        if (!target->mappings[i].readable || target->mappings[i].path[0] == '[') {
            continue;
        }
        errno = 0;
        if (live_read(target, target->mappings[i].start, &byte, 1) == 1) {
            return;
        }
        target->memory = proc_open(target->pid, "mem");
        if (target->memory >= 0 && live_read(target, target->mappings[i].start, &byte, 1) == 1) {
            return;
        }
        break;
    }
    target->denied =
        "reading its memory was refused: it takes CAP_SYS_PTRACE (in a container: --cap-add=SYS_PTRACE), or "
        "the same user and kernel.yama.ptrace_scope=0";
}

/* In the flags of a thread of the kernel. */
#define KERNEL_THREAD 0x200000u

static const char *why_no_memory(pid_t pid) {
    struct proc_stat stat;
    if (!proc_stat(getpid(), 0, &stat)) {
        return "/proc must be mounted, and show the processes that this command sees";
    }
    if (proc_stat(pid, 0, &stat) && (stat.flags & KERNEL_THREAD) != 0) {
        return "it is a thread of the kernel, which has no memory of its own";
    }
    return stat.state == 'Z' ? "it has ended; its parent has not waited for it yet (a zombie)" : "it has ended";
}

static void close_maps(struct target *target) {
    if (target->maps >= 0) {
        close(target->maps);
        target->maps = -1;
    }
}

/* If the first thread has ended, another may still have the memory; then the target is read through that. */
static bool read_through_thread(struct target *target, bool (*read)(struct target *target)) {
    const pid_t first = target->pid;
    bool found = false;
    DIR *folder = proc_visit(first);
    for (pid_t thread; (thread = proc_next(folder)) != 0;) {
        if (!found && thread != first) {
            close_maps(target);
            target->pid = thread;
            found = read(target);
        }
    }
    return found;
}

static bool open_live(struct target *target, pid_t pid, bool (*read)(struct target *target), const char **why) {
    memset(target, 0, sizeof *target);
    target->kind = TARGET_LIVE;
    target->pid = pid;
    target->memory = target->pagemap = target->maps = -1;
    target->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    target->program = read_program(pid);
    if (kill(pid, 0) != 0 && errno == ESRCH) {
        *why = "there is no such process";
        return false;
    }
    errno = 0;
    if (!read(target)) {
        if (errno == EACCES || errno == EPERM) {
            *why = make_text("its mappings may not be read: that takes the same user, or CAP_SYS_PTRACE%s",
                             resident_told(pid));
            return false;
        }
        if (!read_through_thread(target, read)) {
            *why = why_no_memory(pid);
            return false;
        }
    }
    target->pagemap = proc_open(target->pid, "pagemap");
    choose_way(target);
    return true;
}

bool target_open_live(struct target *target, pid_t pid, const char **why) {
    return open_live(target, pid, target_read_mappings, why);
}

bool target_glance(struct target *target, pid_t pid, const char **why) {
    return open_live(target, pid, target_read_places, why);
}

/* "NUMBER arg.. STACK-POINTER PROGRAM-COUNTER", or "running": the last number but one in either form. */
static uint64_t stack_pointer(pid_t pid, pid_t thread) {
    char name[32];
    char line[256];
    snprintf(name, sizeof name, "task/%d/syscall", thread);
    proc_read(pid, name, line, sizeof line);
    char *last = strrchr(line, ' ');
    if (last != NULL) {
        *last = '\0';
    }
    const char *before = last != NULL ? strrchr(line, ' ') : NULL;
    return before != NULL ? strtoull(before, NULL, 16) : 0;
}

void target_read_threads(struct target *target) {
    if (target->thread_count == 0) {
        target_update_threads(target);
    }
}

static uint64_t known_stack(const struct target *target, pid_t id) {
    for (size_t i = 0; i < target->thread_count; i++) {
        if (target->threads[i].id == id) {
            return target->threads[i].stack;
        }
    }
    return 0;
}

void target_update_threads(struct target *target) {
    struct thread *threads = NULL;
    size_t count = 0;
    DIR *folder = target->kind == TARGET_LIVE ? proc_visit(target->pid) : NULL;
    for (pid_t id; (id = proc_next(folder)) != 0;) {
        const uint64_t stack = known_stack(target, id);
        threads = grow(threads, count, sizeof *threads);
        threads[count++] = (struct thread){.id = id, .stack = stack != 0 ? stack : stack_pointer(target->pid, id)};
    }
    if (target->kind == TARGET_LIVE) {
        target_forget_threads(target);
        target->threads = threads;
        target->thread_count = count;
    }
}

/* --- Stopping ----------------------------------------------------------------------------------------------------- */

/* The threads that are stopped. */
static pid_t *stopped;
static size_t stopped_count;

static bool is_stopped(pid_t thread) {
    for (size_t i = 0; i < stopped_count; i++) {
        if (stopped[i] == thread) {
            return true;
        }
    }
    return false;
}

static bool has_ended(pid_t pid, pid_t thread) {
    struct proc_stat stat;
    return !proc_stat(pid, thread, &stat) || stat.state == 'Z' || stat.state == 'X';
}

bool target_is_stopped(const struct target *target) {
    DIR *folder = proc_visit(target->pid);
    bool all = folder != NULL;
    for (pid_t thread; (thread = proc_next(folder)) != 0;) {
        struct proc_stat stat;
        proc_stat(target->pid, thread, &stat);
        all &= stat.state == 'T' || stat.state == 't';
    }
    return all;
}

/* Stops the threads that still run; returns how many, or -1 if that is refused. */
static int stop_others(pid_t pid) {
    DIR *folder = proc_visit(pid);
    size_t before = stopped_count;
    bool refused = false;
    for (pid_t thread; (thread = proc_next(folder)) != 0;) {
        if (refused || is_stopped(thread)) {
            continue;
        }
        if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) != 0) {
            refused = errno == EPERM && !has_ended(pid, thread);
            continue;
        }
        ptrace(PTRACE_INTERRUPT, thread, NULL, NULL);
        stopped = grow(stopped, stopped_count, sizeof *stopped);
        stopped[stopped_count++] = thread;
    }
    for (size_t i = before; i < stopped_count; i++) {
        int status;
        waitpid(stopped[i], &status, __WALL);
        /* A signal that has just arrived is delivered when the thread continues. */
        if (WIFSTOPPED(status) && status >> 16 == 0) {
            ptrace(PTRACE_CONT, stopped[i], NULL, (void *)(intptr_t)WSTOPSIG(status));
            ptrace(PTRACE_INTERRUPT, stopped[i], NULL, NULL);
            waitpid(stopped[i], &status, __WALL);
        }
    }
    return refused ? -1 : (int)(stopped_count - before);
}

bool target_stop(struct target *target, const char **why) {
    int more;
    while ((more = stop_others(target->pid)) > 0) {
    }
    if (more < 0 || stopped_count == 0) {
        *why = more < 0
                   ? "its threads may not be stopped: that takes CAP_SYS_PTRACE, and no other debugger may trace them; "
                     "`mems run` does, but not `mems run --detach`"
                   : "it has ended";
        target_continue(target);
        return false;
    }
    return true;
}

void target_read_registers(struct target *target) {
    target_forget_threads(target);
    for (size_t i = 0; i < stopped_count; i++) {
        struct thread thread = {.id = stopped[i]};
        if (registers_read(&thread)) {
            target->threads = grow(target->threads, target->thread_count, sizeof *target->threads);
            target->threads[target->thread_count++] = thread;
        }
    }
}

void target_continue(struct target *target) {
    (void)target;
    for (size_t i = 0; i < stopped_count; i++) {
        ptrace(PTRACE_DETACH, stopped[i], NULL, NULL);
    }
    free(stopped);
    stopped = NULL;
    stopped_count = 0;
}
