#include "profile.h"

#include <errno.h>
#include <stdint.h>

#include "base/exponential.h"
#include "base/fmt.h"
#include "engine/root/engine_options.h"
#include "engine/samples/sample.h"
#include "os/message.h"
#include "os/os.h"
#include "stats_report.h"

/* Written at once; and the longest line: numbers, and addresses of up to 18 characters. */
#define TEXT_SIZE 4096u
#define LINE_MAX (128u + STACK_DEPTH * 19u)

struct writer {
    int fd;
    struct fmt out;
    char text[TEXT_SIZE];
};

static void write_stack(struct writer *writer, const struct stack *stack) {
    for (unsigned i = 0; stack != NULL && i < stack->depth; i++) {
        fmt_format(&writer->out, " %x", (uint64_t)stack->frames[i]);
    }
    fmt_char(&writer->out, '\n');
    if (writer->out.capacity - writer->out.length <= LINE_MAX) {
        fmt_flush(&writer->out, writer->fd);
    }
}

static bool is_of(const struct sample *sample, enum profile_kind kind) {
    const uint32_t state = atomic_load_explicit(&sample->state, memory_order_relaxed);
    const bool live = state == SAMPLE_LIVE || state == SAMPLE_CLAIMED;
    return kind == PROFILE_PEAK
               ? sample->number <= samples.peak_number && (live || (state == SAMPLE_DEAD && sample->died))
               : live;
}

struct part {
    uint64_t size;
    uint64_t interval;
    const struct stack *stack;
};

static bool take_part(const struct sample *sample, enum profile_kind kind, struct part *part) {
    lock_take(&samples.lock);
    const bool wanted = is_of(sample, kind);
    *part = (struct part){sample->size, sample->interval, sample->allocated.stack};
    lock_give(&samples.lock);
    return wanted;
}

/* Chunks are never freed. */
static const struct sample_chunk *first_chunk(void) {
    lock_take(&samples.lock);
    const struct sample_chunk *chunk = samples.chunks;
    lock_give(&samples.lock);
    return chunk;
}

/* The smallest interval of the samples written, or the one set now. */
static uint64_t interval_of(enum profile_kind kind) {
    const uint64_t set = atomic_load_explicit(&samples.interval, memory_order_relaxed);
    uint64_t interval = set != 0 ? set : UINT64_MAX;
    for (const struct sample_chunk *chunk = first_chunk(); chunk != NULL; chunk = chunk->next) {
        for (unsigned i = 0; i < SAMPLES_IN_CHUNK; i++) {
            struct part part;
            if (take_part(&chunk->samples[i], kind, &part) && part.interval < interval) {
                interval = part.interval;
            }
        }
    }
    return interval != UINT64_MAX ? interval : 1;
}

/* How many samples with that interval this one stands for. */
static double count_of(const struct part *part, uint64_t interval) {
    const uint64_t size = part->size != 0 ? part->size : 1;
    return exponential_share(size, interval) / exponential_share(size, part->interval);
}

/* A line has a whole number of samples; the next gets the rest. */
static void write_samples(struct writer *writer, enum profile_kind kind, uint64_t interval) {
    double rest = 0;
    for (const struct sample_chunk *chunk = first_chunk(); chunk != NULL; chunk = chunk->next) {
        for (unsigned i = 0; i < SAMPLES_IN_CHUNK; i++) {
            struct part part;
            if (take_part(&chunk->samples[i], kind, &part)) {
                const double exact = rest + count_of(&part, interval);
                const uint64_t count = (uint64_t)exact;
                rest = exact - (double)count;
                fmt_format(&writer->out, "%u: %u [%u: %u] @", count, count * part.size, count, count * part.size);
                write_stack(writer, part.stack);
            }
        }
    }
}

static uint64_t rounded(double value) {
    return (uint64_t)(value + 0.5);
}

/* A stack's freed blocks. Readers take the numbers as raw samples and scale them by the probability of their mean size,
 * so we write numbers that this turns into our estimate. */
static void write_freed(struct writer *writer, const struct stack *stack, uint64_t interval) {
    lock_take(&samples.lock);
    const struct stack_sums freed = stack->freed;
    lock_give(&samples.lock);
    if (freed.samples == 0) {
        return;
    }
    const uint64_t mean = rounded(freed.bytes / freed.blocks);
    const double share = exponential_share(mean != 0 ? mean : 1, interval);
    const uint64_t blocks = rounded(freed.blocks * share);
    fmt_format(&writer->out, "0: 0 [%u: %u] @", blocks != 0 ? blocks : 1, rounded(freed.bytes * share));
    write_stack(writer, stack);
}

static void write_stacks(struct writer *writer, uint64_t interval) {
    for (unsigned bucket = 0; bucket < STACK_BUCKETS; bucket++) {
        lock_take(&samples.lock);
        const struct stack *stack = stack_table.buckets[bucket];
        lock_give(&samples.lock);
        for (; stack != NULL; stack = stack->next) {
            write_freed(writer, stack, interval);
        }
    }
    write_freed(writer, &stack_table.other, interval);
}

static void write_head(struct writer *writer, uint64_t interval) {
    lock_take(&samples.lock);
    const uint64_t live = samples.live;
    const uint64_t all = samples.allocated.samples;
    const uint64_t live_bytes = rounded(samples.live_bytes);
    const uint64_t all_bytes = rounded(samples.allocated.bytes);
    lock_give(&samples.lock);
    fmt_format(&writer->out, "heap profile: %u: %u [%u: %u] @ heap_v2/%u\n", live, live_bytes, all, all_bytes,
               interval);
}

void profile_write(int fd, enum profile_kind kind) {
    struct writer writer = {.fd = fd};
    const uint64_t interval = interval_of(kind);
    writer.out = fmt_of(writer.text, sizeof writer.text);
    write_head(&writer, interval);
    write_samples(&writer, kind, interval);
    write_stacks(&writer, interval);
    fmt_text(&writer.out, "\nMAPPED_LIBRARIES:\n");
    fmt_flush(&writer.out, fd);
    os_copy_text("/proc/self/maps", fd);
}

void profile_write_at_exit(const struct options *options) {
    if (options->profile_file[0] == '\0') {
        return;
    }
    char text[OPTIONS_PATH_MAX + 64];
    int fd;
    struct fmt path = fmt_of(text, sizeof text);
    stats_report_path(&path, options->profile_file);
    const int error = path.full ? ENAMETOOLONG : os_open_new(text, &fd);
    if (error != 0) {
        struct message message;
        message_begin(&message);
        fmt_format(&message.line, "mems: profile_file=%s cannot be opened (error %u)", text, (uint64_t)error);
        message_tell(&message, stats_report_standard_error());
        return;
    }
    profile_write(fd, PROFILE_LIVE);
    os_close(fd);
}
