#!/bin/sh
# A process that uses its heap carries out `mems trim` and `mems set`, with the promised effect. If it does nothing, the
# command says so, with status 2; it also says what cannot be set. `mems list` shows the processes.
. "${0%/*}/lib.sh"
need python3
: "${LIBMEMS:?}" "${LIBHMM:?}"
compile busy
compile blocks
MEMS_OPTIONS=decay_ms=1000000 launch "$work/list" "$work/busy"
busy=$process
MEMS_OPTIONS='' launch "$work/list" "$work/blocks"
idle=$process
PRELOAD="$LIBHMM $LIBMEMS" MEMS_OPTIONS='' launch "$work/list" "$work/blocks"
both=$process

# free_pages OUTPUT - of the busy process.
free_pages() {
    "$INSIGHT" stats --json "$busy" >"$1"
    python3 -c 'import json, sys
print(next(r for r in json.load(open(sys.argv[1]))["rows"] if r["name"] == "free pages")["resident"])' "$1"
}

[ "$(free_pages "$work/before")" -gt 8000000 ] || fail "there is nothing to trim"
"$INSIGHT" trim --json "$busy" >"$work/trim" || fail "mems trim"
holds "$work/trim" 'it["done"] is True'
[ "$(free_pages "$work/after")" -lt 2000000 ] || fail "a trim has left $(free_pages "$work/after") bytes of free pages"

"$INSIGHT" set "$busy" decay_ms=77 >/dev/null || fail "mems set"
"$INSIGHT" list --json >"$work/processes" || fail "mems list"
holds "$work/processes" "[p['mode'] for p in it['processes'] if p['pid'] == $busy] == ['check=every,decay_ms=77']"
holds "$work/processes" "[p['mode'] for p in it['processes'] if p['pid'] == $idle] == ['check=every,decay_ms=500']"
holds "$work/processes" "[p['live'] for p in it['processes'] if p['pid'] == $idle][0] > 65_000_000"
holds "$work/processes" "[p['library'] for p in it['processes'] if p['pid'] == $both] == ['hmm']"
holds "$work/processes" "[p['live'] for p in it['processes'] if p['pid'] == $both][0] > 65_000_000"
"$INSIGHT" set "$busy" stats=json >/dev/null || fail "a word cannot be set"
"$INSIGHT" list | grep -q "^ *$busy busy .*decay_ms=77" || fail "the list lacks the process: $("$INSIGHT" list)"

# refused WORDS OPTION - prints the words, with status 2.
refused() {
    status=0
    "$INSIGHT" set "$busy" "$2" 2>"$work/error" || status=$?
    if [ $status -ne 2 ] || ! grep -q "$1" "$work/error"; then
        fail "$2: status $status, $(cat "$work/error")"
    fi
}
refused 'no such option; it has check, harden' colour=red
refused 'invalid value x; it takes MILLISECONDS' decay_ms=x
refused 'invalid value x; it takes 0|text|json' stats=x
refused 'before the process starts' check=deferred
refused 'text options cannot be set' stats_file=/tmp/x
refused 'set as NAME=VALUE' decay_ms
refused 'refuses it: Invalid argument' decay_ms=99999999999
refused 'invalid value 0; it takes none|SIZE' limit=0
"$INSIGHT" set "$busy" limit=8g >/dev/null || fail "a size cannot be set"
refused 'limit_soft would be above limit' limit_soft=9g
for size in limit=none limit_soft=9g limit_soft=auto sample=0; do
    "$INSIGHT" set "$busy" $size >/dev/null || fail "$size cannot be set"
done

status=0
"$INSIGHT" trim --timeout 0.2 "$idle" 2>"$work/error" || status=$?
[ $status -eq 2 ] || fail "an idle process: status $status"
grep -q 'no answer in 0.2 s' "$work/error" || fail "of an idle process it says $(cat "$work/error")"

# A stopped process carries it out when it continues.
halt "$busy"
status=0
"$INSIGHT" set --timeout 0.2 "$busy" decay_ms=78 2>"$work/error" || status=$?
[ $status -eq 2 ] || fail "a stopped process: status $status"
grep -q "is stopped; .*kill -CONT $busy" "$work/error" || fail "of a stopped process it says $(cat "$work/error")"
kill -CONT "$busy"
for _ in $(seq 3000); do
    ! "$INSIGHT" list | grep -q "^ *$busy busy .*decay_ms=78" || break
    sleep 0.1
done
"$INSIGHT" list | grep -q "^ *$busy busy .*decay_ms=78" || fail "it went on, and has not carried out the request"

# A background thread answers for an idle process.
MEMS_OPTIONS=background=on launch "$work/list" "$work/blocks"
"$INSIGHT" set --timeout 60 "$process" decay_ms=66 >/dev/null || fail "the background thread does not answer"
"$INSIGHT" list | grep -q "^ *$process .*decay_ms=66" || fail "the background thread has set nothing"
