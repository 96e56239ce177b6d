/*
 * whatis.c - `mems whatis`: what an address is.
 */
#include "whatis/whatis.h"

#include "support/json.h"
#include "support/support.h"
#include "verbs.h"
#include "whatis/answer.h"

static void tell(struct session *session, struct origins *origins, uint64_t address) {
    struct answer answer;
    answer_find(session, origins, address, &answer);
    answer_print(origins, &answer);
    answer_free(&answer);
}

void whatis_tell(struct session *session, uint64_t address) {
    struct origins origins = {.session = session};
    tell(session, &origins, address);
    origins_close(&origins);
}

int verb_whatis(const struct arguments *arguments) {
    struct session session;
    struct origins origins = {.session = &session};
    json_t *answers = json_array();
    const size_t count = arguments->word_count - 1;
    const char *name = arguments->words[count];
    for (size_t i = 0; i < count; i++) {
        uint64_t address;
        if (!parse_number(arguments->words[i], &address)) {
            fail("%s: not an address: give it as 0x... or in decimal", arguments->words[i]);
        }
    }
    session_open(&session, name, true);
    for (size_t i = 0; i < count; i++) {
        uint64_t address;
        struct answer answer;
        parse_number(arguments->words[i], &address);
        if (!arguments->json) {
            tell(&session, &origins, address);
            continue;
        }
        answer_find(&session, &origins, address, &answer);
        json_array_append_new(answers, answer_json(&origins, &answer));
        answer_free(&answer);
    }
    origins_close(&origins);
    if (arguments->json) {
        print_json(json_pack("{s:o, s:O}", "target", session_json(&session), "answers", answers));
    }
    json_decref(answers);
    session_close(&session);
    return EXIT_FINE;
}
