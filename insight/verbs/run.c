/* run.c - `mems run`: runs a command on the library, and explains the signal that ends it. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "leaks/leaks.h"
#include "mems.h"
#include "support/support.h"
#include "target/ending.h"
#include "verbs.h"

/* Scripts that name a script that names a script ... */
#define INTERPRETERS_MOST 4

/* --- The library -------------------------------------------------------------------------------------------------- */

/* Beside this program, where it was built or installed: under its SONAME, because NAME.so may come with a package for
 * developers. */
static char *find_library(const char *name) {
    static const char *const places[] = {"..", "../lib", "../lib64", "../lib/x86_64-linux-gnu",
                                         "../lib/aarch64-linux-gnu"};
    char *own = own_folder();
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        char *path = make_text("%s/%s/%s.%d", own, places[i], name, MEMS_VERSION_MAJOR);
        char *whole = realpath(path, NULL);
        free(path);
        if (whole != NULL) {
            free(own);
            return whole;
        }
    }
    fail("there is no %s beside this command: give its path with --library", name);
}

/* --- The program -------------------------------------------------------------------------------------------------- */

/* NULL if there is none. */
static char *find_program(const char *name) {
    if (strchr(name, '/') != NULL) {
        return access(name, F_OK) == 0 ? copy_text(name) : NULL;
    }
    const char *path = getenv("PATH");
    char *folders = copy_text(path != NULL ? path : "/usr/bin:/bin");
    char *found = NULL;
    char *rest;
    for (char *folder = strtok_r(folders, ":", &rest); folder != NULL && found == NULL;
         folder = strtok_r(NULL, ":", &rest)) {
        char *file = make_text("%s/%s", folder, name);
        if (access(file, X_OK) == 0) {
            found = file;
        } else {
            free(file);
        }
    }
    free(folders);
    return found;
}

/* From the first line; NULL: it is no script. */
static char *script_interpreter(int file) {
    char line[PATH_MAX];
    ssize_t size = pread(file, line, sizeof line - 1, 0);
    if (size < 3 || line[0] != '#' || line[1] != '!') {
        return NULL;
    }
    line[size] = '\0';
    line[strcspn(line, "\n")] = '\0';
    char *start = line + 2 + strspn(line + 2, " \t");
    char *end = start + strcspn(start, " \t");
    const char *argument = end + strspn(end, " \t");
    bool by_env = *end != '\0' && end - start >= 4 && strncmp(end - 4, "/env", 4) == 0;
    *end = '\0';
    return by_env ? find_program(argument) : copy_text(start);
}

/* "" for a static program; NULL: no program that we can read. */
static char *program_loader(int file, const char **why) {
    Elf64_Ehdr header;
    if (pread(file, &header, sizeof header, 0) != (ssize_t)sizeof header ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
        *why = "it is not a program or script";
        return NULL;
    }
    if (header.e_ident[EI_CLASS] != ELFCLASS64) {
        *why = "it is a 32-bit program, and the library has 64 bits";
        return NULL;
    }
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        char loader[PATH_MAX];
        if (pread(file, &segment, sizeof segment, (off_t)(header.e_phoff + i * sizeof segment)) !=
            (ssize_t)sizeof segment) {
            break;
        }
        if (segment.p_type == PT_INTERP && segment.p_filesz < sizeof loader &&
            pread(file, loader, segment.p_filesz, (off_t)segment.p_offset) == (ssize_t)segment.p_filesz) {
            loader[segment.p_filesz] = '\0';
            return copy_text(loader);
        }
    }
    return copy_text("");
}

static bool is_for_musl(const char *library) {
    char *command = NULL;
    bool musl = false;
    int file = open(library, O_RDONLY | O_CLOEXEC);
    /* It needs a C library, whose name is among its strings. */
    if (file >= 0) {
        struct stat status;
        if (fstat(file, &status) == 0 && status.st_size > 0 && status.st_size < 64 << 20) {
            command = make((size_t)status.st_size);
            ssize_t size = pread(file, command, (size_t)status.st_size, 0);
            musl = size > 0 && memmem(command, (size_t)size, "libc.so.6", 9) == NULL;
            free(command);
        }
        close(file);
    }
    return musl;
}

