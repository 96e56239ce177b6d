/* verbs.h - the verbs, one per file, and their arguments. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What `mems profile` shows, how divided, and in which form. */
enum profile_kind { PROFILE_LIVE, PROFILE_PEAK, PROFILE_ALLOCATED, PROFILE_LIFETIME, PROFILE_RESIDENT };
enum profile_group { GROUP_NONE, GROUP_THREAD, GROUP_CLASS };
enum profile_form {
    FORM_TREE,
    FORM_FLAT,
    FORM_INVERTED,
    FORM_PPROF,
    FORM_HEAP_V2,
    FORM_COLLAPSED,
    FORM_JSON,
    FORM_HTML,
    FORM_SPEEDSCOPE,
    FORM_FLAME
};

struct arguments {
    char **words; /* not options; ended by NULL */
    size_t word_count;
    bool json;
    double timeout; /* seconds to wait for an answer */
    bool hmm;       /* run: on libhmm */
    bool detached;  /* it is not traced */
    bool show_stats, show_map;
    char *library;
    char *save_to;
    bool batch;      /* top: tables as text */
    double interval; /* top: seconds between looks */
    bool has_looks;
    uint64_t looks;            /* top: how many; 0: without end */
    const char *sort;          /* top: this column, or NULL */
    const char *filter;        /* top: only rows with this text; NULL: all */
    char *why;                 /* leaks: an address */
    const char **suppressions; /* leaks: files of rules, */
    size_t suppression_count;
    bool no_suppressions; /* not even those that come with the command */
    bool show_leaks;      /* run: when the command ends */
    char *html;           /* map: a page in this file */
    char *listen;         /* serve: HOST:PORT */
    char *host;           /* serve: a further name for this server */
    bool open;            /* serve: everybody may look */
    enum profile_kind kind;
    enum profile_group group;
    enum profile_form form;
    bool has_rows;
    uint64_t rows;      /* at most; 0: all */
    char *heap_options; /* NAME=VALUE,... ; NULL: none */
};

/* Each returns an exit status. */
int verb_stats(const struct arguments *arguments);
int verb_whatis(const struct arguments *arguments);
int verb_map(const struct arguments *arguments);
int verb_check(const struct arguments *arguments);
int verb_save(const struct arguments *arguments);
int verb_diff(const struct arguments *arguments);
int verb_top(const struct arguments *arguments);
int verb_leaks(const struct arguments *arguments);
int verb_profile(const struct arguments *arguments);
int verb_run(const struct arguments *arguments);
int verb_list(const struct arguments *arguments);
int verb_set(const struct arguments *arguments);
int verb_trim(const struct arguments *arguments);
int verb_serve(const struct arguments *arguments);

/* `mems CORE`: how the core's process ended. */
int verb_explain(const struct arguments *arguments);
