/*
 * main.c - the command line: verbs, options, help.
 */
#include <argp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mems.h"
#include "support/support.h"
#include "symbols/symbols.h"
#include "verbs.h"

#define NO_LIMIT SIZE_MAX

/* The options of a verb. */
enum {
    HAS_JSON = 1,
    HAS_TIMEOUT = 2,
    HAS_RUN = 4,
    HAS_LEAKS = 8,
    HAS_WHY = 16,
    HAS_HTML = 32,
    HAS_LISTEN = 64,
    HAS_PROFILE = 128,
    HAS_TOP = 256,
    HAS_SYMBOLS = 512
};

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
    {"list", "", "processes on the libraries: Rss, live bytes, version, mode",
     "A process whose memory may not be read is listed if it maps a library under its usual name.", 0, 0, HAS_JSON,
     verb_list},
    {"top", "[PID]", "a live list of processes in the terminal; or one process: its size classes and call sites",
     "Keys: arrows and Page Up and Down move, < and > choose the column to sort by, r reverses the order, / filters by "
     "name, enter opens a process and escape leaves it, tab switches between classes and call sites, space pauses, q "
     "quits. Large heaps are counted less often than once a second, to keep the cost low.",
     0, 1, HAS_JSON | HAS_TOP, verb_top},
    {"stats", "TARGET", "what holds the memory: rows that sum to the process's Rss",
     "Divides each resident page among rows by what lies on it. A row says why its memory is there and when it goes. "
     "The rows sum to what the kernel counts as Rss. The size classes follow.",
     1, 1, HAS_JSON | HAS_SYMBOLS, verb_stats},
    {"profile", "TARGET", "which call sites allocated what is there, estimated from samples, with error bars",
     "The library samples about one in 2 MiB of requested bytes, or in SIZE with the option sample=SIZE; `mems set PID "
     "sample=SIZE` changes that in a running process. The numbers are estimates, each with half the width of its 95 % "
     "confidence interval.",
     1, 1, HAS_JSON | HAS_PROFILE | HAS_SYMBOLS, verb_profile},
    {"map", "TARGET [ADDRESS]", "pictures of the heaps; with an ADDRESS, its slab slot by slot",
     "Each character stands for a stretch of the heap: it shows how much is live, and its colour how much is resident. "
     "The chains of the MeMS heap and the blocks of HMM follow. --html writes a self-contained page that shows the "
     "whole heap, down to its blocks.",
     1, 2, HAS_JSON | HAS_HTML | HAS_SYMBOLS, verb_map},
    {"whatis", "ADDRESS... TARGET", "what is at an address: block, class, state, owner, or which mapping",
     "An ADDRESS is a number in decimal or, with 0x, in hexadecimal; it may lie anywhere in a block.", 2, NO_LIMIT,
     HAS_JSON | HAS_SYMBOLS, verb_whatis},
    {"check", "TARGET", "whether the heaps' data structures are intact: exit status 0, or 1 for damage",
     "A running process is stopped while its metadata is copied, at a moment when no thread holds a lock of the "
     "heap. The output says for how long.",
     1, 1, HAS_JSON, verb_check},
    {"leaks", "TARGET", "blocks that can no longer be reached: exit status 0, or 1 if there are some",
     "Every aligned word in the program's data, stacks, thread-local storage and registers that is an address in a "
     "block counts as a pointer to it, and so does every such word in a block that was reached. The other blocks are "
     "leaked. The report names those that no other leaked block leads to, with the sum of all that they lead to. A "
     "running process is stopped while its memory is copied; the output says for how long.",
     1, 1, HAS_JSON | HAS_LEAKS | HAS_WHY | HAS_SYMBOLS, verb_leaks},
    {"save", "TARGET FILE", "save what the verbs read in a file, without the contents of blocks",
     "The file can be the TARGET of every verb but set, trim and leaks.", 2, 2, 0, verb_save},
    {"diff", "TARGET TARGET", "what changed between two moments: processes, cores or saved heaps",
     "The text leaves out rows and classes that did not change.", 2, 2, HAS_JSON | HAS_SYMBOLS, verb_diff},
    {"set", "PID NAME=VALUE", "set an option of a running process",
     "Any option of MEMS_OPTIONS that may change after the start. The library sets it on one of the process's next "
     "slow paths. If there is none within the timeout, the exit status is 2, and the option is set later.",
     2, 2, HAS_JSON | HAS_TIMEOUT, verb_set},
    {"trim", "PID", "make a running process return all free memory, as malloc_trim does",
     "The library trims on one of the process's next slow paths. If there is none within the timeout, the exit "
     "status is 2, and it trims later.",
     1, 1, HAS_JSON | HAS_TIMEOUT, verb_trim},
    {"run", "-- COMMAND...", "run a command on the library, and explain a signal that ends it",
     "The exit status is the command's, or 128 plus the number of the signal. A static program, one for another C "
     "library, or one that changes its user cannot be run on the library; mems says which of these it is.",
     1, NO_LIMIT, HAS_RUN | HAS_LEAKS, verb_run},
    {"serve", "", "the heaps of all processes of this user in a browser, and as metrics for Prometheus",
     "Pages are at http://127.0.0.1:6367/, metrics at /metrics. It only looks at processes and never changes them. It "
     "reads their Rss every second, and counts the heaps of those that have run, using at most a hundredth of a "
     "processor. The pages are shown to this user and root on this machine, the metrics to everybody who can connect.",
     0, 0, HAS_LISTEN, verb_serve},
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
    printf("usage: mems VERB [OPTION...] ARGUMENT...\n\n"
           "Looks into the heap of a process on libmems or libhmm, living or dead. TARGET is a process id, or the path "
           "of\n"
           "a core or of a file written by `mems save`.\n\n");
    for (size_t i = 0; i < COUNT_OF(verbs); i++) {
        printf("  %-8s %s\n", verbs[i].name, verbs[i].brief);
    }
    printf("  %-8s %s\n", "help", "show this text, or the help for a verb");
    printf("\nmems VERB --help lists the options of a verb. Exit status: 0, or 2 if the question could not be "
           "answered.\n\n"
           "`mems CORE` says what ended the process of a core, and which block a fault was about.\n");
}

