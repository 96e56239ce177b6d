#include "symbols/symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/memory.h"
#include "support/support.h"
#include "support/texts.h"
#include "symbols/names.h"

/* Limits of the child's memory and of an answer's time; a browser's debugging information takes seconds. */
#define MEMORY_MOST ((uint64_t)2 << 30)
#define ANSWER_MOST ((size_t)1 << 20)
#define SECONDS_MOST 60

enum question_kind { ASK_NAME, ASK_PLACES, ASK_MODULE };

struct question {
    uint64_t kind;
    uint64_t address;
};

struct symbols {
    const struct target *target;
    pid_t child; /* 0: none, so nothing has a name */
    int socket;
    struct texts paths; /* of modules */
};

/* --- The child ---------------------------------------------------------------------------------------------------- */

static void keep_only(int socket) {
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(nothing, 1) < 0 || dup2(nothing, 2) < 0 || dup2(socket, 3) < 0) {
        _exit(EXIT_TROUBLE);
    }
    syscall(SYS_close_range, 4u, ~0u, 0u);
    const int fatal[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXCPU};
    for (size_t i = 0; i < COUNT_OF(fatal); i++) {
        signal(fatal[i], SIG_DFL);
    }
}

static void limit_memory(void) {
    struct rlimit limit = {0, 0};
    setrlimit(RLIMIT_CORE, &limit);
    if (getrlimit(RLIMIT_DATA, &limit) == 0) {
        limit.rlim_cur = smaller(limit.rlim_cur, memory_own() + MEMORY_MOST);
        limit.rlim_max = smaller(limit.rlim_max, limit.rlim_cur);
        setrlimit(RLIMIT_DATA, &limit);
    }
}

/* A text with its end. */
static void put_text(FILE *to, const char *text) {
    fputs(text != NULL ? text : "", to);
    putc('\0', to);
}

static void put_places(FILE *to, struct names *names, uint64_t address) {
    size_t count;
    struct code_place *places = names_places(names, address, &count);
    for (size_t i = 0; i < count; i++) {
        put_text(to, places[i].function);
        put_text(to, places[i].file);
        fprintf(to, "%d%c", places[i].line, '\0');
        free(places[i].function);
        free(places[i].file);
    }
    free(places);
}

static void put_answer(FILE *to, struct names *names, const struct question *question) {
    if (question->kind == ASK_NAME) {
        char *name = names_name(names, question->address);
        if (name != NULL) {
            put_text(to, name);
        }
        free(name);
    } else if (question->kind == ASK_PLACES) {
        put_places(to, names, question->address);
    } else {
        struct code_module module;
        if (names_module(names, question->address, &module)) {
            fprintf(to, "%lx%c%lx%c", module.start, '\0', module.end, '\0');
            put_text(to, module.path);
            put_text(to, module.build_id);
        }
    }
}

/* Answers until the other side is gone. */
static _Noreturn void answer_all(struct target *target, int socket) {
    struct names *names = names_open(target);
    struct question question;
    while (recv(socket, &question, sizeof question, MSG_WAITALL) == (ssize_t)sizeof question) {
        char *text = NULL;
        size_t size = 0;
        FILE *to = open_memstream(&text, &size);
        if (to == NULL) {
            break;
        }
        put_answer(to, names, &question);
        if (fclose(to) != 0 || send(socket, &size, sizeof size, MSG_NOSIGNAL) != (ssize_t)sizeof size) {
            break;
        }
        for (size_t done = 0; done < size;) {
            ssize_t sent = send(socket, text + done, size - done, MSG_NOSIGNAL);
            if (sent <= 0) {
                _exit(EXIT_TROUBLE);
            }
            done += (size_t)sent;
        }
        free(text);
    }
    _exit(EXIT_FINE);
}

/* --- This side ---------------------------------------------------------------------------------------------------- */

void symbols_search(const char *folders) {
    names_search(folders);
}

struct symbols *symbols_open(struct target *target) {
    struct symbols *symbols = make_zeroed(1, sizeof *symbols);
    int ends[2];
    symbols->target = target;
    symbols->socket = -1;
    fflush(NULL); /* or the child would write it, too */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return symbols;
    }
    symbols->child = fork();
    if (symbols->child == 0) {
        keep_only(ends[1]);
        limit_memory();
        answer_all(target, 3);
    }
    close(ends[1]);
    symbols->socket = ends[0];
    if (symbols->child < 0) {
        symbols->child = 0;
        warn("no symbol names: cannot start the process that reads them: %s", strerror(errno));
    }
    return symbols;
}

static void end_child(struct symbols *symbols) {
    if (symbols->child != 0) {
        kill(symbols->child, SIGKILL);
        waitpid(symbols->child, NULL, 0);
        symbols->child = 0;
    }
}

void symbols_close(struct symbols *symbols) {
    end_child(symbols);
    if (symbols->socket >= 0) {
        close(symbols->socket);
    }
    texts_free(&symbols->paths);
    free(symbols);
}

