#!/bin/sh
# A plug-in that dlmopen loads into a new namespace has a second C library, and perhaps a second heap. The two heaps do
# not disturb each other, also when threads end that have used both. The two C libraries keep the values
# of their thread-specific keys in the same place, so the first key of the plug-in must not be one that our heap uses.
. "$SOURCE_DIR/test/support/script.sh"
cat >"$work/plugin.c" <<'END'
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#define KEYS 31
static pthread_key_t keys[KEYS];
static char value[4096];
void begin(void) {
    for (int i = 0; i < KEYS; i++) {
        pthread_key_create(&keys[i], NULL);
    }
}
void *allocate(size_t size) {
    const void *first = pthread_getspecific(keys[0]);
    if (first != NULL && first != value) {
        abort();
    }
    for (int i = 0; i < KEYS; i++) {
        pthread_setspecific(keys[i], memset(value, 1, sizeof value));
    }
    return malloc(size);
}
void release(void *block) {
    free(block);
}
END
cat >"$work/host.c" <<'END'
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define BLOCKS 500
static void *(*allocate)(size_t);
static void (*release)(void *);
static char *ours[BLOCKS], *theirs[BLOCKS];
static void check(const char *block, size_t i) {
    for (size_t at = 0; at < 3000; at++) {
        if (block[at] != (char)i) {
            abort();
        }
    }
}
static void *use(void *unused) {
    for (size_t i = 0; i < BLOCKS; i++) {
        ours[i] = memset(malloc(3000), (int)i, 3000);
        theirs[i] = memset(allocate(3000), (int)i + 1, 3000);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        check(ours[i], i);
        check(theirs[i], i + 1);
        free(ours[i]);
        release(theirs[i]);
    }
    return unused;
}
int main(int count, char **arguments) {
    (void)count;
    alarm(900);
    free(malloc(1)); /* the heap has its key before the plug-in */
    void *plugin = dlmopen(LM_ID_NEWLM, arguments[1], RTLD_NOW);
    if (plugin == NULL) {
        puts(dlerror());
        return 2;
    }
    void (*begin)(void) = (void (*)(void))dlsym(plugin, "begin");
    allocate = (void *(*)(size_t))dlsym(plugin, "allocate");
    release = (void (*)(void *))dlsym(plugin, "release");
    begin();
    for (int i = 0; i < 10; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, use, NULL) != 0 || pthread_join(thread, NULL) != 0) {
            return 3;
        }
    }
    use(NULL);
    return 0;
}
END
"$CC" -std=c17 -D_GNU_SOURCE -O1 -fno-builtin -pthread -o "$work/host" "$work/host.c" -ldl
# An audit library is in such a namespace too, and allocates while the program is being loaded.
cat >"$work/audit.c" <<'END'
#include <link.h>
#include <stdlib.h>
static void *blocks[64];
static size_t count;
static void note(void) {
    free(blocks[count % 64]);
    blocks[count % 64] = malloc(1 + count * 37 % 5000);
    count++;
}
unsigned la_version(unsigned version) {
    note();
    return version;
}
unsigned la_objopen(struct link_map *map, Lmid_t namespace, uintptr_t *cookie) {
    (void)map, (void)namespace, (void)cookie;
    note();
    return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}
void la_preinit(uintptr_t *cookie) {
    (void)cookie;
    note();
}
char *la_objsearch(const char *name, uintptr_t *cookie, unsigned flag) {
    (void)cookie, (void)flag;
    note();
    return (char *)name;
}
END
for heap in '' "$LIBMEMS" "$LIBHMM"; do
    # shellcheck disable=SC2086 # no heap is no argument
    "$CC" -std=c17 -O1 -fno-builtin -fPIC -shared -o "$work/plugin.so" "$work/plugin.c" -Wl,--no-as-needed $heap \
        ${heap:+-Wl,-rpath,"${heap%/*}"}
    for preload in '' "$LIBRARY"; do
        LD_PRELOAD=$preload "$work/host" "$work/plugin.so" ||
            fail "exit status $?: the program on ${preload:-the C library}, the plug-in on ${heap:-the C library}"
    done
    # shellcheck disable=SC2086 # no heap is no argument
    "$CC" -std=c17 -D_GNU_SOURCE -O1 -fno-builtin -fPIC -shared -o "$work/audit.so" "$work/audit.c" -Wl,--no-as-needed \
        $heap ${heap:+-Wl,-rpath,"${heap%/*}"}
    for preload in '' "$LIBRARY"; do
        LD_AUDIT=$work/audit.so LD_PRELOAD=$preload sort -n "$0" >"$work/sorted" ||
            fail "exit status $?: sort on ${preload:-the C library}, audited on ${heap:-the C library}"
    done
done
