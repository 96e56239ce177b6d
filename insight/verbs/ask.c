/* ask.c - `mems set` and `mems trim`: requests to a running process, which its library answers on a slow path. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "support/json.h"
#include "support/support.h"
#include "support/text.h"
#include "verbs.h"
#include "walk/session.h"

#define OPTIONS_MAX 64u

/* As the target's library describes it. */
struct option_text {
    char name[64];
    char values[128];
    uint64_t kind;
    bool fixed;
    uint64_t words; /* address of texts, ended by NULL; or 0 */
};

static void write_memory(struct target *target, uint64_t address, const void *from, size_t size) {
    struct iovec local = {.iov_base = (void *)(uintptr_t)from, .iov_len = size};
    struct iovec remote = {.iov_base = (void *)(uintptr_t)address, .iov_len = size};
    if (process_vm_writev(target->pid, &local, 1, &remote, 1, 0) != (ssize_t)size) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/mem", target->pid);
        int memory = open(path, O_WRONLY | O_CLOEXEC);
        ssize_t written = memory >= 0 ? pwrite(memory, from, size, (off_t)address) : -1;
        int error = errno;
        if (memory >= 0) {
            close(memory);
        }
        if (written != (ssize_t)size) {
            fail("cannot ask process %d: %s", target->pid, strerror(error));
        }
    }
}

static uint64_t request_address(const struct layout *layout) {
    return layout->root + offsetof(struct root_head, request);
}

static struct root_request read_request(struct target *target, const struct layout *layout) {
    struct root_request request;
    if (!target_read(target, request_address(layout), &request, sizeof request)) {
        fail("process %d has ended", target->pid);
    }
    return request;
}

static bool is_answered(struct target *target, const struct layout *layout, double timeout) {
    for (double end = now_seconds() + timeout;;) {
        struct root_request request = read_request(target, layout);
        if (request.bell == request.answered) {
            return true;
        }
        if (now_seconds() >= end) {
            return false;
        }
        usleep(10000);
    }
}

/* Writes the request, then the bell, a single byte, so the library never sees half a request. False if there is no
 * answer in time; the request stays, and is served at the process's next slow path. */
static bool request_answered(struct session *session, uint32_t order, uint64_t value, double timeout,
                             struct root_request *answer) {
    struct target *target = &session->target;
    struct layout *layout = layouts_of(&session->layouts, ROOT_ENGINE);
    uint64_t address = request_address(layout);
    if (!is_answered(target, layout, timeout)) {
        return false; /* another request is still pending */
    }
    uint8_t bell = (uint8_t)(read_request(target, layout).bell + 1);
    write_memory(target, address + offsetof(struct root_request, order), &order, sizeof order);
    write_memory(target, address + offsetof(struct root_request, value), &value, sizeof value);
    write_memory(target, address + offsetof(struct root_request, bell), &bell, sizeof bell);
    bool answered = is_answered(target, layout, timeout);
    *answer = read_request(target, layout);
    return answered;
}

static void open_engine_process(struct session *session, const char *name) {
    session_open(session, name, true);
    if (session->target.kind != TARGET_LIVE) {
        fail("%s: only a running process can be asked to do something", name);
    }
    if (!session->has_engine) {
        fail("%s: only the engine of libmems takes requests, and it has not started here", name);
    }
}

static int tell_silence(const struct arguments *arguments, const struct target *target) {
    fflush(stdout);
    if (target_is_stopped(target)) {
        warn("no answer in %.1f s: the process is stopped; it answers once it continues (kill -CONT %d) and a thread "
             "takes "
             "a slow path",
             arguments->timeout, target->pid);
        return EXIT_TROUBLE;
    }
    warn("no answer in %.1f s: the process allocates and frees nothing, and has no background thread (background=on); "
         "it answers when a thread next takes a slow path",
         arguments->timeout);
    return EXIT_TROUBLE;
}

/* --- Options ------------------------------------------------------------------------------------------------------ */

static const char option_names[] =
    "mems_root.settings.table option_table.options option_table.count option option.name option.values "
    "option.kind option.fixed option.words OPTION_WORD OPTION_NUMBER OPTION_SIZE";

/* Returns how many options the library has. */
static size_t read_options(struct session *session, struct option_text options[OPTIONS_MAX]) {
    struct target *target = &session->target;
    struct layout *layout = session->engine.layout;
    uint64_t table;
    uint64_t first;
    uint64_t count;
    struct field whole = layout_field(layout, "option");
    if (!layout_has(layout, "its options", option_names)) {
        exit(EXIT_TROUBLE);
    }
    if (!field_read(target, layout->start, layout_field(layout, "mems_root.settings.table"), &table) ||
        !field_read(target, table, layout_field(layout, "option_table.options"), &first) ||
        !field_read(target, table, layout_field(layout, "option_table.count"), &count) || count > OPTIONS_MAX) {
        fail("%s: cannot read its options", target->name);
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t at = first + i * whole.size;
        uint64_t name;
        uint64_t values;
        uint64_t fixed;
        if (!field_read(target, at, layout_field(layout, "option.name"), &name) ||
            !target_read_text(target, name, options[i].name, sizeof options[i].name) ||
            !field_read(target, at, layout_field(layout, "option.values"), &values) ||
            !target_read_text(target, values, options[i].values, sizeof options[i].values) ||
            !field_read(target, at, layout_field(layout, "option.kind"), &options[i].kind) ||
            !field_read(target, at, layout_field(layout, "option.fixed"), &fixed) ||
            !field_read(target, at, layout_field(layout, "option.words"), &options[i].words)) {
            fail("%s: cannot read its options", target->name);
        }
        options[i].fixed = fixed != 0;
    }
    return (size_t)count;
}

