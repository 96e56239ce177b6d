#include "target/ending.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/support.h"
#include "target/registers.h"

/* In the flags of /proc/PID/stat: a signal has ended the thread, which is how the others of a process end. */
#define ENDED_BY_SIGNAL 0x400u

/* The part of a thread's stat behind its name, which may contain anything; "" if there is none. */
static void read_stat(pid_t process, pid_t thread, char *rest, size_t size) {
    char line[1024];
    char *path = make_text("/proc/%d/task/%d/stat", process, thread);
    FILE *file = fopen(path, "re");
    rest[0] = '\0';
    if (file != NULL && fgets(line, sizeof line, file) != NULL && strrchr(line, ')') != NULL) {
        snprintf(rest, size, "%s", strrchr(line, ')') + 1);
    }
    if (file != NULL) {
        fclose(file);
    }
    free(path);
}

/* The number of the system call that a thread is in; -1: none, or not known. */
static long call_of(pid_t process, pid_t thread) {
    long call = -1;
    char *path = make_text("/proc/%d/task/%d/syscall", process, thread);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fscanf(file, "%ld", &call) != 1) {
            call = -1;
        }
        fclose(file);
    }
    free(path);
    return call;
}

/* Whether a thread ends because its whole process does. */
static bool ends_with_process(pid_t process, pid_t thread) {
    char rest[1024];
    unsigned flags = 0;
    read_stat(process, thread, rest, sizeof rest);
    if (sscanf(rest, " %*c %*d %*d %*d %*d %*d %u", &flags) != 1) {
        return false;
    }
    return (flags & ENDED_BY_SIGNAL) != 0 || call_of(process, thread) == SYS_exit_group;
}

static bool has_ended(const struct ending *ending, pid_t process, pid_t thread) {
    char rest[1024];
    for (size_t i = 0; i < ending->ended_count; i++) {
        if (ending->ended[i] == thread) {
            return true;
        }
    }
    read_stat(process, thread, rest, sizeof rest);
    return rest[0] == '\0' || rest[1] == 'Z' || rest[1] == 'X';
}

static bool is_last(const struct ending *ending, pid_t process) {
    char *path = make_text("/proc/%d/task", process);
    DIR *folder = opendir(path);
    struct dirent *entry;
    bool last = true;
    while (folder != NULL && last && (entry = readdir(folder)) != NULL) {
        uint64_t id;
        last = !parse_number(entry->d_name, &id) || id > INT_MAX || has_ended(ending, process, (pid_t)id);
    }
    if (folder != NULL) {
        closedir(folder);
    }
    free(path);
    return last;
}

bool ending_meet(struct ending *ending, pid_t process, pid_t thread) {
    struct thread known = {.id = thread};
    ending->ended = grow(ending->ended, ending->ended_count, sizeof *ending->ended);
    ending->ended[ending->ended_count++] = thread;
    const bool last = is_last(ending, process);
    if ((last || ends_with_process(process, thread)) && registers_read(&known)) {
        ending->threads = grow(ending->threads, ending->count, sizeof *ending->threads);
        ending->threads[ending->count++] = known;
    }
    return last;
}

void ending_gone(struct ending *ending, pid_t thread) {
    for (size_t i = 0; i < ending->ended_count; i++) {
        if (ending->ended[i] == thread) {
            ending->ended[i] = ending->ended[--ending->ended_count];
            return;
        }
    }
}

void ending_clear(struct ending *ending) {
    for (size_t i = 0; i < ending->count; i++) {
        free(ending->threads[i].registers);
    }
    free(ending->threads);
    free(ending->ended);
    *ending = (struct ending){0};
}
