/*
 * verbs.h - the verbs of the command, each in a file of its own, and what the user has written for them.
 */
#ifndef MEMS_INSIGHT_VERBS_H
#define MEMS_INSIGHT_VERBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arguments {
    char **words; /* what is no option, ended by NULL */
    size_t word_count;
    bool json;
    double timeout; /* seconds to wait for an answer */
    bool hmm;       /* run: on libhmm */
    bool detached;  /* it is not traced */
    bool show_stats, show_map;
    char *library;
    char *save_to;
    char *heap_options; /* NAME=VALUE,... ; NULL: none */
};

/* Each returns an exit status. */
int verb_stats(const struct arguments *arguments);
int verb_whatis(const struct arguments *arguments);
int verb_map(const struct arguments *arguments);
int verb_check(const struct arguments *arguments);
int verb_save(const struct arguments *arguments);
int verb_diff(const struct arguments *arguments);
int verb_run(const struct arguments *arguments);
int verb_list(const struct arguments *arguments);
int verb_set(const struct arguments *arguments);
int verb_trim(const struct arguments *arguments);

struct session;

/* Reads all that `mems check` reads, and tells nothing: so that what is saved can be checked. */
void check_read(struct session *session);

#endif