/* Ends the program, and says why, if the command would not run on the library. */
static void check_program(const char *name, const char *library) {
    char *path = find_program(name);
    for (int i = 0; path != NULL && i < INTERPRETERS_MOST; i++) {
        struct stat status;
        const char *why = "cannot read its file";
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0 || fstat(file, &status) != 0) {
            if (file >= 0) {
                close(file);
            }
            warn("%s: cannot tell whether it can run on the library: %s", path, why);
            break;
        }
        if ((status.st_mode & (S_ISUID | S_ISGID)) != 0 && geteuid() != 0) {
            fail("%s: it changes its user or group when it starts (setuid): the loader ignores LD_PRELOAD then", path);
        }
        char *interpreter = script_interpreter(file);
        if (interpreter != NULL) {
            free(path);
            path = interpreter;
            close(file);
            continue;
        }
        char *loader = program_loader(file, &why);
        close(file);
        if (loader == NULL) {
            fail("%s: %s", path, why);
        }
        if (*loader == '\0') {
            fail("%s: it is static, so nothing can be preloaded: link it with libmems.a", path);
        }
        if ((strstr(loader, "ld-musl") != NULL) != is_for_musl(library)) {
            fail("%s: it uses %s, and %s is for %s: build the library for that", path,
                 strstr(loader, "ld-musl") != NULL ? "musl" : "glibc", library,
                 is_for_musl(library) ? "musl" : "glibc");
        }
        free(loader);
        break;
    }
    if (path == NULL) {
        fail("%s: there is no such command", name);
    }
    free(path);
}

/* --- The child ---------------------------------------------------------------------------------------------------- */

static void set_environment(const struct arguments *arguments, const char *library) {
    const char *before = getenv("LD_PRELOAD");
    char *preload = before != NULL && *before != '\0' ? make_text("%s:%s", library, before) : copy_text(library);
    setenv("LD_PRELOAD", preload, 1);
    free(preload);
    if (arguments->heap_options != NULL) {
        const char *variable = arguments->hmm ? "HMM_OPTIONS" : "MEMS_OPTIONS";
        const char *own = getenv(variable);
        char *options = own != NULL && *own != '\0' ? make_text("%s,%s", own, arguments->heap_options)
                                                    : copy_text(arguments->heap_options);
        setenv(variable, options, 1);
        free(options);
    }
}

/* Waits until it is traced, and then becomes the command. */
static pid_t start(char **command, bool detached) {
    int gate[2];
    if (pipe2(gate, O_CLOEXEC) != 0) {
        fail("cannot make a pipe: %s", strerror(errno));
    }
    pid_t child = fork();
    if (child < 0) {
        fail("cannot start a process: %s", strerror(errno));
    }
    if (child == 0) {
        char byte;
        close(gate[1]);
        while (read(gate[0], &byte, 1) < 0 && errno == EINTR) {
        }
        execvp(command[0], command);
        fprintf(stderr, "mems: %s: %s\n", command[0], strerror(errno));
        _exit(127);
    }
    close(gate[0]);
    /* Traced only so that we can look at it when it dies. If tracing is forbidden, it just runs. */
    if (!detached) {
        ptrace(PTRACE_SEIZE, child, NULL, (void *)(PTRACE_O_TRACEEXIT | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC));
    }
    close(gate[1]);
    return child;
}

/* The last one, of any thread, that ends programs. */
static void note_signal(pid_t thread, int signal, struct blow *blow) {
    siginfo_t info;
    if (signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE || signal == SIGABRT) {
        *blow = ptrace(PTRACE_GETSIGINFO, thread, NULL, &info) == 0 ? target_blow(&info) : (struct blow){0};
    }
}

/* While the process dies, with its memory still there. */
static void explain(pid_t child, pid_t thread, int signal, const struct blow *blow) {
    char *pid = make_text("%d", thread);
    fprintf(stderr, "mems: process %d is ended by signal %d (%s)\n", child, signal, strsignal(signal));
    if (signal == blow->signal && blow->has_fault) {
        char *address = make_text("%#lx", blow->fault);
        char *words[] = {address, pid, NULL};
        struct arguments arguments = {.words = words, .word_count = 2};
        fprintf(stderr, "mems: it touched %s\n", address);
        fflush(stdout);
        int output = dup(STDOUT_FILENO);
        dup2(STDERR_FILENO, STDOUT_FILENO);
        verb_whatis(&arguments);
        fflush(stdout);
        dup2(output, STDOUT_FILENO);
        close(output);
        free(address);
    } else if (signal == blow->signal) {
        char *told = target_blow_told(blow);
        if (told != NULL) {
            fprintf(stderr, "mems: %s\n", told);
        }
        free(told);
    }
    free(pid);
}