/* --- The options of a verb ---------------------------------------------------------------------------------------- */

struct parsed {
    const struct verb *verb;
    struct arguments arguments;
    uint64_t given; /* bits by place in options[] */
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
    OPTION_BATCH,
    OPTION_SORT,
    OPTION_FILTER,
    OPTION_WHY,
    OPTION_SUPPRESSIONS,
    OPTION_NO_SUPPRESSIONS,
    OPTION_LEAKS,
    OPTION_HTML,
    OPTION_LISTEN,
    OPTION_HOST,
    OPTION_OPEN,
    OPTION_PEAK,
    OPTION_ALLOCATED,
    OPTION_LIFETIME,
    OPTION_RESIDENT,
    OPTION_THREAD,
    OPTION_CLASS,
    OPTION_TREE,
    OPTION_FLAT,
    OPTION_INVERTED,
    OPTION_FORMAT,
    OPTION_ROWS,
    OPTION_SYMBOLS,
};

/* All options, with the verbs that take them. */
static const struct {
    unsigned of;
    struct argp_option option;
} options[] = {
    {HAS_JSON, {"json", OPTION_JSON, NULL, 0, "print one JSON object (docs/insight.md has its form)", 0}},
    {HAS_SYMBOLS,
     {"symbols", OPTION_SYMBOLS, "FOLDER", 0,
      "also look here for the target's files; may be repeated (also: MEMS_SYMBOLS)", 0}},
    {HAS_TIMEOUT, {"timeout", OPTION_TIMEOUT, "SECONDS", 0, "time to wait for an answer (2)", 0}},
    {HAS_HTML, {"html", OPTION_HTML, "FILE", 0, "write a page for browsers (-: to standard output)", 0}},
    {HAS_LISTEN,
     {"listen", OPTION_LISTEN, "ADDRESS:PORT", 0, "address to listen at (127.0.0.1:6367); port 0: any free port", 0}},
    {HAS_LISTEN, {"host", OPTION_HOST, "NAME", 0, "also answer requests for this host name", 0}},
    {HAS_LISTEN, {"open", OPTION_OPEN, NULL, 0, "show the pages, not only metrics, to everybody who can connect", 0}},
    {HAS_PROFILE, {"peak", OPTION_PEAK, NULL, 0, "what was live at the peak", 0}},
    {HAS_PROFILE, {"allocated", OPTION_ALLOCATED, NULL, 0, "all that was ever allocated, freed or not", 0}},
    {HAS_PROFILE, {"lifetime", OPTION_LIFETIME, NULL, 0, "how long blocks live", 0}},
    {HAS_PROFILE, {"resident", OPTION_RESIDENT, NULL, 0, "the resident part of live blocks", 0}},
    {HAS_PROFILE,
     {"thread", OPTION_THREAD, NULL, 0,
      "divide by allocating thread; not with --allocated and --lifetime, which are counted by call site and class", 0}},
    {HAS_PROFILE, {"class", OPTION_CLASS, NULL, 0, "divide by size class", 0}},
    {HAS_PROFILE, {"tree", OPTION_TREE, NULL, 0, "from the outermost caller on (the default)", 0}},
    {HAS_PROFILE, {"flat", OPTION_FLAT, NULL, 0, "a row for each function", 0}},
    {HAS_PROFILE, {"inverted", OPTION_INVERTED, NULL, 0, "from the function that allocates to its callers", 0}},
    {HAS_PROFILE,
     {"format", OPTION_FORMAT, "FORMAT", 0,
      "text, pprof (profile.proto, gzip), heap_v2, collapsed (for flame graphs), json, html (a page with a flame "
      "graph) or speedscope",
      0}},
    {HAS_PROFILE, {"rows", OPTION_ROWS, "N", 0, "maximum number of rows of text and JSON (40); 0: all", 0}},
    {HAS_RUN, {"option", 'o', "NAME=VALUE", 0, "an option of the heap, as in MEMS_OPTIONS; may be repeated", 0}},
    {HAS_RUN, {"stats", OPTION_STATS, NULL, 0, "when the command ends, show its statistics", 0}},
    {HAS_TOP, {"batch", OPTION_BATCH, NULL, 0, "print a table for each look", 0}},
    {HAS_TOP, {"interval", 'i', "SECONDS", 0, "time between looks (1)", 0}},
    {HAS_TOP, {"count", 'n', "N", 0, "number of looks (--batch: unlimited; --json: 1)", 0}},
    {HAS_TOP, {"sort", OPTION_SORT, "COLUMN", 0, "sort by the column with this title, or this name in JSON", 0}},
    {HAS_TOP, {"filter", OPTION_FILTER, "TEXT", 0, "show only rows whose name contains this text", 0}},
    {HAS_WHY, {"why", OPTION_WHY, "ADDRESS", 0, "show how the block at an address is reached", 0}},
    {HAS_LEAKS,
     {"suppressions", OPTION_SUPPRESSIONS, "FILE", 0, "suppress leaks by the rules in this file; may be repeated", 0}},
    {HAS_LEAKS, {"no-suppressions", OPTION_NO_SUPPRESSIONS, NULL, 0, "do not use the rules that come with mems", 0}},
    {HAS_RUN,
     {"leaks", OPTION_LEAKS, NULL, 0,
      "when the command ends, report its leaks on standard error; exit status 0 becomes 1 if there are some", 0}},
    {HAS_RUN, {"map", OPTION_MAP, NULL, 0, "when the command ends, show its map", 0}},
    {HAS_RUN,
     {"save", OPTION_SAVE, "FILE", 0,
      "when the command ends, save its heap to a file; %p in the name becomes the process id", 0}},
    {HAS_RUN,
     {"detach", OPTION_DETACH, NULL, 0, "do not trace it: its end is not explained, and debuggers may attach", 0}},
    {HAS_RUN, {"hmm", OPTION_HMM, NULL, 0, "run it on libhmm", 0}},
    {HAS_RUN, {"library", OPTION_LIBRARY, "PATH", 0, "use this library, not the one beside mems", 0}},
};

