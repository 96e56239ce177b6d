#!/bin/sh
# Under a limit on address space (ulimit -v) or data (ulimit -d) the heap allocates most of what is allowed before
# ENOMEM, and common programs run.
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
"$CC" -std=c17 -D_GNU_SOURCE -O1 -fno-builtin -I "$SOURCE_DIR/test" -o "$work/exhaust" \
    "$SOURCE_DIR/test/limits/exhaust.c" || exit 1
failed=0

fail() {
    echo "$*"
    failed=1
}

# expect NAME LIMIT COMMAND... - the command succeeds under `ulimit NAME LIMIT` (KiB) with the library.
expect() {
    option=$1 limit=$2
    shift 2
    (
        ulimit "$option" "$limit" || exit 1
        LD_PRELOAD=$LIBRARY
        export LD_PRELOAD
        exec "$@"
    ) || fail "ulimit $option $limit: $*: exit status $?"
}

# At least half of the limit for blocks of every kind. Small blocks touch all of it, so they are not tried in gigabytes.
for megabytes in 50 100 200; do
    for size in 100 1000 20000 100000 1000000 4000000; do
        expect -v $((megabytes * 1024)) "$work/exhaust" $size $((megabytes * 512 * 1024)) 0x1000000000
    done
done
for size in 1000000 30000000 300000000; do
    expect -v $((2048 * 1024)) "$work/exhaust" $size $((1024 * 1024 * 1024)) 0x1000000000
done
for size in 1000 100000 4000000; do
    expect -d $((100 * 1024)) "$work/exhaust" $size $((50 * 1024 * 1024)) 0x1000000000
done

# Memory that served blocks of one size serves any other, although descriptors differ in size.
for limit in "-v $((100 * 1024))" "-d $((100 * 1024))" "-v $((300 * 1024))"; do
    # shellcheck disable=SC2086
    expect $limit "$work/exhaust" 64,100,5000,40000,24,3000000,1000,200000,24 $((40 * 1024 * 1024)) 0x1000000000
done

# Freed blocks that are kept, even only by address, are given back before an allocation fails.
"$CC" -std=c17 -O1 -fno-builtin -pthread -o "$work/kept" "$SOURCE_DIR/test/limits/kept.c" || exit 1
for mode in off light full; do
    expect -v 300000 env MEMS_OPTIONS=harden=$mode "$work/kept" 100000 1000000 5000000 30000000 70000000 100000000
done

# A limit that falls while the program runs, even below what it has mapped: NULL is right, a crash is not.
for size in 1000 100000 4000000; do
    for limit in 4096 50000000 400000000; do
        for kind in as data; do
            LD_PRELOAD=$LIBRARY "$work/exhaust" $size 0 0x10000000 $kind $limit ||
                fail "exhaust $size 0 0x10000000 $kind $limit: exit status $?"
        done
    done
done

# same NAME COMMAND - the command's output under a limit of 200 MB with the library equals that without.
same() {
    name=$1
    shift
    command -v "$name" > "$work/where" || return
    "$@" > "$work/plain" 2>&1
    expect -v 200000 "$@" > "$work/limited" 2>&1
    cmp -s "$work/plain" "$work/limited" || fail "$name: under ulimit -v 200000: $(head -3 "$work/limited")"
}

seq 100000 | sed 's/\(.*\)\(..\)/\2\1/' > "$work/numbers"
same ls ls -lR "$SOURCE_DIR/src"
same sort sort -n "$work/numbers"
same bash bash -c 'for i in {1..20000}; do x[i]=$i; done; echo ${#x[@]} $(echo a b c | wc -w)'
same python3 python3 -c 'd = {str(i): [i] * 3 for i in range(100000)}; print(len(d), sum(v[0] for v in d.values()))'
exit $failed
