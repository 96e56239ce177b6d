#!/bin/sh
# `mems check` finds a heap at work whole, at any moment, and a core's as well; it finds each kind of damage, with status 1,
# and the process goes on after it.
. "${0%/*}/lib.sh"
need python3 gdb
: "${LIBHMM:?}" "${LIBMEMS:?}"
compile busy
compile confined
compile spaces -I"$SOURCE_DIR/include" -L"${LIBMEMS%/*}" -lmems -Wl,-rpath,"${LIBMEMS%/*}"
compile blocks

# sound TARGET - status 0, and something has been looked at.
sound() {
    "$INSIGHT" check --json "$1" >"$work/check.json" || fail "$1 is damaged: $(cat "$work/check.json")"
    holds "$work/check.json" 'it["found"] == 0 and it["slabs"] + it["blocks"] > 30'
}

# damaged PATTERN TARGET
damaged() {
    status=0
    "$INSIGHT" check "$2" >"$work/check" || status=$?
    [ $status -eq 1 ] || fail "status $status where \"$1\" is expected: $(cat "$work/check")"
    grep -q "$1" "$work/check" || fail "not \"$1\", but: $(cat "$work/check")"
}

for options in check=every check=deferred; do
    MEMS_OPTIONS=$options launch "$work/list" "$work/busy" 4
    for _ in 1 2 3 4 5; do
        sound "$process"
    done
    holds "$work/check.json" 'it["lock_held"] is None and it["pause_ms"] > 0 and it["cached"] > 0'
    grep -q '^State:.*[RS] ' "/proc/$process/status" || fail "the process does not go on"
    ticks=$(awk '{ print $14 }' "/proc/$process/stat")
    sleep 0.5
    [ "$(awk '{ print $14 }' "/proc/$process/stat")" -gt "$ticks" ] || fail "the process does not go on"
    kill -9 "$process"
done

# change EXPRESSION... - in the process, by a debugger.
change() {
    for expression; do
        echo "set var $expression"
    done >"$work/change"
    gdb -batch -nx -p "$process" -x "$work/change" >"$work/gdb" 2>&1 || fail "gdb: $(cat "$work/gdb")"
    ! grep -q 'No symbol\|Cannot' "$work/gdb" || fail "gdb: $(cat "$work/gdb")"
}

launch "$work/list" "$work/blocks"
live=$(address "$work/list" live)
sound "$process"
gdb_core "$work/core" "$process"
sound "$work/core"

slab='((struct slab *)((char *)window.spans['$live' - window.base >> 16]))'
word="window.live_map[($live - window.base) / 1024]"
bit="(1ul << ($live - window.base) / 16 % 64)"
# each: a change, what undoes it, and the finding
while IFS='|' read -r harm cure finding; do
    change "$harm"
    damaged "$finding" "$process"
    change "$cure"
    sound "$process"
done <<END
spans.live_units = spans.live_units + 1|spans.live_units = spans.live_units - 1|units of slabs and large blocks
$slab->free = $slab->free + 1|$slab->free = $slab->free - 1|count of free slots is not that of its bitmap
$slab->span.first = $slab->span.first + 1|$slab->span.first = $slab->span.first - 1|makes no sense
$word.live = $word.live ^ $bit << 1|$word.live = $word.live ^ $bit << 1|bits of the live map are no slot's
$word.remote = $word.remote ^ $bit << 7|$word.remote = $word.remote ^ $bit << 7|freed remotely and not live
heaps.in_use = heaps.in_use + 1|heaps.in_use = heaps.in_use - 1|heaps in use
huge_table.live.count = 7|huge_table.live.count = 1|huge blocks: 1 are counted, and 7 are told
END

# A live block whose live bit is gone is not damage but a leak; one that is in a magazine and live is.
cached=$(address "$work/list" cached)
word="window.live_map[($cached - window.base) / 1024]"
change "$word.live = $word.live | (1ul << ($cached - window.base) / 16 % 64)"
damaged 'a cached block is free in its slab, or live' "$process"

HMM_OPTIONS=break=simulated PRELOAD=$LIBHMM launch "$work/list" "$work/blocks"
sound "$process"
gdb_core "$work/core" "$process"
sound "$work/core"
change "*(char *)($(address "$work/list" live) - 8) ^= 64"
damaged "header is damaged" "$process"

PRELOAD='' launch "$work/list" "$work/spaces"
first='((struct sub_node *)((struct main_node *)space_default.chain.list.next)->sub_chain.next)'
while IFS='|' read -r harm cure finding; do
    change "$harm"
    damaged "$finding" "$process"
    change "$cure"
    "$INSIGHT" check "$process" >"$work/check" || fail "the spaces are damaged: $(cat "$work/check")"
done <<END
space_default.dict.count = space_default.dict.count + 1|space_default.dict.count = space_default.dict.count - 1|dictionary of a space
$first->last = $first->last + 8|$first->last = $first->last - 8|do not tile it
$first->physical = $first->physical + 8|$first->physical = $first->physical - 8|memory that is its own
$first->tag = $first->tag ^ 2|$first->tag = $first->tag ^ 2|no known kind
END

# Where address space is limited, free units are unmapped.
launch "$work/list" prlimit --as=1000000000 "$work/confined"
"$INSIGHT" check --json "$process" >"$work/check.json" || fail "what is unmapped is damaged: $(cat "$work/check.json")"
holds "$work/check.json" 'it["found"] == 0 and it["spans"] > 100'
"$INSIGHT" whatis --json "$(address "$work/list" unmapped)" "$(address "$work/list" last)" "$process" \
    >"$work/answers.json" || fail "mems whatis of unmapped units"
holds "$work/answers.json" '[a["state"] for a in it["answers"]] == ["unmapped: nothing is there", "live"]'
"$INSIGHT" map --json "$process" >"$work/map.json" || fail "mems map of unmapped units"
holds "$work/map.json" 'sum(s["bytes"] for s in it["spans"] if s["kind"] == "free, unmapped") > 16 << 20'
