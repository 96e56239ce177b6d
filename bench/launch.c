/*
 * launch.c - launch OUTPUT COMMAND [ARGUMENT...] runs a command and writes its costs to the file OUTPUT, in one line:
 *
 *   seconds=1.234567 user=1.200000 system=0.030000 peak_rss_kib=12345 minor_faults=678 major_faults=0
 *   voluntary_switches=1 involuntary_switches=2 status=0
 *
 * Times, faults and context switches are sums over the command and the processes that it waited for; the peak is the
 * largest one's. A process inherits its parent's peak, so this small program starts the command. BENCH_PRELOAD is
 * LD_PRELOAD for the command alone. BENCH_CORES is its number of cores: the launcher's last ones, because the first
 * serve most interrupts. The exit status is the command's, 128 + N if signal N ended it, and 127 if it could not be
 * started.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what) {
    perror(what);
    exit(1);
}

static double seconds_of(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* To the last `count` of its cores. */
static void confine(long count) {
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores) != 0) {
        die("launch: sched_getaffinity");
    }
    for (int core = 0; core < CPU_SETSIZE && CPU_COUNT(&cores) > count; core++) {
        CPU_CLR(core, &cores);
    }
    if (sched_setaffinity(0, sizeof cores, &cores) != 0) {
        die("launch: BENCH_CORES"); /* EINVAL if none is left */
    }
}

static _Noreturn void become(char **command) {
    const char *cores = getenv("BENCH_CORES");
    if (cores != NULL) {
        confine(strtol(cores, NULL, 10));
    }
    unsetenv("BENCH_CORES");
    const char *preload = getenv("BENCH_PRELOAD");
    if (preload != NULL && setenv("LD_PRELOAD", preload, 1) != 0) {
        die("launch: LD_PRELOAD");
    }
    unsetenv("BENCH_PRELOAD");
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* stopping the launcher stops the command */
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: launch OUTPUT COMMAND [ARGUMENT...]\n");
        return 2;
    }
    double start = now();
    pid_t child = fork();
    if (child < 0) {
        die("launch: fork");
    }
    if (child == 0) {
        become(argv + 2);
    }
    int ending;
    struct rusage usage;
    if (wait4(child, &ending, 0, &usage) != child) {
        die("launch: wait4");
    }
    double seconds = now() - start;
    int status = WIFEXITED(ending) ? WEXITSTATUS(ending) : 128 + WTERMSIG(ending);

    FILE *output = fopen(argv[1], "w");
    if (output == NULL ||
        fprintf(output,
                "seconds=%.6f user=%.6f system=%.6f peak_rss_kib=%ld minor_faults=%ld major_faults=%ld "
                "voluntary_switches=%ld involuntary_switches=%ld status=%d\n",
                seconds, seconds_of(usage.ru_utime), seconds_of(usage.ru_stime), usage.ru_maxrss, usage.ru_minflt,
                usage.ru_majflt, usage.ru_nvcsw, usage.ru_nivcsw, status) < 0 ||
        fclose(output) != 0) {
        die(argv[1]);
    }
    return status;
}
