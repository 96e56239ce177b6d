#!/bin/sh
# `mems check` never calls an intact heap damaged, at whatever instruction it stops threads that keep starting, ending,
# allocating and freeing. A core has only one moment: if a thread holds a lock in it, the answer is not certain.
. "${0%/*}/lib.sh"
need gdb
compile turnover
looks=${CHECK_LOOKS:-$((60 * ${STRESS_SCALE:-100} / 100 + 1))}

sound() {
    "$INSIGHT" check "$1" >"$work/check" || fail "look $look, with $options: $(cat "$work/check")"
}

# A core has one moment: what a thread with a lock was changing may look damaged in it, which is not status 1.
not_damaged() {
    status=0
    "$INSIGHT" check "$1" >"$work/check" || status=$?
    [ $status -eq 0 ] || { [ $status -eq 2 ] && grep -q 'a thread holds a lock' "$work/check"; } ||
        fail "core $look, with $options: status $status: $(cat "$work/check")"
}

for options in sample=64k check=deferred,sample=64k harden=full; do
    MEMS_OPTIONS=$options launch "$work/list" nice "$work/turnover" # other tests go first
    for look in $(seq "$looks"); do
        sound "$process"
    done
    for look in 1 2 3; do
        halt "$process" # gdb misses threads that start while it attaches
        gdb_core "$work/core" "$process"
        kill -CONT "$process"
        not_damaged "$work/core"
        rm "$work/core"
    done
    kill -9 "$process"
done
