#include "engine_options.h"

#include "base/fault.h"
#include "engine/heaps/heap.h"
#include "engine/tables/window.h"

static const char *const check_words[] = {[CHECK_EVERY] = "every", [CHECK_DEFERRED] = "deferred", NULL};
static const char *const harden_words[] = {
    [HARDEN_OFF] = "off", [HARDEN_LIGHT] = "light", [HARDEN_FULL] = "full", NULL};
static const char *const kinds_words[] = {
    [KINDS_ABORT] = "abort", [KINDS_REPORT] = "report", [KINDS_OFF] = "off", NULL};
static const char *const on_fault_words[] = {
    [FAULT_ABORTS] = "abort", [FAULT_REPORTS] = "report", [FAULT_TRAPS] = "trap", NULL};
static const char *const stats_words[] = {[STATS_NONE] = "0", [STATS_TEXT] = "text", [STATS_JSON] = "json", NULL};
static const char *const huge_pages_words[] = {[HUGE_PAGES_OFF] = "off", [HUGE_PAGES_GROWTH] = "growth", NULL};
static const char *const limit_words[] = {"none", NULL};
static const char *const window_words[] = {"auto", NULL};
static const char *const sample_words[] = {"0", NULL};
static const char *const guard_report_words[] = {"on", "off", "1", "0", NULL}; /* enum toggle, by two names each */

#define CHOICE(member, ...) OPTION(struct options, member, __VA_ARGS__)

static const struct option options[] = {
    CHOICE(check, OPTION_WORD, "every|deferred", "every", "check each free at the call, or later in batches",
           .words = check_words, .fixed = true),
    CHOICE(harden, OPTION_WORD, "off|light|full", "off", "detect more misuse, and limit the harm of the rest",
           .words = harden_words, .fixed = true),
    CHOICE(kinds, OPTION_WORD, "abort|report|off", "abort",
           "with harden=full: what happens when, say, free is given a block of new", .words = kinds_words),
    CHOICE(on_fault, OPTION_WORD, "abort|report|trap", "abort",
           "after a fault report: abort, continue at your own risk, or trap", .words = on_fault_words),
    CHOICE(stats, OPTION_WORD, "0|text|json", "0", "print the heap's statistics at exit", .words = stats_words),
    CHOICE(stats_file, OPTION_TEXT, "PATH (up to 255 bytes)", "",
           "append the statistics to this file instead (%p: process id)", .words = NULL),
    CHOICE(decay_ms, OPTION_NUMBER, "MILLISECONDS", "500", "purge memory that has been free this long", .words = NULL),
    CHOICE(background, OPTION_WORD, "on|off", "off", "a library thread purges free memory while all others sleep",
           .words = toggle_words),
    CHOICE(window, OPTION_SIZE, "auto|SIZE[k|m|g|t], 4m to 64t", "auto", "reserve this much address space",
           .words = window_words, .fixed = true, .least = WINDOW_MIN, .most = WINDOW_MAX),
    CHOICE(limit, OPTION_SIZE, "none|SIZE[k|m|g|t]", "none",
           "fail allocations (ENOMEM) that would make the heap hold more than this", .words = limit_words),
    CHOICE(limit_soft, OPTION_SIZE, "auto|SIZE[k|m|g|t]", "auto",
           "when the heap holds more, trim it and report; auto: 7/8 of limit", .words = window_words),
    CHOICE(huge_pages, OPTION_WORD, "off|growth", "off", "fresh memory of a growing heap has transparent huge pages",
           .words = huge_pages_words),
    OPTION_CONFINE(struct options),
    OPTION_DEEPBIND(struct options),
    CHOICE(advice, OPTION_WORD, "on|off", "on",
           "when a block is freed, undo what madvise, mprotect and mlock set for it", .words = toggle_words),
    CHOICE(sample, OPTION_SIZE, "0|SIZE[k|m|g|t]", "2m",
           "record who allocates, about once in this many bytes; 1: every time", .words = sample_words),
    CHOICE(profile_file, OPTION_TEXT, "PATH (up to 255 bytes)", "",
           "write a heap profile (heap_v2) to this file at exit (%p: process id)", .words = NULL),
    CHOICE(guard_report, OPTION_WORD, "on|off", "off", "on a fault in a sampled block, report the block",
           .words = guard_report_words),
};

const struct option_table engine_options = {
    .variable = "MEMS_OPTIONS",
    .options = options,
    .count = sizeof options / sizeof *options,
    .size = sizeof(struct options),
};
