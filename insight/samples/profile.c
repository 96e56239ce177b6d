/*
 * profile.c - `mems profile`: who allocated the blocks.
 */
#include "samples/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"
#include "support/text.h"
#include "target/residency.h"

/* Blocks beyond the classes. */
#define GROUP_LARGE UINT64_MAX
#define GROUP_HUGE (UINT64_MAX - 1)

const char *profile_kind_name(enum profile_kind kind) {
    static const char *const names[] = {
        [PROFILE_LIVE] = "live",         [PROFILE_PEAK] = "peak",         [PROFILE_ALLOCATED] = "allocated",
        [PROFILE_LIFETIME] = "lifetime", [PROFILE_RESIDENT] = "resident",
    };
    return names[kind];
}

/* --- Gathering ---------------------------------------------------------------------------------------------------- */

/* Whether a kind has the sums of stacks, not live samples alone. */
static bool is_of_stacks(enum profile_kind kind) {
    return kind == PROFILE_ALLOCATED || kind == PROFILE_LIFETIME;
}

static struct site *add_site(struct profile *profile, const struct call_stack *stack, uint64_t group) {
    profile->sites = grow(profile->sites, profile->count, sizeof *profile->sites);
    struct site *site = &profile->sites[profile->count++];
    *site = (struct site){.stack = stack, .group = group};
    return site;
}

static uint64_t group_of(const struct profile *profile, const struct sample *sample) {
    struct layout *layout = profile->session->engine.layout;
    switch (profile->group) {
    case GROUP_THREAD:
        return sample->allocated.thread;
    case GROUP_CLASS:
        return sample->kind == layout_constant(layout, "SAMPLE_SMALL", 0)
                   ? engine_class_size(&profile->session->engine, sample->size, GROUP_LARGE)
               : sample->kind == layout_constant(layout, "SAMPLE_LARGE", 1) ? GROUP_LARGE
                                                                            : GROUP_HUGE;
    default:
        return 0;
    }
}

/* The resident bytes of a block. */
static double resident_bytes(struct profile *profile, const struct sample *sample) {
    const uint64_t page = profile->session->target.page_size;
    const uint64_t end = sample->start + sample->size;
    struct residency residency;
    uint64_t bytes = 0;
    residency_start(&residency, &profile->session->target, sample->start & ~(page - 1), end);
    for (uint64_t at = sample->start & ~(page - 1); (at = residency_next(&residency, at, end)) < end; at += page) {
        if (page_counts(residency_of(&residency, at))) {
            bytes += smaller(at + page, end) - larger(at, sample->start);
        }
    }
    residency_end(&residency);
    return (double)bytes;
}

static unsigned life_of(uint64_t ms) {
    unsigned life = 0;
    while (life < LIVES - 1 && ms >> 2 * life != 0) {
        life++;
    }
    return life;
}

static bool is_wanted(const struct profile *profile, const struct sample *sample) {
    return profile->kind == PROFILE_PEAK
               ? sample->number <= profile->samples.peak_number && (sample->live || sample->died)
               : sample->live;
}

static void gather_samples(struct profile *profile) {
    const struct samples *samples = &profile->samples;
    for (size_t i = 0; i < samples->count; i++) {
        const struct sample *sample = &samples->all[i];
        if (!is_wanted(profile, sample)) {
            continue;
        }
        double bytes = profile->kind == PROFILE_RESIDENT ? resident_bytes(profile, sample) : (double)sample->size;
        struct site *site = add_site(profile, sample->allocated.calls, group_of(profile, sample));
        site->value = estimate_of(sample->weight, bytes);
        site->ages[life_of(samples->now_ms - smaller(sample->allocated.ms, samples->now_ms))] = sample->weight;
    }
}

/* The sums of a stack are kept by class, and never by thread. */
static uint64_t group_of_part(const struct profile *profile, const struct stack_part *part) {
    const struct engine *engine = &profile->session->engine;
    if (profile->group != GROUP_CLASS || !profile->samples.has_classes) {
        return 0;
    }
    return part->size_class < engine->class_count ? engine->classes[part->size_class].size
           : part->size_class == layout_constant(engine->layout, "STACK_HUGE", UINT64_MAX)  ? GROUP_HUGE
           : part->size_class == layout_constant(engine->layout, "STACK_LARGE", UINT64_MAX) ? GROUP_LARGE
                                                                                            : 0;
}

static void gather_stacks(struct profile *profile) {
    const struct samples *samples = &profile->samples;
    for (size_t i = 0; i < samples->part_count; i++) {
        const struct stack_part *part = &samples->parts[i];
        if (part->sums.allocated.samples != 0) {
            struct site *site = add_site(profile, part->stack, group_of_part(profile, part));
            site->allocated = part->sums.allocated;
            site->freed = part->sums.freed;
            memcpy(site->lives, part->sums.lives, sizeof site->lives);
            if (is_of_stacks(profile->kind)) {
                site->value = part->sums.allocated;
            }
        }
    }
}

