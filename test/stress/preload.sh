#!/bin/sh
# Runs this folder's programs preload_*.c with the library in the place of the C library's malloc. Each has its own
# watchdog, so a deadlock is a failure.
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

handlers=$work/libatfork.so
"$CC" -std=c17 -D_GNU_SOURCE -O2 -g -fno-builtin -pthread -fPIC -shared -o "$handlers" \
    "$SOURCE_DIR"/test/stress/atfork_library.c || exit 1

failed=0
for source in "$SOURCE_DIR"/test/stress/preload_*.c; do
    program=$work/$(basename "$source" .c)
    "$CC" -std=c17 -D_GNU_SOURCE -O2 -g -fno-builtin -pthread -I "$SOURCE_DIR/test" -o "$program" "$source" \
        -Wl,--as-needed "$handlers" || exit 1
    LD_PRELOAD=$LIBRARY "$program"
    status=$?
    if [ $status -ne 0 ]; then
        echo "$(basename "$program"): exit status $status"
        failed=1
    fi
done
exit $failed
