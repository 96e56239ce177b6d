#!/bin/sh
# `mems profile` estimates what each site has, live, at the peak and in total, within its error bars; names functions,
# lines and inlined calls; says the same of a process, its core and its saved heap; and writes what pprof reads.
. "${0%/*}/lib.sh"
need python3 gdb
: "${LIBMEMS:?}"
compile sites
profile() {
    "$INSIGHT" profile "$@" || fail "mems profile $*"
}

# From 64k on there is a pace; below, each sample is taken.
for interval in 1 4k 64k 32k; do
    MEMS_OPTIONS=sample=$interval launch "$work/list" "$work/sites"
    for kind in live peak allocated; do
        option=--$kind
        [ $kind != live ] || option=--json
        profile "$option" --json --rows=0 "$process" >"$work/$kind.json"
        python3 "$SOURCE_DIR/test/insight/profile.py" $kind "$work/list" "$work/$kind.json" || fail "sample=$interval"
    done
    [ $interval = 32k ] || kill -9 "$process"
done

# Names, lines, inlined functions; the heap's own functions are left out.
holds "$work/live.json" 'it["unwinder"] == "tables" and it["taken"] > 500'
holds "$work/live.json" 'any(
    [(f["function"], f["inlined"]) for f in s["frames"]][:2] == [("inlined", True), ("small_site", False)] and
    all(f["file"].endswith("sites.c") and f["line"] > 0 for f in s["frames"][:2]) for s in it["sites"])'
holds "$work/live.json" 'not any(f["function"] in ("malloc", "sampled_block_take") for s in it["sites"] for f in s["frames"])'
holds "$work/live.json" 'sum(s["cut"] for s in it["sites"]) <= 1'

# The formats for people.
profile "$process" >"$work/tree"
grep -q 'small_site sites.c:[0-9]' "$work/tree" || fail "the tree does not name the site: $(cat "$work/tree")"
grep -q 'estimated from [0-9]* samples, one in 32.0 KiB' "$work/tree" || fail "the tree does not tell the interval"
profile --flat --rows=2 "$process" >"$work/flat"
grep -q 'other: [0-9]* more' "$work/flat" || fail "the table is not capped: $(cat "$work/flat")"
profile --inverted "$process" | grep -q 'thread_site' || fail "the inverted tree does not name the thread's site"
profile --lifetime "$process" >"$work/lives"
grep -q 'longer than seen' "$work/lives" || fail "what lives on does not live on: $(cat "$work/lives")"
profile --lifetime --json "$process" >"$work/lives.json"
holds "$work/lives.json" '24000 < sum(s["freed"]["blocks"] for s in it["sites"]
    if any(f["function"] == "dropped_site" for f in s["frames"])) < 36000'
profile --thread --json "$process" >"$work/threads.json"
holds "$work/threads.json" 'all("has ended" in s["thread"] for s in it["sites"]
    if any(f["function"] == "thread_site" for f in s["frames"]))'
holds "$work/threads.json" 'any(s["thread"] == "thread %d" % it["target"]["pid"] for s in it["sites"])'
profile --class --flat "$process" | grep -q 'blocks of up to 48 bytes' || fail "no classes are told"
profile --resident --json "$process" >"$work/resident.json"
holds "$work/resident.json" 'all(s["bytes"] > 8e6 for s in it["sites"]
    if any(f["function"] == "large_site" for f in s["frames"]))'
! "$INSIGHT" profile --allocated --thread "$process" 2>"$work/error" || fail "sums by stack alone are divided by thread"
grep -q 'not by thread' "$work/error" || fail "it says $(cat "$work/error")"

# Allocated bytes of a site by class; their sum is that without classes, where each stack stands once.
profile --allocated --class --json --rows=0 "$process" >"$work/classes.json"
holds "$work/classes.json" 'len({s["class"] for s in it["sites"]
    if any(f["function"] == "mixed_site" for f in s["frames"])}) > 5'
holds "$work/classes.json" '{s["class"] for s in it["sites"]
    if any(f["function"] == "large_site" for f in s["frames"])} == {"large blocks"}'
holds "$work/classes.json" '{s["class"] for s in it["sites"]
    if any(f["function"] == "dropped_site" for f in s["frames"])} == {"blocks of up to 704 bytes"}'
