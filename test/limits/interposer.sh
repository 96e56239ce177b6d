#!/bin/sh
# Programs run beside a preloaded library, before or behind ours, that allocates in the C library's system call
# functions; the heap calls none of these, but makes its system calls directly.
. "$SOURCE_DIR/test/support/script.sh"
"$CC" -std=c17 -D_GNU_SOURCE -O1 -fno-builtin -fPIC -shared -o "$work/interposer.so" \
    "$SOURCE_DIR/test/limits/interposer.c" -ldl
"$CC" -std=c17 -D_GNU_SOURCE -O1 -fno-builtin -pthread -I"$SOURCE_DIR/test" -o "$work/interposed" \
    "$SOURCE_DIR/test/limits/interposed.c"

for preload in "$work/interposer.so:$LIBRARY" "$LIBRARY:$work/interposer.so"; do
    env LD_PRELOAD="$preload" MEMS_OPTIONS=stats=text,stats_file="$work/stats" "$work/interposed" || {
        echo "exit status $?: LD_PRELOAD=$preload"
        exit 1
    }
done
