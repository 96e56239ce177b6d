#!/bin/sh
# The MeMS heap and HMM are read like the engine: their rows are in the sum of `mems stats`, and `mems whatis` knows
# segments by their virtual and by their physical addresses, and HMM's blocks.
. "${0%/*}/lib.sh"
need python3 gdb
: "${LIBMEMS:?}" "${LIBHMM:?}"
compile spaces -I"$SOURCE_DIR/include" -L"${LIBMEMS%/*}" -lmems -Wl,-rpath,"${LIBMEMS%/*}"
compile blocks

# sums TARGET OUTPUT - the statistics; their rows sum to the kernel's.
sums() {
    "$INSIGHT" stats --json "$1" >"$2" || fail "mems stats of $1"
    holds "$2" "sum(r['resident'] for r in it['rows']) == it['rss'] > 0"
}

# row NAME - for an expression: a row.
row() {
    echo "next(r for r in it['rows'] if r['name'] == '$1')"
}

# judge_spaces TARGET
judge_spaces() {
    # shellcheck disable=SC2046 # a list
    "$INSIGHT" whatis --json $(for name in first first_inside first_physical hole third_physical other_physical; do
        address "$work/list" $name
    done) "$1" >"$work/answers.json" || fail "mems whatis of $1"
    holds "$work/answers.json" '[a["kind"] for a in it["answers"]] ==
        ["PROCESS", "PROCESS", "PROCESS", "HOLE", "PROCESS", "PROCESS"]'
    holds "$work/answers.json" '[a["by_virtual"] for a in it["answers"]] == [True, True, False, True, False, False]'
    holds "$work/answers.json" '[a["offset"] for a in it["answers"]] == [0, 7, 7, 3, 0, 0]'
    holds "$work/answers.json" '[a["space"] for a in it["answers"]] == [0, 0, 0, 0, 0, 1]'
    holds "$work/answers.json" '[a["virtual_start"] for a in it["answers"]][:3] == [1000] * 3'
}

PRELOAD='' launch "$work/list" "$work/spaces"
halt "$process"
sums "$process" "$work/spaces.json"
holds "$work/spaces.json" "$(row 'MeMS live')['resident'] >= 100000 and $(row 'MeMS live')['bytes'] == 101504"
holds "$work/spaces.json" "$(row 'MeMS nodes')['resident'] > 0 and $(row 'MeMS holes')['bytes'] > 2000"
judge_spaces "$process"
gdb_core "$work/core" "$process"
judge_spaces "$work/core"
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
