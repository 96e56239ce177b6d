#include "samples/pinned.h"

#include <stdio.h>
#include <stdlib.h>

#include "samples/profile.h"
#include "support/sorted.h"
#include "support/support.h"
#include "support/text.h"

/* A class counts if this many bytes, and this part of it, are resident beyond its live blocks. */
#define LOST_MIN ((uint64_t)64 << 10)
#define LOST_SHARE 8u

/* The maximum of rows, and of functions per row. */
#define ROWS_MOST 10u
#define PLACES_TOLD 3u

struct pin {
    const struct call_stack *stack;
    double bytes;
    double variance;
    uint64_t samples;
};

struct pins {
    struct profile profile; /* by class */
    struct pin *pins;       /* the largest first */
    size_t count;
};

static int by_pinned(const void *a, const void *b) {
    const struct pin *left = a;
    const struct pin *right = b;
    return left->bytes > right->bytes ? -1 : left->bytes < right->bytes;
}

static uint64_t lost_of(const struct account *account, const struct engine *engine, unsigned size_class) {
    const struct class_account *of = &account->classes[size_class];
    const uint64_t live = of->slots[STATE_LIVE] * engine->classes[size_class].size;
    const uint64_t lost = of->resident > live ? of->resident - live : 0;
    return lost >= LOST_MIN && lost >= of->resident / LOST_SHARE ? lost : 0;
}

static void add_pin(struct pins *pins, const struct site *site, double lost, double all) {
    const double part = lost / all;
    for (size_t i = 0; i < pins->count; i++) {
        if (pins->pins[i].stack == site->stack) {
            pins->pins[i].bytes += part * site->value.blocks;
            pins->pins[i].variance += part * part * site->value.blocks_variance;
            pins->pins[i].samples += site->value.samples;
            return;
        }
    }
    pins->pins = grow(pins->pins, pins->count, sizeof *pins->pins);
    pins->pins[pins->count++] = (struct pin){.stack = site->stack,
                                             .bytes = part * site->value.blocks,
                                             .variance = part * part * site->value.blocks_variance,
                                             .samples = site->value.samples};
}

static void add_class(struct pins *pins, uint64_t size, uint64_t lost) {
    const struct profile *profile = &pins->profile;
    double all = 0;
    for (size_t i = 0; i < profile->count; i++) {
        all += profile->sites[i].group == size ? profile->sites[i].value.blocks : 0;
    }
    for (size_t i = 0; i < profile->count && all > 0; i++) {
        if (profile->sites[i].group == size) {
            add_pin(pins, &profile->sites[i], (double)lost, all);
        }
    }
}

/* False when the target takes no samples. */
static bool take(struct pins *pins, struct session *session, const struct account *account) {
    *pins = (struct pins){0};
    if (!samples_any(session)) {
        return false;
    }
    profile_take(&pins->profile, session, PROFILE_LIVE, GROUP_CLASS, false);
    for (unsigned size_class = 0; size_class < session->engine.class_count; size_class++) {
        uint64_t lost = lost_of(account, &session->engine, size_class);
        if (lost != 0) {
            add_class(pins, session->engine.classes[size_class].size, lost);
        }
    }
    sort_by(pins->pins, pins->count, sizeof *pins->pins, by_pinned);
    return true;
}

static void drop(struct pins *pins) {
    profile_free(&pins->profile);
    free(pins->pins);
}

/* "function file.c:1 < caller file.c:2 < ..." */
static void print_places(struct calls *calls, const struct call_stack *stack) {
    size_t count;
    struct stack_place *places = calls_places(calls, stack, &count);
    for (size_t i = 0; i < count && i < PLACES_TOLD; i++) {
        char *text = place_text(places[i].code);
        printf("%s%s", i != 0 ? " < " : "", text);
        free(text);
    }
    printf("%s\n", count != 0 ? "" : "(no stack is known)");
    free(places);
}

void pinned_print(struct session *session, const struct account *account) {
    struct pins pins;
    if (!take(&pins, session, account)) {
        return;
    }
    if (pins.count != 0) {
        printf("\n%spinned by: call sites whose live blocks hold slabs' memory, inferred from samples of these "
               "classes%s\n",
               colour(COLOUR_BOLD), colour_off());
    }
    for (size_t i = 0; i < pins.count && i < ROWS_MOST; i++) {
        printf("%11s +- %-10s  ", text_size((uint64_t)pins.pins[i].bytes),
               text_size((uint64_t)estimate_bar(pins.pins[i].variance, pins.pins[i].samples)));
        print_places(&pins.profile.calls, pins.pins[i].stack);
    }
    drop(&pins);
}

json_t *pinned_json(struct session *session, const struct account *account) {
    struct pins pins;
    json_t *array = json_array();
    if (!take(&pins, session, account)) {
        return array;
    }
    for (size_t i = 0; i < pins.count && i < ROWS_MOST; i++) {
        const struct pin *pin = &pins.pins[i];
        json_array_append_new(array, json_pack("{s:f, s:f, s:I, s:o}", "bytes", pin->bytes, "bytes_stderr",
                                               estimate_deviation(pin->variance, pin->samples), "samples",
                                               (json_int_t)pin->samples, "frames",
                                               profile_stack_json(&pins.profile.calls, pin->stack)));
    }
    drop(&pins);
    return array;
}
