/*
 * startup.c - the shortest possible program, started again and again: what an allocator costs a process by being there.
 * The programs inherit the allocator with the environment.
 */
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "workload.h"

extern char **environ;

static void start_true(void) {
    char *const arguments[] = {"true", NULL};
    size_t count = scaled(1500);
    for (size_t left = count; left > 0; left--) {
        pid_t child;
        int status;
        if (posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ) != 0 ||
            waitpid(child, &status, 0) != child || status != 0) {
            die("/bin/true failed");
        }
    }
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    count_operations(count); /* here: processes */
    report(" child_peak_rss_kib=%ld child_minor_faults=%.1f", usage.ru_maxrss, (double)usage.ru_minflt / (double)count);
}

static const struct variant variants[] = {{"true", .whole = start_true, .threads = 1}};

int main(int argc, char **argv) {
    return workload_main(argc, argv, variants, LENGTH(variants));
}
