#!/bin/sh
# A plug-in that brings a malloc of its own (RTLD_DEEPBIND): each heap gets its own blocks back, and a block that ends up
# in the wrong one is reported as a pointer of another allocator.
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

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
cat >"$work/host.c" <<'END'
#include <dlfcn.h>
#include <stdlib.h>
int main(int count, char **arguments) {
    void *plugin = dlopen(arguments[1], RTLD_NOW | RTLD_DEEPBIND);
    void *(*plugin_block)(void) = plugin ? (void *(*)(void))dlsym(plugin, "plugin_block") : NULL;
    if (!plugin_block) {
        return 2;
    }
    free(malloc(100));
    void *block = plugin_block();
    if (count > 2) {
        free(block);
    }
    return 0;
}
END
"$CC" -O1 -w -fno-builtin -D_GNU_SOURCE -fPIC -shared -o "$work/plugin.so" "$work/plugin.c" || exit 1
"$CC" -O1 -w -fno-builtin -D_GNU_SOURCE -o "$work/host" "$work/host.c" -ldl || exit 1

LD_PRELOAD=$LIBRARY "$work/host" "$work/plugin.so" || {
    echo "a plug-in with a malloc of its own: exit status $?"
    exit 1
}
(LD_PRELOAD=$LIBRARY "$work/host" "$work/plugin.so" mix) 2>"$work/report"
case $LIBRARY in
*libmems*) state=': outside the heap: a pointer of another allocator, of a stack, or of static data' ;;
*) state='' ;;
esac
grep -q "^mems: free(0x[0-9a-f]*): not from this heap$state \[thread [0-9]*\]\$" "$work/report" || {
    echo "a block in the wrong heap was reported as:"
    cat "$work/report"
    exit 1
}
