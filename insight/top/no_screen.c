/*
 * no_screen.c - `mems top` built without ncurses.
 */
#include "support/support.h"
#include "top/top.h"

int screen_run(const char *name, double interval, const char *sort, const char *filter) {
    (void)name;
    (void)interval;
    (void)sort;
    (void)filter;
    fail("top: this mems was built without ncurses: --batch prints tables, --json one look");
}
