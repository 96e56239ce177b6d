#include "target/proc.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/support.h"

/* The kernel writes no longer line; one is left out. */
#define LINE_MOST 65536u

int proc_open(pid_t pid, const char *name) {
    char path[128];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

bool proc_lines(int file, void (*take)(char *line, void *context), void *context) {
    static char text[LINE_MOST];
    size_t held = 0;
    ssize_t got;
    for (off_t at = 0; (got = pread(file, text + held, sizeof text - held, at)) > 0; at += got) {
        char *line = text;
        const char *end = text + held + got;
        for (char *stop; (stop = memchr(line, '\n', (size_t)(end - line))) != NULL; line = stop + 1) {
            *stop = '\0';
            take(line, context);
        }
        held = (size_t)(end - line) < sizeof text ? (size_t)(end - line) : 0;
        memmove(text, line, held);
    }
    return got == 0;
}

void proc_read(pid_t pid, const char *name, char *text, size_t size) {
    const int file = proc_open(pid, name);
    const ssize_t length = file >= 0 ? read(file, text, size - 1) : 0;
    if (file >= 0) {
        close(file);
    }
    text[length > 0 ? length : 0] = '\0';
}

/* The name in brackets may hold anything, so a letter and numbers follow the last bracket. */
bool proc_stat(pid_t pid, pid_t thread, struct proc_stat *stat) {
    char name[32] = "stat";
    char text[1024];
    uint64_t pages;
    if (thread != 0) {
        snprintf(name, sizeof name, "task/%d/stat", thread);
    }
    proc_read(pid, name, text, sizeof text);
    const char *rest = strrchr(text, ')');
    *stat = (struct proc_stat){.state = 'X'};
    if (rest == NULL ||
        sscanf(rest + 1, " %c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %lu %*u %lu",
               &stat->state, &stat->flags, &stat->started, &pages) != 4) {
        return false;
    }
    stat->rss = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

DIR *proc_visit(pid_t pid) {
    char path[64] = "/proc";
    if (pid != 0) {
        snprintf(path, sizeof path, "/proc/%d/task", pid);
    } else if (access("/proc/self", F_OK) != 0) {
        fail("/proc must be mounted, and show the processes that this command sees");
    }
    return opendir(path);
}

pid_t proc_next(DIR *folder) {
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        uint64_t id;
        if (parse_number(entry->d_name, &id) && id != 0 && id <= INT_MAX) {
            return (pid_t)id;
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return 0;
}