_Static_assert(COUNT_OF(options) <= 64, "a bit for each option");

/* One of each row at most: the others would have no effect. */
static const int apart[][4] = {
    {OPTION_PEAK, OPTION_ALLOCATED, OPTION_LIFETIME, OPTION_RESIDENT},
    {OPTION_THREAD, OPTION_CLASS},
    {OPTION_JSON, OPTION_FORMAT},
    {OPTION_JSON, OPTION_TREE, OPTION_FLAT, OPTION_INVERTED},
    {OPTION_FORMAT, OPTION_TREE, OPTION_FLAT, OPTION_INVERTED},
    {OPTION_LIFETIME, OPTION_TREE, OPTION_FLAT, OPTION_INVERTED},
    {OPTION_JSON, OPTION_HTML},
    {OPTION_JSON, OPTION_BATCH},
    {OPTION_DETACH, OPTION_LEAKS},
    {OPTION_DETACH, OPTION_STATS},
    {OPTION_DETACH, OPTION_MAP},
    {OPTION_DETACH, OPTION_SAVE},
};

/* Options that need one of the others in their row, in verbs with the first of these. */
static const int beside[][3] = {
    {OPTION_SUPPRESSIONS, OPTION_LEAKS},
    {OPTION_NO_SUPPRESSIONS, OPTION_LEAKS},
    {'n', OPTION_BATCH, OPTION_JSON},
};