/* The first %p becomes the process's number. */
static char *with_pid(const char *path, const char *pid) {
    const char *place = strstr(path, "%p");
    return place != NULL ? make_text("%.*s%s%s", (int)(place - path), path, pid, place + 2) : copy_text(path);
}

/* The thread is the last one, which still has the memory. */
static void show_at_end(const struct arguments *arguments, pid_t child, pid_t thread) {
    char *pid = make_text("%d", thread);
    char *words[] = {pid, NULL};
    struct arguments shown = {.words = words, .word_count = 1, .json = arguments->json};
    fflush(stdout);
    if (arguments->show_stats) {
        verb_stats(&shown);
    }
    if (arguments->show_map) {
        verb_map(&shown);
    }
    if (arguments->save_to != NULL) {
        char *number = make_text("%d", child);
        char *file = with_pid(arguments->save_to, number);
        char *both[] = {pid, file, NULL};
        struct arguments saved = {.words = both, .word_count = 2};
        verb_save(&saved);
        free(number);
        free(file);
    }
    fflush(stdout);
    free(pid);
}

/* With the threads as they were when they ended; the last one alone still has the memory. Returns an exit status. */
static int tell_leaks(const struct arguments *arguments, pid_t child, pid_t thread, struct ending *ending) {
    char *pid = make_text("%d", thread);
    struct session session;
    struct leaks leaks;
    session_open(&session, pid, true);
    session.target.threads = ending->threads;
    session.target.thread_count = ending->count;
    ending->threads = NULL;
    ending->count = 0;
    leaks_find(&leaks, &session, arguments, true);
    free(session_name(&session, session.layouts.layouts[0].start)); /* reads the symbols while there is a process */
    session.target.pid = child;
    leaks_print(&leaks, stderr);
    int status = leaks.leaked.count != 0 ? EXIT_FOUND : EXIT_FINE;
    leaks_free(&leaks);
    session_close(&session);
    free(pid);
    return status;
}

/* When the last thread ends. Returns an exit status for the checks requested. */
static int at_end(const struct arguments *arguments, pid_t child, pid_t thread, const struct blow *blow,
                  struct ending *ending) {
    unsigned long status;
    int found = EXIT_FINE;
    if (ptrace(PTRACE_GETEVENTMSG, thread, NULL, &status) != 0) {
        return EXIT_FINE;
    }
    show_at_end(arguments, child, thread);
    if (arguments->show_leaks) {
        found = tell_leaks(arguments, child, thread, ending);
    }
    if (WIFSIGNALED((int)status) && WTERMSIG((int)status) != SIGKILL) {
        explain(child, thread, WTERMSIG((int)status), blow);
    }
    return found;
}

/* Passes signals on until the child has ended. Returns its status, as wait does, and in *found that of at_end. */
static int accompany(const struct arguments *arguments, pid_t child, int *found) {
    struct blow blow = {0};
    struct ending ending = {0};
    *found = EXIT_FINE;
    for (;;) {
        int status;
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0 && errno == EINTR) {
            continue;
        }
        if (thread < 0) {
            fail("process %d is lost: %s", child, strerror(errno));
        }
        if (!WIFSTOPPED(status)) {
            ending_gone(&ending, thread);
            if (thread == child) {
                ending_clear(&ending);
                return status;
            }
            continue;
        }
        int event = status >> 16;
        int signal = WSTOPSIG(status);
        if (event == PTRACE_EVENT_EXIT && ending_meet(&ending, child, thread)) {
            *found = at_end(arguments, child, thread, &blow, &ending);
        } else if (event == PTRACE_EVENT_EXEC) {
            ending_clear(&ending);
        } else if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
            ptrace(PTRACE_LISTEN, thread, NULL, NULL); /* stopped by the user: it stays so */
            continue;
        } else if (event == 0) {
            note_signal(thread, signal, &blow);
        }
        ptrace(PTRACE_CONT, thread, NULL, (void *)(intptr_t)(event == 0 ? signal : 0));
    }
}

int verb_run(const struct arguments *arguments) {
    char *library = arguments->library != NULL ? realpath(arguments->library, NULL)
                                               : find_library(arguments->hmm ? "libhmm.so" : "libmems.so");
    if (library == NULL) {
        fail("%s: %s", arguments->library, strerror(errno));
    }
    check_program(arguments->words[0], library);
    set_environment(arguments, library);
    free(library);
    fflush(stdout);
    pid_t child = start(arguments->words, arguments->detached);
    /* The terminal sends signals to both: the child decides. */
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    int found;
    int status = accompany(arguments, child, &found);
    return !WIFEXITED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : found;
}
