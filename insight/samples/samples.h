/*
 * samples.h - the target's samples: blocks, who allocated and freed them, and the stacks of all samples ever taken.
 *
 * A sample taken with probability p stands for w = 1 / p blocks. Sums of estimates have a variance, the sum of w * (w -
 * 1) * x * x, which is reported with every number.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walk/session.h"

#define FRAMES_MAX 64u
#define LIVES 16u

/* An estimate of blocks and bytes. */
struct estimate {
    uint64_t samples;
    double blocks;
    double bytes;
    double blocks_variance;
    double bytes_variance;
};

void estimate_add(struct estimate *sum, const struct estimate *other);

/* For one sample. `bytes` may be less than its size. */
struct estimate estimate_of(double weight, double bytes);

/* The standard error for this variance, and half the width of the interval that has the true value with 95 %. The
 * number of samples is nearly a Poisson variable: where it is small, the square root of its variance is too low an
 * estimate of the deviation, and one sample more makes up for that. */
double estimate_deviation(double variance, uint64_t samples);
double estimate_bar(double variance, uint64_t samples);

struct stack_sums {
    struct estimate allocated;
    struct estimate freed;
    double lives[LIVES]; /* of the freed ones: blocks that lived less than 4^i ms, and the rest in the last */
};

struct call_stack {
    uint64_t address;
    unsigned depth;
    bool cut;
    uint64_t frames[FRAMES_MAX]; /* return addresses, the innermost first */
    struct stack_sums sums;      /* of all classes */
};

/* The library's counts of a stack's blocks of one class. */
struct stack_part {
    uint64_t address;
    uint64_t size_class; /* its number, or one of the constants STACK_LARGE and STACK_HUGE */
    const struct call_stack *stack;
    struct stack_sums sums;
};

struct sample_event {
    uint64_t stack; /* address; 0: not known */
    uint64_t ms;
    uint64_t thread; /* its number; 0: it had no heap */
    uint64_t pointer;
    const struct call_stack *calls; /* NULL: not known */
};

struct sample {
    uint64_t number;
    bool live;
    bool died; /* dead, and live at the peak */
    uint64_t kind;
    uint64_t start;
    uint64_t size;
    uint64_t interval;
    double weight;
    struct sample_event allocated;
    struct sample_event freed; /* of a dead one */
};

struct samples {
    uint64_t interval;    /* 0: none are taken at this moment */
    uint64_t held_before; /* bytes that the heap held when sampling began; 0: it has not */
    uint64_t begins_at;   /* the heap's bytes at which sampling begins */
    uint64_t now_ms;      /* by the clock of their times */
    uint64_t taken, missed, cut, beyond, unguarded;
    bool frame_pointers; /* stacks are walked by these */
    uint64_t peak_number, peak_ms;
    double peak_bytes;
    struct estimate allocated, freed;
    struct sample *all; /* live ones, and dead ones that are remembered */
    size_t count;
    struct call_stack *stacks; /* ascending by address */
    size_t stack_count;
    bool has_classes;         /* the library keeps stacks by class */
    struct stack_part *parts; /* ascending by address */
    size_t part_count;
};

/* False if the library takes no samples, or they cannot be read. */
bool samples_read(struct samples *samples, struct session *session);
void samples_free(struct samples *samples);

/* Whether any have been taken. */
bool samples_any(struct session *session);

/* The newest sample with the address in its block, page or guard; or NULL. */
const struct sample *samples_find(const struct samples *samples, uint64_t address);

/* "thread 4711", or that it has ended. The caller frees it. */
char *samples_thread(struct session *session, const struct sample_event *event);
