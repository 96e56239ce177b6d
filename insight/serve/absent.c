/* absent.c - `mems serve` in builds without libmicrohttpd. */
#include "support/support.h"
#include "verbs.h"

int verb_serve(const struct arguments *arguments) {
    (void)arguments;
    fail("this mems was built without libmicrohttpd and cannot serve: install libmicrohttpd-dev and build it again");
}