static const int repeatable[] = {OPTION_SYMBOLS, OPTION_SUPPRESSIONS, 'o'};

/* In options[]; COUNT_OF(options) if the verb has none with this key. */
static size_t place_of(const struct verb *verb, int key) {
    size_t place = 0;
    while (place < COUNT_OF(options) &&
           (options[place].option.key != key || (options[place].of & verb->options) == 0)) {
        place++;
    }
    return place;
}

static bool is_given(const struct parsed *parsed, int key) {
    const size_t place = key != 0 ? place_of(parsed->verb, key) : COUNT_OF(options);
    return place < COUNT_OF(options) && (parsed->given >> place & 1) != 0;
}

static const char *name_of(const struct verb *verb, int key) {
    return options[place_of(verb, key)].option.name;
}

/* Notes an option. If one with a value is given twice, only one value has an effect. */
static void note_given(struct parsed *parsed, int key, const char *value, struct argp_state *state) {
    const size_t place = place_of(parsed->verb, key);
    bool again = value != NULL && is_given(parsed, key);
    for (size_t i = 0; i < COUNT_OF(repeatable); i++) {
        again &= key != repeatable[i];
    }
    if (again) {
        argp_error(state, "--%s is given twice", name_of(parsed->verb, key));
    }
    if (place < COUNT_OF(options)) {
        parsed->given |= (uint64_t)1 << place;
    }
}

/* No option is ignored silently. */
static void check_combination(const struct parsed *parsed, struct argp_state *state) {
    for (size_t row = 0; row < COUNT_OF(apart); row++) {
        int first = 0;
        for (size_t i = 0; i < COUNT_OF(apart[row]); i++) {
            const int key = apart[row][i];
            if (is_given(parsed, key) && first != 0) {
                argp_error(state, "--%s and --%s exclude each other", name_of(parsed->verb, first),
                           name_of(parsed->verb, key));
            }
            first = is_given(parsed, key) ? key : first;
        }
    }
    for (size_t row = 0; row < COUNT_OF(beside); row++) {
        const int *keys = beside[row];
        if (is_given(parsed, keys[0]) && place_of(parsed->verb, keys[1]) < COUNT_OF(options) &&
            !is_given(parsed, keys[1]) && !is_given(parsed, keys[2])) {
            argp_error(state, "--%s has no effect without --%s%s%s", name_of(parsed->verb, keys[0]),
                       name_of(parsed->verb, keys[1]), keys[2] != 0 ? " or --" : "",
                       keys[2] != 0 ? name_of(parsed->verb, keys[2]) : "");
        }
    }
}

static void list_options(const struct verb *verb, struct argp_option list[COUNT_OF(options) + 1]) {
    size_t count = 0;
    for (size_t i = 0; i < COUNT_OF(options); i++) {
        if ((options[i].of & verb->options) != 0) {
            list[count++] = options[i].option;
        }
    }
    list[count] = (struct argp_option){0};
}

/* False if it is no number. */
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

/* Options that set one member of struct arguments, and what to: a text to the option's value, a flag to true, an enum
 * to `value`. */
