/* save.c - `mems save`: a heap without its users' bytes, in a file that every verb reads. */
#include <stdlib.h>

#include "account/account.h"
#include "check/check.h"
#include "samples/samples.h"
#include "support/support.h"
#include "target/saved.h"
#include "verbs.h"
#include "walk/session.h"

/* Reads, and so records, everything that the verbs read. */
static void read_all(struct session *session) {
    struct account account;
    target_read_mappings(&session->target);
    account_take(&account, &session->target, &session->layouts, session->has_engine ? &session->engine : NULL);
    account_free(&account);
    check_read(session);
    struct samples samples;
    if (samples_read(&samples, session)) {
        samples_free(&samples);
    }
}

int verb_save(const struct arguments *arguments) {
    struct session session;
    struct record record = {0};
    session_open_to_save(&session, arguments->words[0], &record);
    target_read_threads(&session.target);
    read_all(&session);
    saved_write(&session.target, session_now(&session), arguments->words[1]);
    free(record.pieces);
    free(record.runs);
    session_close(&session);
    return EXIT_FINE;
}
