#include "target/ending.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/support.h"
#include "target/proc.h"
#include "target/registers.h"

/* In the flags of /proc/PID/stat: a signal has ended the thread, as when its process ends. */
#define ENDED_BY_SIGNAL 0x400u

/* A thread's system call; -1: none, or unknown. */
static long call_of(pid_t process, pid_t thread) {
    char name[32];
    char text[64];
    long call;
    snprintf(name, sizeof name, "task/%d/syscall", thread);
    proc_read(process, name, text, sizeof text);
    return sscanf(text, "%ld", &call) == 1 ? call : -1;
}

/* Whether a thread ends because its whole process does. */
static bool ends_with_process(pid_t process, pid_t thread) {
    struct proc_stat stat;
    return proc_stat(process, thread, &stat) &&
           ((stat.flags & ENDED_BY_SIGNAL) != 0 || call_of(process, thread) == SYS_exit_group);
}

static bool has_ended(const struct ending *ending, pid_t process, pid_t thread) {
    struct proc_stat stat;
    for (size_t i = 0; i < ending->ended_count; i++) {
        if (ending->ended[i] == thread) {
            return true;
        }
    }
    return !proc_stat(process, thread, &stat) || stat.state == 'Z' || stat.state == 'X';
}

static bool is_last(const struct ending *ending, pid_t process) {
    DIR *folder = proc_visit(process);
    bool last = true;
    for (pid_t thread; (thread = proc_next(folder)) != 0;) {
        last &= has_ended(ending, process, thread);
    }
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
