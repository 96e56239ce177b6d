#!/bin/sh
# All ways in which a program gets a library's malloc: preloaded, linked, static, and loaded by dlopen.
. "$SOURCE_DIR/test/support/script.sh"
program=$SOURCE_DIR/test/api/link_program.c

cc() {
    "$CC" -std=c17 -D_GNU_SOURCE -O2 -Wall -Wextra -fno-builtin -pthread "$@"
}

# expect WORD NAME COMMAND...: the command succeeds and says whose malloc it has.
expect() {
    word=$1
    name=$2
    shift 2
    said=$("$@") || {
        echo "$name: exit status $?"
        exit 1
    }
    [ "$said" = "$word" ] || {
        echo "$name: expected \"$word\", received \"$said\""
        exit 1
    }
}

cc -o "$work/plain" "$program"
expect other "without the library" "$work/plain"
expect ours preloaded env LD_PRELOAD="$LIBRARY" "$work/plain"

cc -o "$work/linked" "$program" "$LIBRARY" -Wl,-rpath,"$(dirname "$LIBRARY")"
expect ours linked "$work/linked"

# In an archive's order the library precedes the C library, whose malloc must not come in as well. Any complaint of the
# linker is a failure.
cc -static -o "$work/static" "$program" "$LIBRARY_STATIC" 2>"$work/err"
[ ! -s "$work/err" ] || {
    cat "$work/err"
    exit 1
}
expect ours static "$work/static"
! nm "$work/static" | grep -q ' _int_malloc$' || {
    echo "static: the C library's malloc is there too"
    exit 1
}
nm "$work/static" | grep -q ' pthread_atfork$' || {
    echo "static: nothing keeps the heap whole around fork"
    exit 1
}

cc -o "$work/dlopen" "$SOURCE_DIR/test/api/link_dlopen.c" -ldl
expect "" dlopen "$work/dlopen" "$LIBRARY"

# Calling any one function of the family brings in all of it.
for function in malloc calloc realloc reallocarray free aligned_alloc posix_memalign memalign valloc pvalloc \
    malloc_usable_size mallinfo2 mallopt malloc_trim malloc_stats malloc_info; do
    echo "void $function(void); int main(int count, char **v) { (void)v; if (count > 9) $function(); return 0; }" |
        "$CC" -static -fno-builtin -x c -o "$work/single" - -x none "$LIBRARY_STATIC" || {
        echo "static: $function alone does not link"
        exit 1
    }
    ! nm "$work/single" | grep -q ' _int_malloc$' || {
        echo "static: $function alone leaves malloc to the C library"
        exit 1
    }
done
