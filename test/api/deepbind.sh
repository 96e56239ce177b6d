#!/bin/sh
# RTLD_DEEPBIND: a plug-in loaded with it still gets the library's malloc and free, and can free what the C library
# allocated. It is found as always, even through the RUNPATH of the library that loads it. With deepbind=keep a plug-in
# may bring its own malloc: each heap gets its own blocks back, and a block passed to the wrong one is reported as
# another allocator's pointer.
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# One frees what the C library allocated.
cat >"$work/libc_user.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
void *plugin_block(void) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (stream == NULL || fprintf(stream, "%d", 12345) != 5 || fclose(stream) != 0) {
        abort();
    }
    free(text);
    free(realpath("/", NULL));
    return malloc(100);
}
END
# One brings its own malloc.
cat >"$work/plugin.c" <<'END'
#include <stddef.h>
static char pool[1 << 16];
static size_t used;
void *malloc(size_t size) {
    void *block = pool + used;
    used += (size + 15) & ~(size_t)15;
    return block;
}
void free(void *block) {
    (void)block;
}
void *plugin_block(void) {
    void *kept = malloc(100), *freed = malloc(100);
    free(freed);
    return kept;
}
END
# loader.so loads a library by name alone, which is found through loader.so's RUNPATH; the program has none.
cat >"$work/loader.c" <<'END'
#include <dlfcn.h>
void *load(const char *name) {
    void *plugin = dlopen(name, RTLD_NOW | RTLD_DEEPBIND);
    return plugin;
}
END
cat >"$work/host.c" <<'END'
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
void *load(const char *name);
int main(int count, char **arguments) {
    void *plugin = load(arguments[1]);
    void *(*plugin_block)(void) = plugin ? (void *(*)(void))dlsym(plugin, "plugin_block") : NULL;
    if (!plugin_block) {
        puts(dlerror());
        return 2;
    }
    if (dlopen("no such file", RTLD_NOW) || !dlerror() || dlopen(NULL, RTLD_NOW) == NULL) {
        return 3;
    }
    free(malloc(100));
    void *block = plugin_block();
    if (count > 2) {
        free(block);
    }
    return 0;
}
END
mkdir "$work/plugins"
# Without this a compiler may call a plug-in's malloc directly from within it.
for plugin in libc_user plugin; do
    "$CC" -O1 -w -fno-builtin -fsemantic-interposition -D_GNU_SOURCE -fPIC -shared -o "$work/plugins/$plugin.so" \
        "$work/$plugin.c" || exit 1
done
"$CC" -O1 -w -D_GNU_SOURCE -fPIC -shared -o "$work/libloader.so" "$work/loader.c" -ldl \
    -Wl,--enable-new-dtags,-rpath,"$work/plugins" || exit 1
"$CC" -O1 -w -fno-builtin -D_GNU_SOURCE -o "$work/host" "$work/host.c" -L"$work" -lloader -ldl || exit 1
export LD_LIBRARY_PATH="$work"

# run OPTIONS ARGUMENT...
run() {
    MEMS_OPTIONS=$1 HMM_OPTIONS=$1 LD_PRELOAD=$LIBRARY "$work/host" "$2" ${3+"$3"} 2>"$work/report"
}

# expect OPTIONS ARGUMENT... - succeeds.
expect() {
    run "$@" || {
        echo "$*: exit status $?"
        cat "$work/report"
        exit 1
    }
}

expect deepbind=drop libc_user.so
expect deepbind=drop libc_user.so mix
expect deepbind=drop plugin.so
expect deepbind=drop plugin.so mix # its malloc is not called
expect deepbind=keep plugin.so
(run deepbind=keep plugin.so mix)
case $LIBRARY in
*libmems*) state=': outside the heap: from another allocator, a stack, or static data' ;;
*) state='' ;;
esac
grep -q "^mems: free(0x[0-9a-f]*): not from this heap$state \[thread [0-9]*\]\$" "$work/report" || {
    echo "a block in the wrong heap was reported as:"
    cat "$work/report"
    exit 1
}
