/* proc.h - processes and threads in /proc. */
#pragma once

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Opens /proc/PID/NAME: a file descriptor, or -1 with errno. */
int proc_open(pid_t pid, const char *name);

/* Reads such a file from its beginning, and passes each line, without its newline, to `take`. False with errno if that
 * fails. */
bool proc_lines(int file, void (*take)(char *line, void *context), void *context);

/* Ended by '\0'; "" if there is no such file. */
void proc_read(pid_t pid, const char *name, char *text, size_t size);

struct proc_stat {
    char state;       /* R, S, T.. as in proc(5); Z or X: ended, or none */
    unsigned flags;   /* of the kernel: PF_* */
    uint64_t started; /* clock ticks since boot: tells processes with the same number apart */
    uint64_t rss;     /* bytes */
};

/* Of a process or (thread not 0) one of its threads. False if there is none. */
bool proc_stat(pid_t pid, pid_t thread, struct proc_stat *stat);

/* Visits the threads of a process, or all processes (pid 0): proc_next returns their numbers, and 0 at the end, which
 * closes the folder. NULL: no such process. Ends the program if /proc shows no processes. */
DIR *proc_visit(pid_t pid);
pid_t proc_next(DIR *folder);
