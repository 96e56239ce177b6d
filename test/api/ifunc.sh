#!/bin/sh
# The resolver of a program's IFUNC allocates while the loader relocates the program, before thread-local variables have
# their initial values. The blocks stay the program's, and its thread has one heap.
. "$SOURCE_DIR/test/support/script.sh"

cat >"$work/program.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS 500
static char *blocks[BLOCKS];

static int answer(void) {
    return 42;
}

static size_t size_of(int i) {
    return (size_t)i * i + 1; /* up to 250,000: small, medium and large blocks */
}

static int (*choose(void))(void) {
    for (int i = 0; i < BLOCKS; i++) {
        free(malloc(100));
        blocks[i] = malloc(size_of(i));
        memset(blocks[i], i, size_of(i));
    }
    return answer;
}

__attribute__((ifunc("choose"))) int chosen(void);

int main(void) {
    int wrong = chosen() != 42;
    for (int i = 0; i < BLOCKS; i++) {
        char *other = malloc(size_of(i));
        for (size_t k = 0; k < size_of(i); k++) {
            wrong += blocks[i][k] != (char)i;
        }
        memset(other, 1, size_of(i));
        free(blocks[i]);
        free(other);
    }
    return wrong != 0;
}
END
"$CC" -O1 -fno-builtin -o "$work/program" "$work/program.c" 2>"$work/messages" || {
    echo "skipped: no IFUNCs here"
    exit 77
}
for binding in lazy now; do
    "$CC" -O1 -fno-builtin -Wl,-z,$binding -o "$work/program" "$work/program.c"
    "$work/program" || fail "the program alone, $binding: exit status $?"
    LD_PRELOAD=$LIBRARY MEMS_OPTIONS=stats=json "$work/program" 2>"$work/stats" ||
        fail "an IFUNC's resolver that allocates, $binding: exit status $?"
    case $LIBRARY in
    *libmems*) grep -q '"heaps_made":1,' "$work/stats" || fail "$binding: the thread has more than one heap" ;;
    esac
done
