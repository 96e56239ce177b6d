#!/bin/sh
# A running process limits its own address space or data, or locks its memory within a limit: threads still start,
# memory can still be mapped, and the heap respects the limit, also one that another process sets, and moves all the
# time; a child by vfork limits only itself. And what a limit (ulimit) allowed at a peak can be used otherwise afterwards.
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
for name in own_limit lock_limit moving_limit; do
    "$CC" -std=c17 -D_GNU_SOURCE -O1 -fno-builtin -pthread -I "$SOURCE_DIR/test" -o "$work/$name" \
        "$SOURCE_DIR/test/limits/$name.c" || exit 1
done
failed=0

# expect COMMAND... - succeeds with the library, or returns 77 if this machine cannot try it.
expect() {
    status=0
    LD_PRELOAD=$LIBRARY "$@" || status=$?
    [ $status -eq 77 ] && echo "not possible here: $*"
    [ $status -eq 0 ] || [ $status -eq 77 ] && return
    echo "exit status $status: $*"
    failed=1
}

for limit in as data; do
    for way in setrlimit setrlimit64 prlimit prlimit64 prlimit_pid vfork; do
        expect "$work/own_limit" $way $limit 100000000
    done
done
expect "$work/own_limit" setrlimit as 500000000
expect "$work/own_limit" child as 100000000
expect "$work/own_limit" untrimmed as 500000000
expect "$work/own_limit" untrimmed data 50000000
# The memory that the heap has does not decay meanwhile, however slow the machine is.
for limit in as data; do
    MEMS_OPTIONS=decay_ms=3600000 expect "$work/own_limit" below $limit 50000000
done

expect "$work/moving_limit"

# A small window, hardly any of which is left to be claimed.
MEMS_OPTIONS=window=140m expect "$work/own_limit" setrlimit as 100000000

# Mappings from low addresses up: the next one is where the window ends.
if setarch -L true 2>/dev/null; then
    expect setarch -L "$work/own_limit" setrlimit as 100000000
fi

# HMM where its break is in reserved memory, as it is when the process's own cannot go on.
case $LIBRARY in
*libhmm*)
    export HMM_OPTIONS=break=simulated,size=64g
    for limit in as data; do
        expect "$work/own_limit" setrlimit $limit 200000000
    done
    expect "$work/own_limit" vfork as 100000000
    for flags in 1 2 3; do
        expect "$work/lock_limit" $flags 8000000
    done
    unset HMM_OPTIONS
    ;;
esac

# The limits of the process that starts it.
for option in -v -d; do
    (ulimit "$option" 200000 && expect "$work/own_limit" setrlimit as 100000000 && exit $failed) || failed=1
done

# The same under valgrind, which places all mappings at low addresses, if it can run a program with the library at all.
if LD_PRELOAD=$LIBRARY valgrind -q --tool=none sort /dev/null 2>/dev/null; then
    for option in -v -d; do
        (ulimit "$option" 4000000 && expect valgrind -q --tool=none sort /dev/null && exit $failed) || failed=1
    done
fi

# mlockall: 1 for current, 2 for future memory.
for flags in 1 2 3; do
    expect "$work/lock_limit" $flags 8000000
done
exit $failed
