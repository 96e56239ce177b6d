#include "serve/worker.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/support.h"

/* The child's end of the socket. */
#define END 3

/* So that a hostile process cannot exhaust memory. */
#define MEMORY_MOST ((rlim_t)4 << 30)
#define OUTPUT_MOST ((rlim_t)512 << 20)

static void lower(struct rlimit *limit, rlim_t most) {
    limit->rlim_cur = limit->rlim_cur < most ? limit->rlim_cur : most;
    limit->rlim_max = limit->rlim_max < most ? limit->rlim_max : most;
}

/* Unless the server's own limits are lower. No core: it would be the worker's, not the process's. */
static void set_limits(double seconds) {
    struct rlimit limit = {0, 0};
    setrlimit(RLIMIT_CORE, &limit);
    getrlimit(RLIMIT_AS, &limit);
    lower(&limit, MEMORY_MOST);
    setrlimit(RLIMIT_AS, &limit);
    getrlimit(RLIMIT_FSIZE, &limit);
    lower(&limit, OUTPUT_MOST);
    setrlimit(RLIMIT_FSIZE, &limit);
    getrlimit(RLIMIT_CPU, &limit);
    lower(&limit, (rlim_t)seconds + 1);
    setrlimit(RLIMIT_CPU, &limit);
}

/* The child keeps only its answer's files and the socket. */
static void become_worker(const struct worker *worker, int end, double seconds) {
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(worker->output, 1) < 0 || dup2(worker->error, 2) < 0 ||
        dup2(end, END) < 0) {
        _exit(EXIT_TROUBLE);
    }
    syscall(SYS_close_range, 4u, ~0u, 0u);
    set_limits(seconds);
    if (nice(10) < 0) {
        return; /* it is as nice as it can be */
    }
}

bool worker_start(struct worker *worker, int (*run)(const void *context), const void *context, double seconds) {
    int ends[2] = {-1, -1};
    double now = now_seconds();
    *worker = (struct worker){.end = -1, .busy = true, .started = now, .deadline = now + seconds};
    worker->output = memfd_create("mems-answer", MFD_CLOEXEC);
    worker->error = memfd_create("mems-error", MFD_CLOEXEC);
    fflush(NULL); /* or the child writes it, too */
    if (worker->output < 0 || worker->error < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 ||
        (worker->process = fork()) < 0) {
        worker->process = 0;
        worker->end = ends[0];
        if (ends[1] >= 0) {
            close(ends[1]);
        }
        worker_close(worker);
        return false;
    }
    if (worker->process == 0) {
        become_worker(worker, ends[1], seconds);
        int status = run(context);
        _exit(fflush(stdout) == 0 ? status : EXIT_TROUBLE);
    }
    close(ends[1]);
    worker->end = ends[0];
    return true;
}

bool worker_ask(struct worker *worker, const void *question, size_t size, double seconds) {
    worker->started = now_seconds();
    worker->deadline = worker->started + seconds;
    worker->busy = true;
    /* The child writes on at the files' ends, because it shares their descriptions. */
    return ftruncate(worker->output, 0) == 0 && lseek(worker->output, 0, SEEK_SET) == 0 &&
           ftruncate(worker->error, 0) == 0 && lseek(worker->error, 0, SEEK_SET) == 0 &&
           send(worker->end, question, size, MSG_NOSIGNAL) == (ssize_t)size;
}

bool worker_question(void *question, size_t size) {
    return recv(END, question, size, MSG_WAITALL) == (ssize_t)size;
}

void worker_answer(int status) {
    const unsigned char byte = (unsigned char)(fflush(stdout) == 0 ? status : EXIT_TROUBLE);
    clearerr(stdout);
    if (send(END, &byte, sizeof byte, MSG_NOSIGNAL) != sizeof byte) {
        _exit(EXIT_TROUBLE);
    }
}

double worker_seconds_of(pid_t process) {
    clockid_t clock;
    struct timespec taken = {0, 0};
    if (clock_getcpuclockid(process, &clock) == 0) {
        clock_gettime(clock, &taken);
    }
    return (double)taken.tv_sec + (double)taken.tv_nsec / 1e9;
}

static void note_cost(struct worker *worker, double taken) {
    worker->cost = taken - worker->before;
    worker->before = taken;
    worker->busy = false;
}

bool worker_ended(struct worker *worker, double now) {
    struct pollfd end = {.fd = worker->end, .events = POLLIN};
    unsigned char status;
    if (worker->busy && now >= worker->deadline) {
        kill(worker->process, SIGKILL);
    } else if (poll(&end, 1, 0) == 0) {
        return false;
    } else if (recv(worker->end, &status, sizeof status, MSG_DONTWAIT) == sizeof status) {
        worker->status = status;
        note_cost(worker, worker_seconds_of(worker->process));
        return true;
    }
    struct rusage usage;
    int ended;
    worker->status = -1;
    if (wait4(worker->process, &ended, 0, &usage) == worker->process) {
        worker->status = WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
        note_cost(worker, (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                              (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    }
    worker->busy = false;
    worker->process = 0;
    return true;
}

char *worker_read(int file, size_t *size) {
    off_t end = lseek(file, 0, SEEK_END);
    *size = 0;
    char *text = end >= 0 ? malloc((size_t)end + 1) : NULL;
    while (text != NULL && *size < (size_t)end) {
        ssize_t got = pread(file, text + *size, (size_t)end - *size, (off_t)*size);
        if (got <= 0) {
            break;
        }
        *size += (size_t)got;
    }
    if (text != NULL) {
        text[*size] = '\0';
    }
    return text;
}

void worker_close(struct worker *worker) {
    const int files[] = {worker->end, worker->output, worker->error};
    if (worker->process != 0) {
        kill(worker->process, SIGKILL);
        waitpid(worker->process, NULL, 0);
    }
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        if (files[i] >= 0) {
            close(files[i]);
        }
    }
    *worker = (struct worker){.end = -1, .output = -1, .error = -1};
}