/* False if the text is none of the option's words. */
static bool word_number(struct target *target, const struct option_text *option, const char *text, uint64_t *number) {
    for (*number = 0; option->words != 0 && *number < 64; ++*number) {
        uint64_t word;
        char copy[64];
        if (!target_read_pointer(target, option->words + *number * 8, &word) || word == 0 ||
            !target_read_text(target, word, copy, sizeof copy)) {
            break;
        }
        if (strcmp(copy, text) == 0) {
            return true;
        }
    }
    return false;
}

/* A number with a suffix, as in options. */
static bool parse_size(const char *text, uint64_t *number) {
    static const char suffixes[] = "kmgt";
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || errno != 0) {
        return false;
    }
    const char *suffix = *end != '\0' ? strchr(suffixes, *end | 0x20) : NULL;
    if (suffix != NULL && end[1] == '\0') {
        unsigned shift = 10 * (unsigned)(suffix - suffixes + 1);
        if (*number > UINT64_MAX >> shift) {
            return false;
        }
        *number <<= shift;
        return true;
    }
    return *end == '\0';
}

static uint64_t value_of(struct session *session, const struct option_text *option, const char *text) {
    struct layout *layout = session->engine.layout;
    uint64_t value;
    bool known = false;
    if (option->kind == layout_constant(layout, "OPTION_WORD", 0)) {
        known = word_number(&session->target, option, text, &value);
    } else if (option->kind == layout_constant(layout, "OPTION_NUMBER", 1)) {
        known = parse_number(text, &value);
    } else if (option->kind == layout_constant(layout, "OPTION_SIZE", 2)) {
        known = word_number(&session->target, option, text, &value) || (parse_size(text, &value) && value != 0);
    } else {
        fail("%s: text options cannot be set from outside", option->name);
    }
    if (!known) {
        fail("%s: invalid value %s; it takes %s", option->name, text, option->values);
    }
    return value;
}

static uint32_t find_option(const struct option_text *options, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(options[i].name, name) == 0) {
            return (uint32_t)i + 1;
        }
    }
    fprintf(stderr, "mems: %s: the library has no such option; it has", name);
    for (size_t i = 0; i < count; i++) {
        fprintf(stderr, "%s %s", i != 0 ? "," : "", options[i].name);
    }
    fputc('\n', stderr);
    exit(EXIT_TROUBLE);
}

/* --- The verbs ---------------------------------------------------------------------------------------------------- */

/* value_of has checked the value alone, so EINVAL means that it does not agree with another option's. */
static const char *refusal(const char *name, int error) {
    const bool is_limit = strcmp(name, "limit") == 0 || strcmp(name, "limit_soft") == 0;
    return error == EINVAL && is_limit ? "limit_soft would be above limit" : strerror(error);
}

int verb_set(const struct arguments *arguments) {
    struct session session;
    struct option_text options[OPTIONS_MAX];
    char *name = copy_text(arguments->words[1]);
    char *value = strchr(name, '=');
    if (value == NULL) {
        fail("%s: an option is set as NAME=VALUE", name);
    }
    *value++ = '\0';
    open_engine_process(&session, arguments->words[0]);
    size_t count = read_options(&session, options);
    uint32_t order = find_option(options, count, name);
    if (options[order - 1].fixed) {
        fail("%s: this option must be set before the process starts", name);
    }
    uint64_t number = value_of(&session, &options[order - 1], value);
    struct root_request answer;
    int status = EXIT_FINE;
    if (!request_answered(&session, order, number, arguments->timeout, &answer)) {
        status = tell_silence(arguments, &session.target);
    } else if (answer.error != 0) {
        fail("%s=%s: the library refuses it: %s", name, value, refusal(name, answer.error));
    }
    if (arguments->json) {
        print_json(json_pack("{s:b, s:s, s:s}", "done", status == EXIT_FINE, "option", name, "value", value));
    } else if (status == EXIT_FINE) {
        printf("process %d: %s is %s\n", session.target.pid, name, value);
    }
    free(name);
    session_close(&session);
    return status;
}

int verb_trim(const struct arguments *arguments) {
    struct session session;
    struct root_request answer;
    open_engine_process(&session, arguments->words[0]);
    bool answered = request_answered(&session, 0, 0, arguments->timeout, &answer);
    int status = answered ? EXIT_FINE : tell_silence(arguments, &session.target);
    if (arguments->json) {
        print_json(json_pack("{s:b, s:I}", "done", answered, "bytes", (json_int_t)(answered ? answer.value : 0)));
    } else if (answered) {
        printf("process %d has given %s back\n", session.target.pid, text_size(answer.value));
    }
    session_close(&session);
    return status;
}
