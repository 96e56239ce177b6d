#!/bin/sh
# The root is found by its note however the process got the library: preloaded, linked, static, static-pie, stripped, by
# another linker, with -flto, by dlopen.
. "${0%/*}/lib.sh"
need python3 readelf strip
: "${LIBMEMS:?}" "${LIBMEMS_STATIC:?}"
folder=${LIBMEMS%/*}

# found TITLE COMMAND... - `mems whatis` knows the program's live block.
found() {
    title=$1
    shift
    launch "$work/list" "$@"
    "$INSIGHT" whatis --json "$(address "$work/list" live)" "$process" >"$work/answer.json" 2>"$work/error" ||
        fail "$title: $(cat "$work/error")"
    holds "$work/answer.json" 'it["answers"][0]["kind"] == "slot" and it["answers"][0]["state"] == "live"'
    kill -9 "$process"
}

# build NAME OPTION...
build() {
    output=$1
    shift
    "$CC" -std=c17 -D_GNU_SOURCE -O1 -fno-builtin -pthread -o "$work/$output" "$SOURCE_DIR/test/insight/blocks.c" "$@"
}

# loads the library late, and allocates only from it
cat >"$work/late.c" <<'END'
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int count, char **words) {
    void *library = count > 1 ? dlopen(words[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (library == NULL) {
        return 1;
    }
    void *(*allocate)(size_t) = (void *(*)(size_t))(uintptr_t)dlsym(library, "malloc");
    printf("live %#lx\nnothing 0x10\n", (unsigned long)(uintptr_t)allocate(100));
    fflush(stdout);
    pause();
}
END
"$CC" -std=c17 -D_GNU_SOURCE -o "$work/late" "$work/late.c" -ldl
PRELOAD='' found "by dlopen" "$work/late" "$LIBMEMS"

build plain
found preloaded "$work/plain"
cp "$LIBMEMS" "$work/stripped.so"
strip --strip-all "$work/stripped.so"
PRELOAD=$work/stripped.so found "preloaded, stripped" "$work/plain"

export PRELOAD=
build linked -L"$folder" -lmems -Wl,-rpath,"$folder"
found linked "$work/linked"
for kind in -static -static-pie -pie; do
    build "static$kind" $kind "$LIBMEMS_STATIC"
    found "archive, $kind" "$work/static$kind"
    strip --strip-all -o "$work/stripped$kind" "$work/static$kind"
    found "archive, $kind, stripped" "$work/stripped$kind"
done
build collected -Wl,--gc-sections -ffunction-sections -fdata-sections "$LIBMEMS_STATIC"
found "archive, --gc-sections" "$work/collected"
build optimized -flto "$LIBMEMS_STATIC"
found "archive, -flto" "$work/optimized"
for linker in gold lld; do
    if command -v ld.$linker >/dev/null; then
        build $linker -fuse-ld=$linker -Wl,--gc-sections "$LIBMEMS_STATIC"
        found "archive, $linker" "$work/$linker"
        strip --strip-all -o "$work/stripped.$linker" "$work/$linker"
        found "archive, $linker, stripped" "$work/stripped.$linker"
    fi
done
