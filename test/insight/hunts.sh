#!/bin/sh
# The three hunts of docs/insight.md lead to the guilty line.
. "${0%/*}/lib.sh"
need python3
[ "${LIBRARY##*/}" != libhmm.so ] || exit 77 # it takes no samples
hunts=$SOURCE_DIR/examples/hunts

# at FILE PATTERN - the number of the matching line.
at() {
    grep -n "$2" "$hunts/$1" | cut -d: -f1
}

# Memory that does not fall: most of it is free; the log's lines hold the slabs' pages; a trim gives back the rest.
"$CC" -g -O1 -pthread -o "$work/sessions" "$hunts/sessions.c"
MEMS_OPTIONS=sample=16k,decay_ms=600000 LD_PRELOAD=$LIBRARY "$work/sessions" >"$work/output" &
process=$!
processes="$processes $process"
for _ in $(seq 3000); do
    ! grep -q closed "$work/output" || break
    sleep 0.1
done
"$INSIGHT" stats --json "$process" >"$work/before.json"
holds "$work/before.json" '[r["resident"] for r in it["rows"] if r["name"] == "live"][0] < it["rss"] / 50'
"$INSIGHT" stats "$process" >"$work/stats"
line=$(at sessions.c 'malloc(1000);' | head -1)
grep -q "MiB .*write_log sessions.c:$line " "$work/stats" || fail "write_log is not to blame: $(cat "$work/stats")"
"$INSIGHT" trim --timeout=600 "$process" >"$work/trim" || fail "mems trim"
"$INSIGHT" stats --json "$process" >"$work/after.json"
holds "$work/after.json" 'it["rss"] < 20 << 20'

# A leak: the class of the blocks, and where they were allocated.
if "${CXX:-c++}" -g -O2 -o "$work/requests" "$hunts/requests.cc" 2>"$work/error"; then
    status=0
    "$INSIGHT" run --leaks -o sample=4k -- "$work/requests" 2>"$work/leaks" || status=$?
    [ $status -eq 1 ] || fail "status $status, $(cat "$work/leaks")"
    grep -q '^334 leaks, .*; below them 334 blocks' "$work/leaks" || fail "not 334 leaks: $(cat "$work/leaks")"
    grep -q 'vtable for Upload' "$work/leaks" || fail "no class: $(cat "$work/leaks")"
    grep -q "Session::add() requests.cc:$(at requests.cc 'new Upload')" "$work/leaks" || fail "no site: $(cat "$work/leaks")"
    ! grep '_start [^ ]*:[0-9]' "$work/leaks" || fail "code without lines has one"
fi

# A use after free, from the core alone.
"$CC" -g -O1 -pthread -o "$work/stale" "$hunts/stale.c"
export MEMS_OPTIONS=sample=1
if kernel_core "$work/core" "$work/list" "$work/stale"; then
    "$INSIGHT" "$work/core" >"$work/story" || true
    grep -q 'of a sampled block of 96 bytes that is freed' "$work/story" ||
        fail "no block: $(cat "$work/story")"
    grep -q "open_connection stale.c:$(at stale.c 'malloc(')" "$work/story" || fail "no allocation: $(cat "$work/story")"
    grep -q "close_idle stale.c:$(at stale.c 'free(')" "$work/story" || fail "no free: $(cat "$work/story")"
fi
