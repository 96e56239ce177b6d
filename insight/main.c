/*
 * main.c - the command line: which verb, its options, its help.
 */
#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "mems.h"
#include "support.h"
#include "verbs.h"

#define NO_LIMIT SIZE_MAX

/* Which options a verb has. */
enum { HAS_JSON = 1, HAS_TIMEOUT = 2, HAS_RUN = 4 };

struct verb {
    const char *name;
    const char *words; /* as the usage line has them */
    const char *brief;
    const char *help;
    size_t least, most; /* words */
    unsigned options;
    int (*run)(const struct arguments *arguments);
};

static const struct verb verbs[] = {
    {"list", "", "the processes on the libraries: Rss, live bytes, version, mode",
     "Processes whose memory must not be read are listed if their mappings show a library by its usual name.", 0, 0,
     HAS_JSON, verb_list},
    {"stats", "TARGET", "what holds the memory: rows that sum to the process's Rss",
     "Each resident page of the process is divided among rows by what lies on it, with the reason why it is there and "
     "when it goes; then come the size classes. The rows sum to what the kernel counts as Rss.",
     1, 1, HAS_JSON, verb_stats},
    {"map", "TARGET [ADDRESS]", "the heaps as pictures; with an ADDRESS, its slab slot by slot",
     "Each character is a stretch of the heap: how much of it is live, and by its colour how much is resident. The "
     "chains "
     "of the MeMS heap and the blocks of HMM follow.",
     1, 2, HAS_JSON, verb_map},
    {"whatis", "ADDRESS... TARGET", "what is at an address: block, class, state, owner, or which mapping",
     "An ADDRESS is a number in decimal or, with 0x, in hexadecimal; it may lie anywhere in a block.", 2, NO_LIMIT,
     HAS_JSON, verb_whatis},
    {"check", "TARGET", "whether all holds that the heaps' structures promise: exit status 0, or 1 for damage",
     "A living process is stopped while its metadata are copied, at a moment when no thread holds a lock of the heap; "
     "the pause is told.",
     1, 1, HAS_JSON, verb_check},
    {"save", "TARGET FILE", "keep all that the verbs read, without the contents of blocks, in a file",
     "The file takes the place of a TARGET for every verb but set and trim.", 2, 2, 0, verb_save},
    {"diff", "TARGET TARGET", "what has changed between two moments: processes, cores or saved heaps",
     "Rows and classes that are the same are left out of the text.", 2, 2, HAS_JSON, verb_diff},
    {"set", "PID NAME=VALUE", "set an option of a running process",
     "The options are those of MEMS_OPTIONS but for the ones that shape the heap. The library sets it on one of the "
     "process's next slow paths; if there is none within the timeout, the exit status is 2, and it is set later.",
     2, 2, HAS_JSON | HAS_TIMEOUT, verb_set},
    {"trim", "PID", "have a running process give all free memory back, as malloc_trim does",
     "The library does it on one of the process's next slow paths; if there is none within the timeout, the exit "
     "status "
     "is 2, and it is done later.",
     1, 1, HAS_JSON | HAS_TIMEOUT, verb_trim},
    {"run", "-- COMMAND...", "run a command on the library, and explain a signal that ends it",
     "The exit status is the command's, or 128 and the number of the signal. Static programs, those for another C "
     "library "
     "and those that change their user cannot be run so; it is said which is the case.",
     1, NO_LIMIT, HAS_RUN, verb_run},
};

