/*
 * live.c - a living process: its memory by process_vm_readv or /proc/PID/mem, its mappings by smaps.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support.h"
#include "target.h"
#include "text.h"

static FILE *open_proc(pid_t pid, const char *file) {
    char path[128];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    return fopen(path, "re");
}

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

bool target_read_mappings(struct target *target) {
    FILE *file = open_proc(target->pid, "smaps");
    target->has_usage = file != NULL;
    if (file == NULL && (file = open_proc(target->pid, "maps")) == NULL) {
        return false;
    }
    for (size_t i = 0; i < target->mapping_count; i++) {
        free(target->mappings[i].path);
    }
    target->mapping_count = 0;
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

/* What the kernel tells everybody, as a part of a sentence; "" where it does not. */
static const char *resident_told(pid_t pid) {
    static char text[64];
    char line[128];
    FILE *file = open_proc(pid, "status");
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
    char name[64] = "";
    FILE *file = open_proc(pid, "comm");
    if (file != NULL) {
        if (fgets(name, sizeof name, file) != NULL) {
            name[strcspn(name, "\n")] = '\0';
        }
        fclose(file);
    }
    return copy_text(name);
}

size_t live_read(struct target *target, uint64_t address, void *to, size_t size) {
    size_t done = 0;
    while (done < size && target->denied == NULL) {
        struct iovec local = {.iov_base = (char *)to + done, .iov_len = size - done};
        struct iovec remote = {.iov_base = (void *)(uintptr_t)(address + done), .iov_len = size - done};
        ssize_t got = target->memory >= 0 ? pread(target->memory, local.iov_base, size - done, (off_t)(address + done))
                                          : process_vm_readv(target->pid, &local, 1, &remote, 1, 0);
        if (got <= 0) {
            break;
        }
        done += (size_t)got;
    }
    return done;
}

/* Which of the ways to read memory works, if any: tried on the first mapping that is there to be read. */
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

bool target_open_live(struct target *target, pid_t pid, const char **why) {
    memset(target, 0, sizeof *target);
    target->kind = TARGET_LIVE;
    target->pid = pid;
    target->memory = -1;
    target->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    target->program = read_program(pid);
    if (kill(pid, 0) != 0 && errno == ESRCH) {
        *why = "there is no such process";
        return false;
    }
    errno = 0;
    if (!target_read_mappings(target)) {
        *why = errno == EACCES || errno == EPERM
                   ? make_text("its mappings must not be seen: that takes the same user, or CAP_SYS_PTRACE%s",
                               resident_told(pid))
                   : "it has no memory: a thread of the kernel, or a process that has ended";
        return false;
    }
    target->pagemap = open_proc_file(pid, "pagemap", O_RDONLY);
    choose_way(target);
    return true;
}

/* "NUMBER arg.. STACK-POINTER PROGRAM-COUNTER", or "running". */
static uint64_t stack_pointer(pid_t pid, pid_t thread) {
    char path[64];
    char line[256];
    snprintf(path, sizeof path, "task/%d/syscall", thread);
    FILE *file = open_proc(pid, path);
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
    char path[128];
    snprintf(path, sizeof path, "/proc/%d/task", target->pid);
    DIR *folder = opendir(path);
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        uint64_t id;
        if (parse_number(entry->d_name, &id) && id <= INT_MAX) {
            target->threads = grow(target->threads, target->thread_count, sizeof *target->threads);
            struct thread *thread = &target->threads[target->thread_count++];
            thread->id = (pid_t)id;
            thread->stack = stack_pointer(target->pid, thread->id);
        }
    }
    if (folder != NULL) {
        closedir(folder);
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

/* Stops the threads that have not been; how many these were, or -1 when it is refused. */
static int stop_others(pid_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *folder = opendir(path);
    size_t before = stopped_count;
    struct dirent *entry;
    bool refused = false;
    while (folder != NULL && !refused && (entry = readdir(folder)) != NULL) {
        uint64_t number;
        if (!parse_number(entry->d_name, &number) || number > INT_MAX || is_stopped((pid_t)number)) {
            continue;
        }
        if (ptrace(PTRACE_SEIZE, (pid_t)number, NULL, NULL) != 0) {
            refused = errno == EPERM;
            continue; /* ESRCH: it has just ended */
        }
        ptrace(PTRACE_INTERRUPT, (pid_t)number, NULL, NULL);
        stopped = grow(stopped, stopped_count, sizeof *stopped);
        stopped[stopped_count++] = (pid_t)number;
    }
    if (folder != NULL) {
        closedir(folder);
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
                   ? "its threads must not be stopped: that takes CAP_SYS_PTRACE, and no other debugger that has them; "
                     "`mems run` is one, but for `mems run --detach`"
                   : "it has ended";
        target_continue(target);
        return false;
    }
    return true;
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
