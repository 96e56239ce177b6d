#!/bin/sh
# The MeMS heap on systems with pages of 16 and 64 KiB: the default space uses those, and everything else works as well.
# The system is made to report such pages.
. "$SOURCE_DIR/test/support/script.sh"

cat >"$work/page.c" <<'END_OF_SOURCE'
#include <dlfcn.h>
#include <sys/auxv.h>

unsigned long getauxval(unsigned long type) {
    unsigned long (*real)(unsigned long) = (unsigned long (*)(unsigned long))dlsym(RTLD_NEXT, "getauxval");
    return type == AT_PAGESZ ? SYSTEM_PAGE : real(type);
}
END_OF_SOURCE
cat >"$work/program.c" <<'END_OF_SOURCE'
#include <mems.h>
#include <string.h>

static void *blocks[2000];

static int use(struct mems_space *space) {
    struct mems_stats stats;
    for (size_t i = 0; i < 2000; i++) {
        size_t size = 1 + i * 37 % 5000;
        blocks[i] = mems_space_malloc(space, size);
        if (blocks[i] == NULL) {
            return 1;
        }
        memset(mems_space_get(space, blocks[i]), (int)i, size);
    }
    for (size_t i = 0; i < 2000; i++) {
        if (i % 4 != 0) {
            mems_space_free(space, blocks[i]);
        }
    }
    mems_space_trim(space);
    while (mems_space_compact(space, 0) > 0) {
    }
    for (size_t i = 0; i < 2000; i += 4) {
        if (*(unsigned char *)mems_space_get(space, blocks[i]) != i % 256) {
            return 2;
        }
    }
    mems_space_stats(space, &stats);
    printf("%zu %d\n", stats.page_size, stats.pages * stats.page_size < 6 * stats.process_bytes);
    mems_space_destroy(space);
    return 0;
}

int main(void) {
    if (mems_malloc(1) != (void *)1000) {
        return 3;
    }
    mems_print_stats();
    int failed = use(mems_space_create(NULL));
    return failed != 0 ? failed : use(mems_space_create(&(struct mems_space_options){.movable = MEMS_MOVABLE}));
}
END_OF_SOURCE

"$CC" -std=c17 -D_GNU_SOURCE -Wall -I"$SOURCE_DIR/include" -o "$work/program" "$work/program.c" "$LIBMEMS" \
    -Wl,-rpath,"$(dirname "$LIBMEMS")"
for page in 16384 65536; do
    "$CC" -std=c17 -D_GNU_SOURCE -shared -fPIC "-DSYSTEM_PAGE=$page" -o "$work/page.so" "$work/page.c" -ldl
    said=$(LD_PRELOAD=$work/page.so "$work/program") || {
        echo "with pages of $page: exit status $?"
        exit 1
    }
    expected="----- MeMS SYSTEM STATS -----
MAIN[1000:$((999 + page))]-> P[1000:1007] <-> H[1008:$((999 + page))] <-> NULL
Pages used:	1
Space unused:	$((page - 8))
Main Chain Length:	1
Sub-chain Length array: [2, ]
-----------------------------
$page 1
$page 1"
    [ "$said" = "$expected" ] || {
        printf '%s\ninstead of\n%s\n' "$said" "$expected"
        exit 1
    }
done
