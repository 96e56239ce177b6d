#include "options.h"

static const char *const check_words[] = {[CHECK_EVERY] = "every", [CHECK_DEFERRED] = "deferred", NULL};
static const char *const stats_words[] = {[STATS_NONE] = "0", [STATS_TEXT] = "text", [STATS_JSON] = "json", NULL};
static const char *const background_words[] = {[BACKGROUND_OFF] = "off", [BACKGROUND_ON] = "on", NULL};
static const char *const limit_words[] = {"none", NULL};
static const char *const toggle_words[] = {[TOGGLE_ON] = "on", [TOGGLE_OFF] = "off", NULL};
static const char *const deepbind_words[] = {[DEEPBIND_DROP] = "drop", [DEEPBIND_KEEP] = "keep", NULL};
static const char *const window_words[] = {"auto", NULL};

static const struct option options[] = {
    {
        .name = "check",
        .values = "every|deferred",
        .fallback = "every",
        .description = "prove each pointer when it is freed, or soon after",
        .kind = OPTION_WORD,
        .words = check_words,
        .fixed = true,
        OPTION_MEMBER(struct options, check),
    },
    {
        .name = "stats",
        .values = "0|text|json",
        .fallback = "0",
        .description = "report the heap's statistics at exit",
        .kind = OPTION_WORD,
        .words = stats_words,
        OPTION_MEMBER(struct options, stats),
    },
    {
        .name = "stats_file",
        .values = "PATH (up to 255 bytes)",
        .fallback = "",
        .description = "append the report to this file (%p: process id), not to standard error",
        .kind = OPTION_TEXT,
        OPTION_MEMBER(struct options, stats_file),
    },
    {
        .name = "decay_ms",
        .values = "MILLISECONDS",
        .fallback = "500",
        .description = "give free memory back to the system after this long",
        .kind = OPTION_NUMBER,
        OPTION_MEMBER(struct options, decay_ms),
    },
    {
        .name = "background",
        .values = "on|off",
        .fallback = "off",
        .description = "give memory back while all threads sleep, by a thread for it",
        .kind = OPTION_WORD,
        .words = background_words,
        OPTION_MEMBER(struct options, background),
    },
    {
        .name = "window",
        .values = "auto|SIZE[k|m|g|t]",
        .fallback = "auto",
        .description = "reserve this much address space",
        .kind = OPTION_SIZE,
        .words = window_words,
        .fixed = true,
        OPTION_MEMBER(struct options, window),
    },
    {
        .name = "limit",
        .values = "none|SIZE[k|m|g|t]",
        .fallback = "none",
        .description = "let allocations fail (ENOMEM) that would make the heap hold more than this",
        .kind = OPTION_SIZE,
        .words = limit_words,
        OPTION_MEMBER(struct options, limit),
    },
    {
        .name = "limit_soft",
        .values = "auto|SIZE[k|m|g|t]",
        .fallback = "auto",
        .description = "give all free memory back and say so when the heap holds more; auto: 7/8 of limit",
        .kind = OPTION_SIZE,
        .words = window_words,
        OPTION_MEMBER(struct options, limit_soft),
    },
    {
        .name = "confine",
        .values = "on|off",
        .fallback = "on",
        .description = "give up reserved address space when the process limits itself or locks its memory",
        .kind = OPTION_WORD,
        .words = toggle_words,
        OPTION_MEMBER(struct options, confine),
    },
    {
        .name = "deepbind",
        .values = "drop|keep",
        .fallback = "drop",
        .description = "what becomes of RTLD_DEEPBIND in dlopen",
        .kind = OPTION_WORD,
        .words = deepbind_words,
        OPTION_MEMBER(struct options, deepbind),
    },
    {
        .name = "advice",
        .values = "on|off",
        .fallback = "on",
        .description = "end what madvise and mlock have set for a block when it is freed",
        .kind = OPTION_WORD,
        .words = toggle_words,
        OPTION_MEMBER(struct options, advice),
    },
};

const struct option_table engine_options = {
    .variable = "MEMS_OPTIONS",
    .options = options,
    .count = sizeof options / sizeof *options,
    .size = sizeof(struct options),
};