static int by_stack(const void *a, const void *b) {
    const struct site *left = a;
    const struct site *right = b;
    if (left->stack != right->stack) {
        return (uintptr_t)left->stack < (uintptr_t)right->stack ? -1 : 1;
    }
    return left->group < right->group ? -1 : left->group > right->group;
}

static int by_bytes(const void *a, const void *b) {
    const struct site *left = a;
    const struct site *right = b;
    return left->value.bytes > right->value.bytes ? -1 : left->value.bytes < right->value.bytes ? 1 : by_stack(a, b);
}

static void merge(struct profile *profile) {
    size_t kept = 0;
    qsort(profile->sites, profile->count, sizeof *profile->sites, by_stack);
    for (size_t i = 0; i < profile->count; i++) {
        struct site *site = &profile->sites[i];
        struct site *last = kept != 0 ? &profile->sites[kept - 1] : NULL;
        if (last == NULL || by_stack(last, site) != 0) {
            profile->sites[kept++] = *site;
            continue;
        }
        estimate_add(&last->value, &site->value);
        estimate_add(&last->allocated, &site->allocated);
        estimate_add(&last->freed, &site->freed);
        for (unsigned life = 0; life < LIVES; life++) {
            last->lives[life] += site->lives[life];
            last->ages[life] += site->ages[life];
        }
    }
    profile->count = kept;
    qsort(profile->sites, profile->count, sizeof *profile->sites, by_bytes);
}

void profile_take(struct profile *profile, struct session *session, enum profile_kind kind, enum profile_group group,
                  bool beside) {
    *profile = (struct profile){.session = session, .kind = kind, .group = group};
    if (!samples_read(&profile->samples, session)) {
        fail("%s: its library takes no samples, or they cannot be read", session->target.name);
    }
    if (is_of_stacks(kind) && group == GROUP_CLASS && !profile->samples.has_classes) {
        fail("%s: its library counts all that was allocated by call site only, not by class", session->target.name);
    }
    calls_open(&profile->calls, session);
    if (is_of_stacks(kind) || beside) {
        gather_stacks(profile);
    }
    if (kind != PROFILE_ALLOCATED) {
        const size_t stacks = profile->count;
        gather_samples(profile);
        for (size_t i = stacks; kind == PROFILE_LIFETIME && i < profile->count; i++) {
            profile->sites[i].value = (struct estimate){0}; /* its stack has counted it */
        }
    }
    if (profile->count != 0) {
        merge(profile);
    }
    for (size_t i = 0; i < profile->count; i++) {
        estimate_add(&profile->total, &profile->sites[i].value);
    }
}

void profile_free(struct profile *profile) {
    calls_close(&profile->calls);
    samples_free(&profile->samples);
    free(profile->sites);
}

char *profile_group_name(struct profile *profile, const struct site *site) {
    if (profile->group == GROUP_CLASS) {
        return site->group == GROUP_LARGE  ? copy_text("large blocks")
               : site->group == GROUP_HUGE ? copy_text("huge blocks")
               : site->group == 0          ? copy_text("blocks of a class that is not known")
                                           : make_text("blocks of up to %lu bytes", site->group);
    }
    for (size_t i = 0; profile->group == GROUP_THREAD && i < profile->samples.count; i++) {
        const struct sample_event *event = &profile->samples.all[i].allocated;
        if (event->thread == site->group) {
            return samples_thread(profile->session, event);
        }
    }
    return NULL;
}

static uint64_t longest_interval(const struct samples *samples) {
    uint64_t longest = samples->interval;
    for (size_t i = 0; i < samples->count; i++) {
        longest = larger(longest, samples->all[i].interval);
    }
    return longest;
}

/* --- The verb ----------------------------------------------------------------------------------------------------- */

static void print_total(const struct profile *profile) {
    const struct estimate *total = &profile->total;
    printf("%s +- %s in %.0f +- %.0f blocks, estimated from %lu samples", text_size((uint64_t)total->bytes),
           text_size((uint64_t)estimate_bar(total->bytes_variance, total->samples)), total->blocks,
           estimate_bar(total->blocks_variance, total->samples), total->samples);
}

static void print_head(const struct profile *profile) {
    static const char *const about[] = {
        [PROFILE_LIVE] = "live blocks",
        [PROFILE_PEAK] = "blocks that were live when the most was",
        [PROFILE_ALLOCATED] = "all blocks that have been allocated",
        [PROFILE_LIFETIME] = "lifetimes of all blocks that have been allocated",
        [PROFILE_RESIDENT] = "live blocks, as far as they are in memory",
    };
    const struct samples *samples = &profile->samples;
    char *title = session_title(profile->session);
    printf("%s\n%s: ", title, about[profile->kind]);
    free(title);
    if (profile->total.samples != 0) {
        print_total(profile);
    } else {
        printf("none of %lu samples", samples->taken);
    }
    if (samples->interval != 0) {
        const uint64_t shortest = profile_interval(profile);
        const uint64_t longest = longest_interval(samples);
        printf(", one in %s", text_size(shortest));
        if (longest > shortest) {
            printf(" to %s", text_size(longest)); /* a small heap, a fast thread, or another option before */
        }
    }
    putchar('\n');
    if (profile->kind == PROFILE_PEAK && samples->now_ms >= samples->peak_ms) {
        printf("that was %s ago\n", text_age((samples->now_ms - samples->peak_ms) / 1000));
    }
    putchar('\n');
}