static const struct verb *find_verb(const char *name) {
    for (size_t i = 0; i < COUNT_OF(verbs); i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}

static void print_help(void) {
    printf(
        "usage: mems VERB [OPTION...] ARGUMENT...\n\n"
        "Sees into the heap of a process on libmems or libhmm, living or dead. TARGET is the number of a process, or\n"
        "the path of a core, or of what `mems save` has written.\n\n");
    for (size_t i = 0; i < COUNT_OF(verbs); i++) {
        printf("  %-8s %s\n", verbs[i].name, verbs[i].brief);
    }
    printf("  %-8s %s\n", "help", "this, or with the name of a verb all about it");
    printf("\nmems VERB --help tells the options of a verb. Exit status: 0, or 2 when the question could not be\n"
           "answered.\n");
}

/* --- The options of a verb ---------------------------------------------------------------------------------------- */

struct parsed {
    const struct verb *verb;
    struct arguments arguments;
};

enum {
    OPTION_JSON = 1000,
    OPTION_TIMEOUT,
    OPTION_STATS,
    OPTION_MAP,
    OPTION_SAVE,
    OPTION_DETACH,
    OPTION_HMM,
    OPTION_LIBRARY,
};

/* All options, with those who have them. */
static const struct {
    unsigned of;
    struct argp_option option;
} options[] = {
    {HAS_JSON, {"json", OPTION_JSON, NULL, 0, "print one JSON object (docs/insight.md has its form)", 0}},
    {HAS_TIMEOUT, {"timeout", OPTION_TIMEOUT, "SECONDS", 0, "wait so long for an answer (2)", 0}},
    {HAS_RUN, {"option", 'o', "NAME=VALUE", 0, "an option of the heap, as in MEMS_OPTIONS; may be repeated", 0}},
    {HAS_RUN, {"stats", OPTION_STATS, NULL, 0, "when the command ends, show what `mems stats` tells of it", 0}},
    {HAS_RUN, {"map", OPTION_MAP, NULL, 0, "and what `mems map` shows", 0}},
    {HAS_RUN,
     {"save", OPTION_SAVE, "FILE", 0,
      "and keep its heap in a file, as `mems save` does; %p in its name is the number of the process", 0}},
    {HAS_RUN,
     {"detach", OPTION_DETACH, NULL, 0, "do not trace it: its end is not looked at, and debuggers may attach to it",
      0}},
    {HAS_RUN, {"hmm", OPTION_HMM, NULL, 0, "on libhmm", 0}},
    {HAS_RUN, {"library", OPTION_LIBRARY, "PATH", 0, "on this library, not on the one beside the command", 0}},
};

static void list_options(const struct verb *verb, struct argp_option list[COUNT_OF(options) + 1]) {
    size_t count = 0;
    for (size_t i = 0; i < COUNT_OF(options); i++) {
        if ((options[i].of & verb->options) != 0) {
            list[count++] = options[i].option;
        }
    }
    list[count] = (struct argp_option){0};
}

/* A number of seconds; false when the text is none. */
static bool parse_seconds(const char *text, double *seconds) {
    char *end;
    *seconds = strtod(text, &end);
    return end != text && *end == '\0' && *seconds >= 0 && *seconds <= 1e6;
}

static void add_heap_option(struct argp_state *state, struct arguments *arguments, const char *text) {
    if (strchr(text, '=') == NULL || strchr(text, ',') != NULL) {
        argp_error(state, "%s: an option is NAME=VALUE", text);
    }
    char *before = arguments->heap_options;
    arguments->heap_options = before != NULL ? make_text("%s,%s", before, text) : copy_text(text);
    free(before);
}

static error_t parse_option(int key, char *text, struct argp_state *state) {
    struct parsed *parsed = state->input;
    struct arguments *arguments = &parsed->arguments;
    switch (key) {
    case OPTION_JSON:
        arguments->json = true;
        return 0;
    case OPTION_TIMEOUT:
        if (!parse_seconds(text, &arguments->timeout)) {
            argp_error(state, "%s: no number of seconds", text);
        }
        return 0;
    case 'o':
        add_heap_option(state, arguments, text);
        return 0;
    case OPTION_STATS:
        arguments->show_stats = true;
        return 0;
    case OPTION_MAP:
        arguments->show_map = true;
        return 0;
    case OPTION_SAVE:
        arguments->save_to = text;
        return 0;
    case OPTION_DETACH:
        arguments->detached = true;
        return 0;
    case OPTION_HMM:
        arguments->hmm = true;
        return 0;
    case OPTION_LIBRARY:
        arguments->library = text;
        return 0;
    case ARGP_KEY_ARG:
        arguments->words[arguments->word_count++] = text;
        arguments->words[arguments->word_count] = NULL;
        return 0;
    case ARGP_KEY_END:
        if (arguments->word_count < parsed->verb->least) {
            argp_error(state, "something is missing: mems %s %s", parsed->verb->name, parsed->verb->words);
        }
        if (arguments->word_count > parsed->verb->most) {
            argp_error(state, "%s is too much: mems %s %s", arguments->words[parsed->verb->most], parsed->verb->name,
                       parsed->verb->words);
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int run_verb(const struct verb *verb, int count, char **words) {
    struct parsed parsed = {.verb = verb, .arguments.timeout = 2};
    char *about = make_text("%s\v%s", verb->brief, verb->help);
    struct argp_option list[COUNT_OF(options) + 1];
    list_options(verb, list);
    struct argp argp = {.options = list, .parser = parse_option, .args_doc = verb->words, .doc = about};
    parsed.arguments.words = make_zeroed((size_t)count + 1, sizeof(char *));
    words[0] = make_text("mems %s", verb->name);
    program_invocation_name = words[0];
    argp_err_exit_status = EXIT_TROUBLE;
    argp_parse(&argp, count, words, verb->options == HAS_RUN ? ARGP_IN_ORDER : 0, NULL, &parsed);
    return verb->run(&parsed.arguments);
}

static int help(int count, char **words) {
    const struct verb *verb = count > 2 ? find_verb(words[2]) : NULL;
    if (count > 2 && verb == NULL) {
        fail("%s: no such verb; `mems help` lists them", words[2]);
    }
    if (verb == NULL) {
        print_help();
        return EXIT_FINE;
    }
    char option[] = "--help";
    char *asked[] = {words[0], option, NULL};
    return run_verb(verb, 2, asked);
}

int main(int count, char **words) {
    if (count < 2) {
        print_help();
        return EXIT_TROUBLE;
    }
    if (strcmp(words[1], "help") == 0 || strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0) {
        return help(count, words);
    }
    if (strcmp(words[1], "--version") == 0) {
        printf("mems %d.%d.%d\n", MEMS_VERSION_MAJOR, MEMS_VERSION_MINOR, MEMS_VERSION_PATCH);
        return EXIT_FINE;
    }
    const struct verb *verb = find_verb(words[1]);
    if (verb == NULL) {
        fail("%s: no such verb; `mems help` lists them", words[1]);
    }
    int status = run_verb(verb, count - 1, words + 1);
    if (fflush(stdout) != 0) {
        fail("the answer cannot be written");
    }
    return status;
}