static const struct simple {
    int key;
    size_t member;
    enum { SETS_FLAG, SETS_TEXT, SETS_ENUM } what;
    unsigned value;
} simple_options[] = {
    {OPTION_JSON, offsetof(struct arguments, json), SETS_FLAG, 0},
    {OPTION_STATS, offsetof(struct arguments, show_stats), SETS_FLAG, 0},
    {OPTION_MAP, offsetof(struct arguments, show_map), SETS_FLAG, 0},
    {OPTION_LEAKS, offsetof(struct arguments, show_leaks), SETS_FLAG, 0},
    {OPTION_DETACH, offsetof(struct arguments, detached), SETS_FLAG, 0},
    {OPTION_HMM, offsetof(struct arguments, hmm), SETS_FLAG, 0},
    {OPTION_OPEN, offsetof(struct arguments, open), SETS_FLAG, 0},
    {OPTION_BATCH, offsetof(struct arguments, batch), SETS_FLAG, 0},
    {OPTION_NO_SUPPRESSIONS, offsetof(struct arguments, no_suppressions), SETS_FLAG, 0},
    {OPTION_SAVE, offsetof(struct arguments, save_to), SETS_TEXT, 0},
    {OPTION_LIBRARY, offsetof(struct arguments, library), SETS_TEXT, 0},
    {OPTION_HTML, offsetof(struct arguments, html), SETS_TEXT, 0},
    {OPTION_LISTEN, offsetof(struct arguments, listen), SETS_TEXT, 0},
    {OPTION_HOST, offsetof(struct arguments, host), SETS_TEXT, 0},
    {OPTION_SORT, offsetof(struct arguments, sort), SETS_TEXT, 0},
    {OPTION_FILTER, offsetof(struct arguments, filter), SETS_TEXT, 0},
    {OPTION_WHY, offsetof(struct arguments, why), SETS_TEXT, 0},
    {OPTION_PEAK, offsetof(struct arguments, kind), SETS_ENUM, PROFILE_PEAK},
    {OPTION_ALLOCATED, offsetof(struct arguments, kind), SETS_ENUM, PROFILE_ALLOCATED},
    {OPTION_LIFETIME, offsetof(struct arguments, kind), SETS_ENUM, PROFILE_LIFETIME},
    {OPTION_RESIDENT, offsetof(struct arguments, kind), SETS_ENUM, PROFILE_RESIDENT},
    {OPTION_THREAD, offsetof(struct arguments, group), SETS_ENUM, GROUP_THREAD},
    {OPTION_CLASS, offsetof(struct arguments, group), SETS_ENUM, GROUP_CLASS},
    {OPTION_TREE, offsetof(struct arguments, form), SETS_ENUM, FORM_TREE},
    {OPTION_FLAT, offsetof(struct arguments, form), SETS_ENUM, FORM_FLAT},
    {OPTION_INVERTED, offsetof(struct arguments, form), SETS_ENUM, FORM_INVERTED},
};

_Static_assert(sizeof(enum profile_kind) == sizeof(unsigned) && sizeof(enum profile_form) == sizeof(unsigned) &&
                   sizeof(enum profile_group) == sizeof(unsigned),
               "a member of these is set by copying an unsigned");

/* False for other options. */
static bool set_simple(int key, const char *text, struct arguments *arguments) {
    const bool yes = true;
    for (size_t i = 0; i < COUNT_OF(simple_options); i++) {
        const struct simple *option = &simple_options[i];
        char *member = (char *)arguments + option->member;
        if (option->key != key) {
            continue;
        }
        if (option->what == SETS_FLAG) {
            memcpy(member, &yes, sizeof yes);
        } else if (option->what == SETS_TEXT) {
            memcpy(member, &text, sizeof text);
        } else {
            memcpy(member, &option->value, sizeof option->value);
        }
        return true;
    }
    return false;
}

static enum profile_form parse_form(const char *text, struct argp_state *state) {
    static const char *const formats[] = {
        [FORM_TREE] = "text", [FORM_PPROF] = "pprof", [FORM_HEAP_V2] = "heap_v2",       [FORM_COLLAPSED] = "collapsed",
        [FORM_JSON] = "json", [FORM_HTML] = "html",   [FORM_SPEEDSCOPE] = "speedscope",
    };
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        if (formats[i] != NULL && strcmp(text, formats[i]) == 0) {
            return (enum profile_form)i;
        }
    }
    argp_error(state,
               "--format %s: unknown; the formats are text, pprof, heap_v2, collapsed, json, html and speedscope",
               text);
    return FORM_TREE;
}