python3 - "$work/allocated.json" "$work/classes.json" <<'END_OF_CHECK' || fail "--class changes the sums"
import json, sys
whole, classes = (json.load(open(path)) for path in sys.argv[1:])
frames = [tuple(f["address"] for f in s["frames"]) for s in whole["sites"]]
assert len(set(frames)) == len(frames), "a stack stands there twice"
assert len(classes["sites"]) > len(frames), "no stack has several classes"
assert abs(whole["total"]["bytes"] - classes["total"]["bytes"]) < 1, (whole["total"], classes["total"])
END_OF_CHECK
profile --lifetime --class "$process" | grep -q 'longer than seen  blocks of up to 48 bytes' || fail "lifetimes have no class"

# The formats of other programs.
profile --format=collapsed "$process" >"$work/collapsed"
grep -q 'main;.*repeat;small_site;inlined [0-9]*$' "$work/collapsed" || fail "collapsed: $(head -3 "$work/collapsed")"
profile --format=heap_v2 "$process" >"$work/heap_v2"
grep -q '^heap profile: .* @ heap_v2/32768$' "$work/heap_v2" || fail "heap_v2 begins $(head -1 "$work/heap_v2")"
profile --format=pprof "$process" >"$work/profile.pb.gz"
gzip -dc "$work/profile.pb.gz" | grep -aq small_site || fail "the file for pprof does not name the site"

profile --format=speedscope "$process" >"$work/speedscope.json"
holds "$work/speedscope.json" 'len(it["profiles"]) == 2 and
    any(f["name"] == "small_site" for f in it["shared"]["frames"])'
profile --format=html "$process" | grep -q small_site || fail "the page does not name the site"

# pprof_finds READER... - whether a pprof reads a file, and finds about as much as we do.
pprof_finds() {
    "$@" >"$work/read" 2>"$work/read.error" || fail "$*: $(cat "$work/read.error")"
    awk '/resized_site/ { print $1 }' "$work/read" | sed 's/MB//' | head -1 >"$work/found"
    python3 -c 'import sys; sys.exit(not 9 < float(open(sys.argv[1]).read()) < 21)' "$work/found" ||
        fail "$*: $(cat "$work/read")"
}
if command -v google-pprof >/dev/null; then
    pprof_finds google-pprof --text --inuse_space "$work/sites" "$work/heap_v2"
fi
if command -v go >/dev/null; then
    pprof_finds env HOME="$work" go tool pprof -top -unit=MB -sample_index=inuse_space "$work/profile.pb.gz"
    pprof_finds env HOME="$work" go tool pprof -top -unit=MB -sample_index=inuse_space "$work/sites" "$work/heap_v2"
fi

# A core and a saved heap give the same.
"$INSIGHT" save "$process" "$work/saved"
gdb_core "$work/core" "$process"
for target in "$work/saved" "$work/core"; do
    profile --json --rows=0 "$target" >"$work/other.json"
    python3 "$SOURCE_DIR/test/insight/profile.py" live "$work/list" "$work/other.json" || fail "of $target"
done
"$INSIGHT" check "$process" >/dev/null || fail "mems check"

# Lets the program leak, and waits until it has.
let_leak() {
    kill -USR1 "$process"
    for _ in $(seq 3000); do
        grep -q '^leaked' "$work/list" && break
        sleep 0.1
    done
}

# Changes beyond the noise, and none.
"$INSIGHT" diff "$work/saved" "$work/saved" >"$work/diff"
grep -q '^no call site .*noise' "$work/diff" || fail "the diff with itself is $(cat "$work/diff")"
! grep '+0$' "$work/diff" || fail "the diff with itself has rows"
let_leak
"$INSIGHT" diff --json "$work/saved" "$process" >"$work/diff.json" || fail "mems diff"
holds "$work/diff.json" 'it["profile"]["significant"] == 1 and it["profile"]["within_noise"] >= 5'
holds "$work/diff.json" 'any(f["function"] == "leak_site" for f in it["profile"]["sites"][0]["frames"])'
holds "$work/diff.json" '20e6 < it["profile"]["sites"][0]["change"] < 40e6'
"$INSIGHT" diff "$work/saved" "$process" >"$work/diff"
grep -q 'leak_site sites.c' "$work/diff" || fail "the text of the diff does not name the site: $(cat "$work/diff")"
kill -9 "$process"

# All samples are of freed blocks.
cat >"$work/freed.c" <<'END_OF_PROGRAM'
#include <stdlib.h>