/* Notes for readers of the numbers. */
static void print_notes(const struct profile *profile) {
    const struct samples *samples = &profile->samples;
    if (profile->total.samples != 0) {
        printf("\n+-: the true number lies so far from it at most, with 95 %%\n");
    }
    if (samples->interval == 0) {
        printf("sampling is off: blocks allocated since are not seen\n");
    }
    if (samples->held_before > samples->interval) {
        printf("the heap held %s when sampling began: what was allocated before is not seen\n",
               text_size(samples->held_before));
    }
    if (samples->cut != 0) {
        printf("%lu of %lu samples have a stack that was cut short%s\n", samples->cut, samples->taken,
               samples->frame_pointers ? ": the library finds frames by frame pointers here" : "");
    }
    if (samples->missed != 0) {
        printf("%lu samples could not be taken: what they stand for is missing\n", samples->missed);
    }
    if (samples->beyond != 0) {
        printf("%lu samples found no room for their stacks: they are shown without\n", samples->beyond);
    }
}

static void write_form(struct profile *profile, enum profile_form form) {
    switch (form) {
    case FORM_PPROF:
        profile_pprof(profile);
        return;
    case FORM_HEAP_V2:
        profile_heap_v2(profile);
        return;
    case FORM_COLLAPSED:
        profile_collapsed(profile);
        return;
    case FORM_JSON:
        profile_json(profile);
        return;
    case FORM_HTML:
        profile_html(profile);
        return;
    case FORM_SPEEDSCOPE:
        profile_speedscope(profile);
        return;
    case FORM_FLAME:
        profile_flame_json(profile);
        return;
    default:
        break;
    }
    print_head(profile);
    if (profile->total.samples == 0) {
        /* A table without rows tells nothing. */
    } else if (profile->kind == PROFILE_LIFETIME) {
        profile_lifetimes(profile);
    } else if (form == FORM_FLAT) {
        profile_flat(profile);
    } else {
        profile_tree(profile, form == FORM_INVERTED);
    }
    print_notes(profile);
}

/* Options that have no place in a format are refused, not ignored. */
static void check_arguments(const struct arguments *arguments) {
    const enum profile_form form = arguments->json ? FORM_JSON : arguments->form;
    const char *kind = profile_kind_name(arguments->kind);
    const bool of_stacks = is_of_stacks(arguments->kind);
    const bool is_table = form <= FORM_INVERTED || form == FORM_JSON;
    if (of_stacks && arguments->group == GROUP_THREAD) {
        fail("--%s is counted by call site and class, not by thread", kind);
    }
    if ((form == FORM_PPROF || form == FORM_HEAP_V2) && of_stacks) {
        fail("this format has allocated and live memory side by side: leave --%s out", kind);
    }
    if (arguments->kind == PROFILE_LIFETIME && !is_table) {
        fail("this format has no lifetimes: --lifetime is shown as text or JSON");
    }
    if (form == FORM_HEAP_V2 && arguments->group != GROUP_NONE) {
        fail("heap_v2 has no threads and classes: leave --thread or --class out");
    }
    if (arguments->has_rows && !is_table) {
        fail("this format has all call sites: --rows shortens text and JSON");
    }
}

static void tell_none(const struct samples *samples, const char *target) {
    if (samples->interval == 0) {
        warn("%s: no samples have been taken; `mems set PID sample=2m` starts it in a running process", target);
    } else if (samples->held_before == 0 && samples->begins_at != 0) {
        warn("%s: no samples have been taken yet: they begin when the heap holds %s; `mems set PID sample=64k` makes "
             "them "
             "begin earlier",
             target, text_size(samples->begins_at));
    } else {
        warn("%s: no samples have been taken yet", target);
    }
}

int verb_profile(const struct arguments *arguments) {
    struct session session;
    struct profile profile;
    check_arguments(arguments);
    session_open(&session, arguments->words[0], true);
    if (!session.has_engine) {
        fail("%s: only the engine of libmems takes samples", arguments->words[0]);
    }
    profile_take(&profile, &session, arguments->kind, arguments->group,
                 arguments->form == FORM_PPROF || arguments->form == FORM_HEAP_V2);
    profile.most = arguments->rows;
    const bool any = profile.samples.taken != 0;
    if (!any) {
        tell_none(&profile.samples, arguments->words[0]);
    }
    const enum profile_form form = arguments->json ? FORM_JSON : arguments->form;
    if (any || form > FORM_INVERTED) { /* an empty table would tell nothing more; other forms are whole documents */
        write_form(&profile, form);
    }
    profile_free(&profile);
    session_close(&session);
    return any ? EXIT_FINE : EXIT_TROUBLE;
}
