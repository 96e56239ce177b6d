#!/bin/sh
# In a container with limited memory, the option limit makes allocations fail before the kernel kills the process.
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"; rmdir "$group" 2>/dev/null' EXIT
for root in /sys/fs/cgroup/memory /sys/fs/cgroup; do
    group=$root/mems-test-$$
    # A group exists only if the kernel created its files.
    mkdir "$group" 2>/dev/null || continue
    for file in memory.limit_in_bytes memory.max; do
        [ -w "$group/$file" ] && echo 100000000 2>/dev/null >"$group/$file" && break 2
    done
    rmdir "$group"
    group=
done
[ -n "$group" ] || {
    echo "skipped: no control group with a limit can be made here"
    exit 77
}
"$CC" -std=c17 -D_GNU_SOURCE -O1 -fno-builtin -I "$SOURCE_DIR/test" -o "$work/exhaust" \
    "$SOURCE_DIR/test/limits/exhaust.c" || exit 1
failed=0
for size in 1000 20000 300000 3000000; do
    # shellcheck disable=SC2016 # expanded by the shell in the group
    GROUP=$group LD_PRELOAD=$LIBRARY MEMS_OPTIONS=limit=70m,limit_soft=70m sh -c \
        'echo $$ >"$GROUP/cgroup.procs" && exec "$0" "$@"' "$work/exhaust" $size 35000000 0x10000000 2>"$work/err"
    status=$?
    [ $status -eq 0 ] || {
        echo "blocks of $size bytes: exit status $status: $(cat "$work/err")"
        failed=1
    }
done
exit $failed
