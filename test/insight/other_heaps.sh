#!/bin/sh
# The MeMS heap and HMM are read like the engine: their rows are in the sum of `mems stats`, and `mems whatis` knows
# segments by virtual and by physical address, and HMM's blocks.
. "${0%/*}/lib.sh"
need python3 gdb
: "${LIBMEMS:?}" "${LIBHMM:?}"
compile spaces -I"$SOURCE_DIR/include" -L"${LIBMEMS%/*}" -lmems -Wl,-rpath,"${LIBMEMS%/*}"
compile blocks
compile regions -I"$SOURCE_DIR/include" -L"${LIBHMM%/*}" -lhmm -Wl,-rpath,"${LIBHMM%/*}"

# sums TARGET OUTPUT - the statistics; their rows sum to the kernel's Rss.
sums() {
    "$INSIGHT" stats --json "$1" >"$2" || fail "mems stats of $1"
    holds "$2" "sum(r['resident'] for r in it['rows']) == it['rss'] > 0"
}

# row NAME - for an expression: a row.
row() {
    echo "next(r for r in it['rows'] if r['name'] == '$1')"
}

names='first first_inside first_physical hole third_physical other_physical other
    moved moved_physical moved_hole moved_large freed'

# judge_spaces TARGET
judge_spaces() {
    # shellcheck disable=SC2046 # a list
    "$INSIGHT" whatis --json $(for name in $names; do
        address "$work/list" "$name"
    done) "$1" >"$work/answers.json" || fail "mems whatis of $1"
    holds "$work/answers.json" '[a["kind"] for a in it["answers"]] ==
        ["PROCESS"] * 3 + ["HOLE"] + ["PROCESS"] * 5 + ["HOLE", "PROCESS", "freed handle"]'
    holds "$work/answers.json" '[a["by_virtual"] for a in it["answers"][:11]] ==
        [True, True, False, True, False, False, True, True, False, True, True]'
    holds "$work/answers.json" '[a["offset"] for a in it["answers"][:9]] == [0, 7, 7, 3, 0, 0, 5, 9, 9]'
    holds "$work/answers.json" '[a["space"] for a in it["answers"][:11]] == [0] * 5 + [1] * 2 + [2] * 4'
    holds "$work/answers.json" '[a["virtual_start"] for a in it["answers"][:3]] == [1000] * 3'
    holds "$work/answers.json" '[a["size"] for a in it["answers"][5:9]] == [496] * 2 + [4096] * 2'
    holds "$work/answers.json" 'it["answers"][7]["physical_start"] + 9 == it["answers"][8]["address"]'
    "$INSIGHT" check "$1" >"$work/check" || fail "mems check of $1: $(cat "$work/check")"
    grep -q ' [0-9]\{3,\} segments' "$work/check" || fail "too few segments: $(cat "$work/check")"
}

PRELOAD='' launch "$work/list" "$work/spaces"
halt "$process"
sums "$process" "$work/spaces.json"
holds "$work/spaces.json" "$(row 'MeMS live')['resident'] >= 100000 and $(row 'MeMS live')['bytes'] ==
    101000 + 496 + 500 * 4096 + 2**20"
holds "$work/spaces.json" "$(row 'MeMS live')['resident'] > 3000000"
holds "$work/spaces.json" "$(row 'MeMS nodes')['resident'] > 0 and $(row 'MeMS holes')['bytes'] > 2000"
judge_spaces "$process"
gdb_core "$work/core" "$process"
judge_spaces "$work/core"
"$INSIGHT" save "$process" "$work/saved" || fail "mems save of spaces"
judge_spaces "$work/saved"
kill -9 "$process"

for options in break=real break=simulated; do
    HMM_OPTIONS=$options PRELOAD=$LIBHMM launch "$work/list" "$work/blocks"
    halt "$process"
    sums "$process" "$work/hmm.json"
    holds "$work/hmm.json" "$(row 'HMM live')['resident'] > 800_000 and $(row 'HMM headers')['resident'] > 1000 * 8"
    holds "$work/hmm.json" "$(row 'HMM free')['bytes'] > 0 and $(row 'HMM cached')['bytes'] > 0"
    gdb_core "$work/core" "$process"
    for target in "$process" "$work/core"; do
        "$INSIGHT" whatis --json "$(address "$work/list" inside)" "$(address "$work/list" cached)" "$target" \
            >"$work/answers.json" || fail "mems whatis of $target"
        holds "$work/answers.json" '[(a["kind"], a["state"], a["offset"]) for a in it["answers"]][0] ==
            ("HMM block", "live", 50)'
        holds "$work/answers.json" 'it["answers"][1]["state"] in ("cached", "free")'
    done
    kill -9 "$process"
done

# A further region is walked as well. A process's heaps are consistent at any moment, even though one thread takes no lock.
PRELOAD='' launch "$work/list" "$work/regions"
halt "$process"
sums "$process" "$work/hmm.json"
holds "$work/hmm.json" "$(row 'HMM live')['bytes'] > 2000 and $(row 'HMM free')['bytes'] > 500000"
"$INSIGHT" save "$process" "$work/saved" || fail "mems save of regions"
for target in "$process" "$work/saved"; do
    "$INSIGHT" whatis --json "$(address "$work/list" within)" "$(address "$work/list" outside)" \
        "$(address "$work/list" made)" "$(address "$work/list" inner)" "$target" >"$work/answers.json" ||
        fail "mems whatis of regions"
    holds "$work/answers.json" '[(a["kind"], a["state"], a["offset"]) for a in it["answers"]] ==
        [("HMM block", "live", 9)] * 4 and it["answers"][3]["size"] == 200'
done
"$INSIGHT" map --json "$process" >"$work/map.json" || fail "mems map of regions"
holds "$work/map.json" "sum(0 <= b['start'] - $(address "$work/list" region) < 1 << 20 for b in it['blocks']) > 1"
kill -9 "$process"

PRELOAD='' launch "$work/list" "$work/regions" busy
for _ in $(seq 10); do
    "$INSIGHT" check "$process" >"$work/check" || fail "mems check of HMM in one thread: $(cat "$work/check")"
done
