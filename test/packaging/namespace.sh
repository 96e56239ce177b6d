#!/bin/sh
# Programs and the private names of an archive: one that uses all of them for its own variables, one that has both
# heaps, and a C++ program that replaces only operator new.
. "$SOURCE_DIR/test/support/script.sh"
: "${CXX:=c++}"

# $work/names.c defines each global name of the archive that is not public, as in the sources, as a variable.
collect_names() {
    sed -e 's/[[:space:]]*#.*//' -e '/^$/d' "$SOURCE_DIR"/docs/symbols*.txt >"$work/public"
    nm -g --defined-only "$1" | awk 'NF == 3 && $3 !~ /[.]/ { print $3 }' | grep -vxFf "$work/public" |
        sed 's/^\(mems\|hmm\)__//' | sort -u >"$work/private"
    [ "$(wc -l <"$work/private")" -ge 50 ] || fail "$1: hardly a private name"
    {
        sed 's/.*/int & = 1;/' "$work/private"
        echo "int *const names[] = {"
        sed 's/.*/\&&,/' "$work/private"
        echo "}; const unsigned name_count = sizeof names / sizeof *names;"
    } >"$work/names.c"
}

cat >"$work/main.c" <<'END_C'
#include <pthread.h>
#include <stdlib.h>
extern int *const names[];
extern const unsigned name_count;
static void *use_heap(void *unused) {
    for (size_t size = 1; size < 40 << 20; size *= 3) {
        volatile char *block = realloc(calloc(1, size), 2 * size);
        block[0] = 1;
        free((void *)block);
    }
    return unused;
}
int main(int count, char **arguments) {
    (void)arguments;
    pthread_t thread;
    use_heap(NULL);
    if (pthread_create(&thread, NULL, use_heap, NULL) != 0 || pthread_join(thread, NULL) != 0) {
        return 2;
    }
    for (unsigned i = 0; i < name_count; i++) {
        if ((*names[i])++ != 1) {
            return 3;
        }
    }
    use_heap(NULL);
    void *volatile block = malloc(40);
    free(block);
    if (count > 1) {
        free(block);
    }
    return 0;
}
END_C

# uses_names ARCHIVE NAME REPORT
uses_names() {
    collect_names "$1"
    for link in -static -pie; do
        "$CC" -fno-builtin "$link" -o "$work/program" "$work/main.c" "$work/names.c" -L"${1%/*}" -Wl,--undefined=malloc \
            -l":$2" -pthread || fail "$2: does not link with a program that has its private names"
        "$work/program" || fail "$2: $link: exit status $?"
        status=0
        ("$work/program" twice) 2>"$work/err" || status=$?
        [ $status -eq 134 ] || fail "$2: a double free ends with $status"
        grep -Eqx "mems: free\(0x[0-9a-f]+\): double free: $3 \[thread [0-9]+\]" "$work/err" ||
            fail "$2: $(cat "$work/err")"
    done
}
uses_names "$LIBMEMS_STATIC" libmems.a 'slot [0-9]+ of a 48-byte slab, cached'
uses_names "$LIBHMM_STATIC" libhmm.a 'a cached block of 40 bytes'

# malloc is that of the first archive; each other heap is that of its header.
cat >"$work/both.c" <<'END_C'
#include <stdlib.h>
#include <string.h>
#include "hmm.h"
#include "mems.h"
static struct mems_engine_stats engine;
int main(void) {
    char *block = malloc(1 << 20);
    char *hmm = HmmAlloc(1000);
    void *mems = mems_malloc(3000);
    if (block == NULL || hmm == NULL || mems == NULL || mems_get(mems) == NULL) {
        return 1;
    }
    memset(block, 1, 1 << 20);
    memset(hmm, 2, 1000);
    memset(mems_get(mems), 3, 3000);
    struct HmmStats stats;
    HmmStats(&stats);
    if (stats.used_blocks != 1 || stats.used < 1000) {
        return 2;
    }
    mems_engine_stats(&engine);
    if (engine.large_blocks != 1 || engine.large_bytes < 1 << 20) {
        return 3;
    }
    if (block[0] != 1 || hmm[999] != 2 || *(char *)mems_get(mems) != 3) {
        return 4;
    }
    free(block);
    HmmFree(hmm);
    mems_free(mems);
    HmmStats(&stats);
    mems_engine_stats(&engine);
    return stats.used_blocks != 0 || engine.large_blocks != 0 || mems_get(mems) != NULL;
}
END_C
"$CC" -fno-builtin -static -I"$SOURCE_DIR/include" -o "$work/both" "$work/both.c" "$LIBMEMS_STATIC" "$LIBHMM_STATIC" \
    -pthread || fail "a program does not link with both archives"
"$work/both" || fail "both archives: exit status $?"

command -v "$CXX" >/dev/null || exit 0
cat >"$work/new.cpp" <<'END_C'
#include <cstdlib>
#include <new>
#include <string>
static int made;
void *operator new(std::size_t size) {
    made++;
    return std::malloc(size);
}
int main() {
    int *volatile number = new int(7);
    std::string *volatile text = new std::string(100, 'x');
    bool right = made == 3 && *number == 7 && text->size() == 100;
    delete number;
    delete text;
    return !right;
}
END_C
# has_linker NAME
has_linker() {
    echo 'int main(void) { return 0; }' >"$work/empty.c"
    "$CC" "-fuse-ld=$1" -o "$work/empty" "$work/empty.c" 2>"$work/err"
}

# links_with LINKER: libstdc++ brings objects with probes.
links_with() {
    for archive in "$LIBMEMS_STATIC" "$LIBHMM_STATIC"; do
        "$CXX" "-fuse-ld=$1" -static -o "$work/new" "$work/new.o" -Wl,--undefined=malloc "$archive" -pthread ||
            fail "$archive: $1 does not link it with a program that replaces operator new"
        "$work/new" || fail "$archive: $1: operator new is not the program's"
    done
}
"$CXX" -O0 -fno-builtin -c -o "$work/new.o" "$work/new.cpp"
for linker in bfd gold lld; do
    if has_linker $linker; then
        links_with $linker
    fi
done
