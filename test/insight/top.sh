#!/bin/sh
# `mems top` shows processes with their rates, and the classes and call sites of one; as text, as JSON and in a terminal,
# where keys sort, filter and open, and the size may change.
. "${0%/*}/lib.sh"
need python3
: "${LIBMEMS:?}" "${LIBHMM:?}"
compile busy
compile blocks
MEMS_OPTIONS=sample=64k launch "$work/list" "$work/busy"
busy=$process
PRELOAD=$LIBHMM HMM_OPTIONS=break=simulated launch "$work/list" "$work/blocks"

"$INSIGHT" top --json >"$work/top.json" || fail "mems top --json"
holds "$work/top.json" '{p["pid"]: p["program"] for p in it["processes"]}['"$busy"'] == "busy"'
holds "$work/top.json" 'any(p["pid"] == '"$busy"' and p["refills_per_s"] > 0 and p["flushes_per_s"] > 0 and
    p["sampled_bytes_per_s"] > 0 and p["live"] > 0 and p["rss"] > p["live"] / 2 for p in it["processes"])'
holds "$work/top.json" 'any(p["pid"] == '"$process"' and p["rss"] > 0 and "live" not in p for p in it["processes"])'

"$INSIGHT" top --json -n 3 "$busy" >"$work/looks" || fail "mems top --json PID"
[ "$(wc -l <"$work/looks")" -eq 3 ] || fail "one line for each look: $(cat "$work/looks")"
tail -n 1 "$work/looks" >"$work/look.json"
holds "$work/look.json" 'it["target"]["pid"] == '"$busy"' and it["rss"] > 0 and it["live"] > 0'
holds "$work/look.json" 'sum(c["refills_per_s"] for c in it["classes"]) > 0'
holds "$work/look.json" 'any(s["allocated_bytes"] > 0 and "busy.c" in s["call site"] for s in it["sites"])'

"$INSIGHT" top --batch -n 2 -i 0.2 --sort refills/s --filter busy >"$work/text" || fail "mems top --batch"
[ "$(grep -c 'refills/s' "$work/text")" -eq 2 ] || fail "two tables: $(cat "$work/text")"
grep -q '>refills/s' "$work/text" || fail "not sorted by refills: $(cat "$work/text")"
! grep -q 'blocks' "$work/text" || fail "not filtered: $(cat "$work/text")"
"$INSIGHT" top --batch -n 1 -i 0.2 --sort size "$busy" >"$work/text" || fail "mems top --batch PID"
grep -q '^process [0-9]* (busy): Rss ' "$work/text" || fail "no summary: $(cat "$work/text")"
awk '/slots of/ { if (before != "" && $1 > before) exit 1; before = $1 }' "$work/text" || fail "not by size"

# All of them, although each takes descriptors while it is seen.
: >"$work/many"
for _ in $(seq 30); do
    LD_PRELOAD=$LIBRARY sleep 600 &
    processes="$processes $!"
    echo $! >>"$work/many"
done
while read -r each; do
    until grep -q "${LIBRARY##*/}" "/proc/$each/maps"; do
        sleep 0.1
    done
done <"$work/many"
prlimit --nofile=40: "$INSIGHT" top --json >"$work/top.json" || fail "mems top --json of many"
holds "$work/top.json" '{int(pid) for pid in open("'"$work/many"'")} <= {p["pid"] for p in it["processes"]}'
xargs kill <"$work/many"

# refused PATTERN ARGUMENT... - with status 2.
refused() {
    pattern=$1
    shift
    status=0
    "$INSIGHT" top "$@" >/dev/null 2>"$work/error" </dev/null || status=$?
    { [ $status -eq 2 ] && grep -q -- "$pattern" "$work/error"; } || fail "top $*: $status, $(cat "$work/error")"
}
refused 'not a terminal: --batch'
refused 'there is no such column' --batch --sort colour
refused 'there is no such process' --batch 2147483646
refused 'not a process id' --batch "$work/text"
refused 'no heap of libmems' --batch $$
refused '--count 0: not a number (1 or more)' --batch -n 0
refused '--interval x: not a number of seconds' --batch -i x

# When the process ends, it says so.
"$INSIGHT" top --batch -i 0.1 "$process" >"$work/text" 2>"$work/error" &
looker=$!
for _ in $(seq 3000); do
    [ ! -s "$work/text" ] || break
    sleep 0.1
done
kill -9 "$process"
status=0
wait $looker || status=$?
{ [ $status -eq 2 ] && grep -q 'it has ended' "$work/error"; } || fail "status $status: $(cat "$work/error")"

if "$INSIGHT" top 2>&1 </dev/null | grep -q 'without ncurses'; then
    echo "no screen: built without ncurses"
else
    python3 "$SOURCE_DIR/test/insight/top.py" "$busy" "$INSIGHT" top -i 0.3 || fail "the screen"
fi