/* Options whose value is not taken as it is; false for others. */
static bool parse_value(int key, const char *text, struct argp_state *state, struct arguments *arguments) {
    switch (key) {
    case OPTION_SYMBOLS:
        symbols_search(text);
        return true;
    case OPTION_TIMEOUT:
        if (!parse_seconds(text, &arguments->timeout)) {
            argp_error(state, "--timeout %s: not a number of seconds", text);
        }
        return true;
    case 'o':
        add_heap_option(state, arguments, text);
        return true;
    case OPTION_SUPPRESSIONS:
        arguments->suppressions =
            grow(arguments->suppressions, arguments->suppression_count, sizeof *arguments->suppressions);
        arguments->suppressions[arguments->suppression_count++] = text;
        return true;
    case OPTION_FORMAT:
        arguments->form = parse_form(text, state);
        return true;
    case OPTION_ROWS:
        arguments->has_rows = true;
        if (!parse_number(text, &arguments->rows)) {
            argp_error(state, "--rows %s: not a number of rows", text);
        }
        return true;
    case 'i':
        if (!parse_seconds(text, &arguments->interval) || arguments->interval < 0.01) {
            argp_error(state, "--interval %s: not a number of seconds (0.01 or more)", text);
        }
        return true;
    case 'n':
        arguments->has_looks = true;
        if (!parse_number(text, &arguments->looks) || arguments->looks == 0) {
            argp_error(state, "--count %s: not a number (1 or more)", text);
        }
        return true;
    default:
        return false;
    }
}

static error_t parse_option(int key, char *text, struct argp_state *state) {
    struct parsed *parsed = state->input;
    struct arguments *arguments = &parsed->arguments;
    note_given(parsed, key, text, state);
    switch (key) {
    case ARGP_KEY_ARG:
        arguments->words[arguments->word_count++] = text;
        arguments->words[arguments->word_count] = NULL;
        return 0;
    case ARGP_KEY_END:
        if (arguments->word_count < parsed->verb->least) {
            argp_error(state, "too few arguments: mems %s %s", parsed->verb->name, parsed->verb->words);
        }
        if (arguments->word_count > parsed->verb->most) {
            argp_error(state, "unexpected argument %s: mems %s%s%s", arguments->words[parsed->verb->most],
                       parsed->verb->name, *parsed->verb->words != '\0' ? " " : "", parsed->verb->words);
        }
        check_combination(parsed, state);
        return 0;
    default:
        return set_simple(key, text, arguments) || parse_value(key, text, state, arguments) ? 0 : ARGP_ERR_UNKNOWN;
    }
}

static int run_verb(const struct verb *verb, int count, char **words) {
    struct parsed parsed = {.verb = verb, .arguments = {.timeout = 2, .rows = 40, .interval = 1}};
    char *about = make_text("%s\v%s", verb->brief, verb->help);
    struct argp_option list[COUNT_OF(options) + 1];
    list_options(verb, list);
    struct argp argp = {.options = list, .parser = parse_option, .args_doc = verb->words, .doc = about};
    parsed.arguments.words = make_zeroed((size_t)count + 1, sizeof(char *));
    words[0] = make_text("mems %s", verb->name);
    program_invocation_name = words[0];
    argp_err_exit_status = EXIT_TROUBLE;
    argp_parse(&argp, count, words, (verb->options & HAS_RUN) != 0 ? ARGP_IN_ORDER : 0, NULL, &parsed);
    return verb->run(&parsed.arguments);
}

static int help(int count, char **words) {
    const struct verb *verb = count > 2 ? find_verb(words[2]) : NULL;
    if (count > 2 && verb == NULL && strcmp(words[2], "help") != 0) {
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

static int answer(int count, char **words) {
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
    if (verb == NULL && count == 2 && access(words[1], R_OK) == 0) {
        struct arguments arguments = {.words = words + 1, .word_count = 1};
        return verb_explain(&arguments);
    }
    if (verb == NULL) {
        fail("%s: no such verb; `mems help` lists them", words[1]);
    }
    return run_verb(verb, count - 1, words + 1);
}

int main(int count, char **words) {
    const char *folders = getenv("MEMS_SYMBOLS");
    if (folders != NULL) {
        symbols_search(folders);
    }
    int status = answer(count, words);
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        fail("cannot write the answer");
    }
    return status;
}
