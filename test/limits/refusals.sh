#!/bin/sh
# The kernel refuses system calls, pins all memory, or has no mapping left: programs carry on.
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
for name in carry_on sandbox memory_lock map_count; do
    "$CC" -std=c17 -D_GNU_SOURCE -O1 -fno-builtin -pthread -I "$SOURCE_DIR/test" -o "$work/$name" \
        "$SOURCE_DIR/test/limits/$name.c" || exit 1
done
failed=0

# expect COMMAND... - succeeds, or returns 77 if this machine cannot try it.
expect() {
    "$@"
    status=$?
    [ $status -eq 77 ] && echo "not possible here: $*"
    [ $status -eq 0 ] || [ $status -eq 77 ] && return
    echo "exit status $status: $*"
    failed=1
}

for refused in madvise mremap getrandom prctl munmap sched_getaffinity clock_gettime \
    "madvise mremap getrandom prctl munmap sched_getaffinity clock_gettime"; do
    # shellcheck disable=SC2086 # several names are several arguments
    expect "$work/sandbox" $refused -- env LD_PRELOAD="$LIBRARY" "$work/carry_on"
done
expect env LD_PRELOAD="$LIBRARY" "$work/memory_lock"
expect env LD_PRELOAD="$LIBRARY" "$work/map_count"
exit $failed