int main(void) {
    for (int i = 0; i < 3; i++) {
        void *volatile block = malloc((size_t)256 << 20);
        free(block);
    }
}
END_OF_PROGRAM
"$CC" -o "$work/freed" "$work/freed.c"
"$INSIGHT" run -o sample=2m --save "$work/freed.heap" -- "$work/freed" || fail "mems run freed"
profile "$work/freed.heap" >"$work/none"
grep -q '^live blocks: none of [1-9][0-9]* samples' "$work/none" || fail "of freed blocks it says $(cat "$work/none")"
! grep '+-\|  %' "$work/none" || fail "a table of nothing"

# One block in fifty holds the slabs' memory.
compile holders
MEMS_OPTIONS=sample=16k,decay_ms=60000 launch "$work/list" "$work/holders"
"$INSIGHT" stats --json "$process" >"$work/stats.json" || fail "mems stats"
holds "$work/stats.json" 'any(f["function"] == "hold" for f in it["pinned"][0]["frames"])'
holds "$work/stats.json" 'it["pinned"][0]["bytes"] > 5e6'
"$INSIGHT" stats "$process" >"$work/stats"
grep -q 'hold holders.c:[0-9]* < main' "$work/stats" || fail "the text does not name who holds: $(cat "$work/stats")"
kill -9 "$process"

# With two intervals, raw samples are those of the smaller one.
MEMS_OPTIONS=sample=32k,background=on launch "$work/list" "$work/sites"
"$INSIGHT" set "$process" sample=1m >/dev/null || fail "mems set"
let_leak
profile --format=heap_v2 "$process" | grep -q '^heap profile: .* @ heap_v2/32768$' ||
    fail "raw samples of a larger interval"
profile "$process" | grep -q "samples, one in 32.0 KiB to [0-9]*[.]0 MiB$" ||
    fail "the tree does not tell the larger interval"
profile --json "$process" >"$work/both.json"
holds "$work/both.json" 'any(f["function"] == "leak_site" and s["samples"] < 60 for s in it["sites"] for f in s["frames"])'
kill -9 "$process"

# Sampling begins when the heap holds enough, and the profile says what it does not see.
MEMS_OPTIONS=sample=1g,background=on launch "$work/list" "$work/sites"
status=0
"$INSIGHT" profile "$process" >"$work/early" 2>&1 || status=$?
[ $status -eq 2 ] || fail "before there are samples the status is $status"
grep -q 'begin when the heap holds 4.0 GiB; .mems set PID sample=64k' "$work/early" ||
    fail "it does not say when samples begin: $(cat "$work/early")"
"$INSIGHT" set "$process" sample=64k >/dev/null || fail "mems set"
let_leak
profile "$process" >"$work/late"
grep -q '^the heap held [0-9.]* [KM]iB when sampling began' "$work/late" || fail "it does not say what is missing"
profile --json "$process" >"$work/late.json"
holds "$work/late.json" 'it["held_before"] > 4 * 65536'
kill -9 "$process"

# A process without options has been sampled, too.
launch "$work/list" env -u MEMS_OPTIONS "$work/sites"
profile --json "$process" >"$work/default.json"
holds "$work/default.json" 'it["taken"] > 5 and it["interval"] == 2097152'
holds "$work/default.json" 'any(f["function"] == "main" for s in it["sites"] for f in s["frames"])'
kill -9 "$process"

# Sampling starts in a running process.
MEMS_OPTIONS=sample=0 launch "$work/list" "$work/sites"
status=0
"$INSIGHT" profile "$process" >"$work/none" 2>&1 || status=$?
[ $status -eq 2 ] || fail "without samples the status is $status"
grep -q 'mems set PID sample=2m' "$work/none" || fail "it does not say how to start: $(cat "$work/none")"
[ "$(wc -l <"$work/none")" -eq 1 ] || fail "it shows an empty table: $(cat "$work/none")"
kill -9 "$process"

# Stacks that found no room are one, whose blocks are of any class.
compile no_room -w -I"$SOURCE_DIR/src" -I"$SOURCE_DIR/include" -L"${LIBMEMS%/*}" -lmems -Wl,-rpath,"${LIBMEMS%/*}"
PRELOAD='' MEMS_OPTIONS=sample=1 launch "$work/list" "$work/no_room"
profile --allocated --class --json "$process" >"$work/no_room.json"
holds "$work/no_room.json" '[s["class"] for s in it["sites"] if not s["frames"]] == ["blocks of a class that is not known"]'
kill -9 "$process"
