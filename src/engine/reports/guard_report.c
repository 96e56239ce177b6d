#include "guard_report.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>

#include "engine/samples/sample.h"
#include "os/message.h"
#include "sample_report.h"

static const int signals[] = {SIGSEGV, SIGBUS};
#define SIGNALS (sizeof signals / sizeof *signals)

/* The previous actions; written before the handler is installed. */
static struct sigaction before[SIGNALS];
static bool installed;

static void explain(const void *address) {
    const struct sample *sample = sample_around(address);
    if (sample == NULL) {
        return;
    }
    const uintptr_t at = (uintptr_t)address;
    const uintptr_t end = sample->start + sample->size;
    const bool live = sample_is_live(sample);
    struct message message;
    message_begin(&message);
    fmt_format(&message.line, "mems: fault at %p: ", address);
    if (at >= end) {
        fmt_format(&message.line, "%u bytes behind the end", (uint64_t)(at - end));
    } else if (at >= sample->start) {
        fmt_format(&message.line, "at byte %u", (uint64_t)(at - sample->start));
    } else {
        fmt_format(&message.line, "%u bytes before the start", (uint64_t)(sample->start - at));
    }
    fmt_format(&message.line, " of a block of %u bytes at %p, which is %s", (uint64_t)sample->size,
               (const void *)sample->start, live ? "live" : "freed");
    message_tell(&message, 2);
    sample_tell(sample);
}

static void handle(int number, siginfo_t *info, void *context) {
    const int saved = errno;
    const struct sigaction *next = &before[number == SIGBUS];
    if (info->si_code > 0) {
        explain(info->si_addr);
    }
    errno = saved;
    if ((next->sa_flags & SA_SIGINFO) != 0) {
        next->sa_sigaction(number, info, context);
    } else if (next->sa_handler != SIG_DFL && next->sa_handler != SIG_IGN) {
        next->sa_handler(number);
    } else {
        sigaction(number, next, NULL);
    }
}

void guard_report_enable(bool enable) {
    if (enable == installed) {
        return;
    }
    installed = enable;
    for (unsigned i = 0; i < SIGNALS; i++) {
        struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
        struct sigaction current;
        sigemptyset(&action.sa_mask);
        if (enable) {
            if (sigaction(signals[i], NULL, &before[i]) == 0) {
                sigaction(signals[i], &action, NULL);
            }
        } else if (sigaction(signals[i], NULL, &current) == 0 && current.sa_sigaction == handle) {
            sigaction(signals[i], &before[i], NULL);
        }
    }
}
