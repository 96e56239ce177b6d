#!/bin/sh
# RTLD_DEEPBIND: a plug-in that is loaded with it gets the library's malloc and free all the same, and what the C library
# has allocated it can free; found is it as ever, also by the RUNPATH of the library that loads it. With deepbind=keep a
# plug-in may bring a malloc of its own: each heap gets its own blocks back, and a block that ends up in the wrong one is
# reported as a pointer of another allocator.
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# One frees what the C library has allocated.
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
# loader.so loads what it is told by name alone: it is found by the RUNPATH of loader.so, which the program has not.
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
# A compiler may call the malloc of a plug-in from within it directly, unless it is told otherwise.
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
*libmems*) state=': outside the heap: a pointer of another allocator, of a stack, or of static data' ;;
*) state='' ;;
esac
grep -q "^mems: free(0x[0-9a-f]*): not from this heap$state \[thread [0-9]*\]\$" "$work/report" || {
    echo "a block in the wrong heap was reported as:"
    cat "$work/report"
    exit 1
}
