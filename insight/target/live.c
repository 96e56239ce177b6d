/*
 * live.c - a live process: its memory by process_vm_readv or /proc/PID/mem, its mappings from smaps.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
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
#include "target/target.h"
#include "target/untouched.h"

static int open_proc_file(pid_t pid, const char *file, int flags) {
    char path[128];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    return open(path, flags | O_CLOEXEC);
}

/* "start-end perms offset device inode path" */
static bool parse_mapping(const char *line, struct mapping *mapping) {
    char mode[5];
    int path = 0;
    if (sscanf(line, "%lx-%lx %4s %lx %*x:%*x %lu %n", &mapping->start, &mapping->end, mode, &mapping->offset,
               &mapping->inode, &path) < 5) {
        return false;
    }
    mapping->readable = mode[0] == 'r';
    mapping->writable = mode[1] == 'w';
    mapping->executable = mode[2] == 'x';
    mapping->shared = mode[3] == 's';
    mapping->path = copy_text(path > 0 ? line + path : "");
    mapping->path[strcspn(mapping->path, "\n")] = '\0';
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
        {"Anonymous:", &mapping->anonymous},
        {"AnonHugePages:", &mapping->huge},
        {"Swap:", &mapping->swap},
        {"Locked:", &mapping->locked},
    };
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        size_t length = strlen(numbers[i].name);
        if (strncmp(line, numbers[i].name, length) == 0) {
            *numbers[i].number += strtoull(line + length, NULL, 10) * 1024;
        }
    }
}

/* Reading smaps takes the kernel far longer than maps: it counts the pages. */
static bool read_mappings(struct target *target, bool with_usage) {
    FILE *file = with_usage ? proc_open(target->pid, "smaps") : NULL;
    target->has_usage = file != NULL;
    if (file == NULL && (file = proc_open(target->pid, "maps")) == NULL) {
        return false;
    }
    for (size_t i = 0; i < target->mapping_count; i++) {
        free(target->mappings[i].path);
    }
    target->mapping_count = 0;
    /* The buffer that the file itself asks for is small. */
    static char buffer[1 << 16];
    setvbuf(file, buffer, _IOFBF, sizeof buffer);
    char *line = NULL;
    size_t size = 0;
    struct mapping *mapping = NULL;
    while (getline(&line, &size, file) > 0) {
        if (!isupper((unsigned char)line[0])) {
            mapping = target_add_mapping(target);
            if (!parse_mapping(line, mapping)) {
                target->mapping_count--;
                mapping = NULL;
            }
        } else if (mapping != NULL) {
            parse_usage(line, mapping);
        }
    }
    free(line);
    fclose(file);
    return target->mapping_count != 0;
}

bool target_read_mappings(struct target *target) {
    return read_mappings(target, true);
}

bool target_read_places(struct target *target) {
    return read_mappings(target, false);
}

/* The data that the kernel shows to everybody, as part of a sentence; "" if there is none. */
static const char *resident_told(pid_t pid) {
    static char text[64];
    char line[128];
    FILE *file = proc_open(pid, "status");
    text[0] = '\0';
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "VmRSS:", 6) == 0) {
            snprintf(text, sizeof text, "; it has %s resident", text_size(strtoull(line + 6, NULL, 10) * 1024));
        }
    }
    if (file != NULL) {
        fclose(file);
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
        target->memory = open_proc_file(target->pid, "mem", O_RDONLY);
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

/* Whether another thread still has memory if the first one has ended; then the target is read through that. */
static bool read_through_thread(struct target *target, bool with_usage) {
    const pid_t first = target->pid;
    bool found = false;
    DIR *folder = proc_visit(first);
    for (pid_t thread; (thread = proc_next(folder)) != 0;) {
        if (!found && thread != first) {
            target->pid = thread;
            found = read_mappings(target, with_usage);
        }
    }
    return found;
}

static bool open_live(struct target *target, pid_t pid, bool with_usage, const char **why) {
    memset(target, 0, sizeof *target);
    target->kind = TARGET_LIVE;
    target->pid = pid;
    target->memory = target->pagemap = -1;
    target->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    target->program = read_program(pid);
    if (kill(pid, 0) != 0 && errno == ESRCH) {
        *why = "there is no such process";
        return false;
    }
    errno = 0;
    if (!read_mappings(target, with_usage)) {
        if (errno == EACCES || errno == EPERM) {
            *why = make_text("its mappings may not be read: that takes the same user, or CAP_SYS_PTRACE%s",
                             resident_told(pid));
            return false;
        }
        if (!read_through_thread(target, with_usage)) {
            *why = why_no_memory(pid);
            return false;
        }
    }
    target->pagemap = open_proc_file(target->pid, "pagemap", O_RDONLY);
    choose_way(target);
    return true;
}

bool target_open_live(struct target *target, pid_t pid, const char **why) {
    return open_live(target, pid, true, why);
}

bool target_glance(struct target *target, pid_t pid, const char **why) {
    return open_live(target, pid, false, why);
}

/* "NUMBER arg.. STACK-POINTER PROGRAM-COUNTER", or "running". */
static uint64_t stack_pointer(pid_t pid, pid_t thread) {
    char path[64];
    char line[256];
    snprintf(path, sizeof path, "task/%d/syscall", thread);
    FILE *file = proc_open(pid, path);
    uint64_t stack = 0;
    if (file != NULL) {
        if (fgets(line, sizeof line, file) != NULL) {
            /* The last number but one, whichever form the line has. */
            char *last = strrchr(line, ' ');
            if (last != NULL) {
                *last = '\0';
                char *before = strrchr(line, ' ');
                stack = before != NULL ? strtoull(before, NULL, 16) : 0;
            }
        }
        fclose(file);
    }
    return stack;
}

void target_read_threads(struct target *target) {
    if (target->kind != TARGET_LIVE || target->thread_count != 0) {
        return;
    }
    DIR *folder = proc_visit(target->pid);
    for (pid_t thread; (thread = proc_next(folder)) != 0;) {
        target->threads = grow(target->threads, target->thread_count, sizeof *target->threads);
        target->threads[target->thread_count++] =
            (struct thread){.id = thread, .stack = stack_pointer(target->pid, thread)};
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

/* Stops the threads that are not stopped yet; returns their number, or -1 if that is refused. */
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
        /* A signal that has just arrived is given back when the thread goes on. */
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