/* False if the child has ended, or takes too long. */
static bool receive(struct symbols *symbols, void *to, size_t size) {
    const double end = now_seconds() + SECONDS_MOST;
    for (size_t done = 0; done < size;) {
        struct pollfd there = {.fd = symbols->socket, .events = POLLIN};
        const double left = end - now_seconds();
        int ready = left > 0 ? poll(&there, 1, (int)(left * 1000) + 1) : 0;
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        ssize_t got = ready > 0 ? recv(symbols->socket, (char *)to + done, size - done, MSG_DONTWAIT) : 0;
        if (got <= 0) {
            return false;
        }
        done += (size_t)got;
    }
    return true;
}

/* Texts, each with its end, in *size bytes; NULL: none. */
static char *ask(struct symbols *symbols, enum question_kind kind, uint64_t address, size_t *size) {
    const struct question question = {kind, address};
    char *answer = NULL;
    *size = 0;
    if (symbols->child == 0) {
        return NULL;
    }
    if (send(symbols->socket, &question, sizeof question, MSG_NOSIGNAL) == (ssize_t)sizeof question &&
        receive(symbols, size, sizeof *size) && *size <= ANSWER_MOST) {
        answer = make(*size + 1);
        if (receive(symbols, answer, *size)) {
            answer[*size] = '\0';
            return answer;
        }
    }
    free(answer);
    *size = 0;
    end_child(symbols);
    warn("symbol names are missing: reading the program's files failed, or took too long");
    return NULL;
}

/* "" behind the last text. */
static const char *next_text(const char **at, const char *end) {
    const char *text = *at;
    if (text >= end) {
        return "";
    }
    *at += strlen(text) + 1;
    return text;
}

char *symbols_name(struct symbols *symbols, uint64_t address) {
    size_t size;
    char *answer = ask(symbols, ASK_NAME, address, &size);
    if (size == 0) {
        free(answer);
        return NULL;
    }
    return make_printable(answer);
}

static char *text_or_null(const char *text) {
    return *text != '\0' ? make_printable(copy_text(text)) : NULL;
}

/* The beginning of the file mapped at an address, as the linker sees it; or NULL. */
static const struct mapping *file_start(const struct target *target, uint64_t address) {
    const struct mapping *mapping = target_mapping(target, address);
    if (mapping == NULL || mapping->path[0] != '/') {
        return NULL;
    }
    while (mapping > target->mappings && mapping->offset != 0 && strcmp(mapping[-1].path, mapping->path) == 0) {
        mapping--;
    }
    return mapping;
}

/* Code without a known function: file and offset, as addr2line takes them. */
static char *address_text(const struct target *target, uint64_t address) {
    const struct mapping *start = file_start(target, address);
    if (start == NULL) {
        return make_text("%#lx", address);
    }
    char *text = make_text("%s+%#lx", strrchr(start->path, '/') + 1, address - start->start + start->offset);
    return make_printable(text);
}

struct code_place *symbols_places(struct symbols *symbols, uint64_t address, size_t *count) {
    size_t size;
    char *answer = ask(symbols, ASK_PLACES, address, &size);
    const char *at = answer;
    struct code_place *places = NULL;
    *count = 0;
    while (size != 0 && at < answer + size) {
        places = grow(places, *count, sizeof *places);
        struct code_place *place = &places[(*count)++];
        place->function = make_printable(copy_text(next_text(&at, answer + size)));
        place->file = text_or_null(next_text(&at, answer + size));
        place->line = (int)strtol(next_text(&at, answer + size), NULL, 10);
    }
    free(answer);
    if (*count == 0) {
        places = grow(places, 0, sizeof *places);
        places[(*count)++] = (struct code_place){.function = address_text(symbols->target, address)};
    }
    return places;
}

static const char *keep_path(struct symbols *symbols, const char *path) {
    char *printable = make_printable(copy_text(path));
    const size_t place = texts_place(&symbols->paths, printable);
    free(printable);
    return symbols->paths.texts[place];
}

bool symbols_module(struct symbols *symbols, uint64_t address, struct code_module *module) {
    size_t size;
    char *answer = ask(symbols, ASK_MODULE, address, &size);
    const char *at = answer;
    memset(module, 0, sizeof *module);
    if (size != 0) {
        module->start = strtoul(next_text(&at, answer + size), NULL, 16);
        module->end = strtoul(next_text(&at, answer + size), NULL, 16);
        module->path = keep_path(symbols, next_text(&at, answer + size));
        snprintf(module->build_id, sizeof module->build_id, "%s", next_text(&at, answer + size));
    }
    const struct mapping *start = size == 0 ? file_start(symbols->target, address) : NULL;
    if (start != NULL) {
        module->start = start->start;
        module->end = target_mapping(symbols->target, address)->end;
        module->path = keep_path(symbols, start->path);
    }
    free(answer);
    return size != 0 || start != NULL;
}
