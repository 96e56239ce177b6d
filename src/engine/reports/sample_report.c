#include "sample_report.h"

#include "engine/root/root.h"
#include "engine/samples/sample.h"
#include "engine/tables/page_map.h"
#include "os/message.h"
#include "os/os.h"

/* As many frames as fit into a line. */
#define FRAMES_TOLD 16u

static void tell_event(const char *what, const struct sample_event *event) {
    struct message message;
    message_begin(&message);
    fmt_format(&message.line, "mems: %s by thread %u (%p):", what, event->thread, (const void *)event->pointer);
    for (unsigned i = 0; event->stack != NULL && i < event->stack->depth && i < FRAMES_TOLD; i++) {
        fmt_format(&message.line, " %x", (uint64_t)event->stack->frames[i]);
    }
    message_tell(&message, 2);
}

const struct sample *sample_around(const void *address) {
    if (!root_ready()) {
        return NULL;
    }
    if (page_map_holds(address) && page_map_load(window_unit(address)) == UNIT_SAMPLES) {
        return sample_at(address);
    }
    for (const struct sample_chunk *chunk = samples.chunks; chunk != NULL; chunk = chunk->next) {
        for (unsigned i = 0; i < SAMPLES_IN_CHUNK; i++) {
            const struct sample *sample = &chunk->samples[i];
            if (sample_is_live(sample) && sample->kind != SAMPLE_SMALL &&
                (uintptr_t)address - sample->start < sample->size + 2 * os_page_size()) {
                return sample;
            }
        }
    }
    return NULL;
}

void sample_tell(const struct sample *sample) {
    tell_event("allocated", &sample->allocated);
    if (!sample_is_live(sample) && sample->freed.pointer != 0) {
        tell_event("freed", &sample->freed);
    }
}

void sample_tell_around(const void *address) {
    const struct sample *sample = sample_around(address);
    if (sample != NULL) {
        sample_tell(sample);
    }
}
