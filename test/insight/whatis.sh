#!/bin/sh
# `mems whatis` says what each address is, for the running process, a core by gdb and one by the kernel, in words and in
# JSON, with the same answers.
. "${0%/*}/lib.sh"
need python3 gdb
compile blocks
names='live inside cached remote large large_inside huge data code nothing'

# answers TARGET LIST OUTPUT - for all that the program printed, as JSON.
answers() {
    addresses=$(for name in $names; do address "$2" "$name"; done)
    # shellcheck disable=SC2086 # a list
    "$INSIGHT" whatis --json $addresses "$1" >"$3" || fail "mems whatis --json of $1"
    # shellcheck disable=SC2086
    "$INSIGHT" whatis $addresses "$1" >"$3.text" || fail "mems whatis of $1"
}

# judge OUTPUT - checks the answers about the program's blocks.
judge() {
    holds "$1" '[a["kind"] for a in it["answers"]] ==
        ["slot"] * 4 + ["large block"] * 2 + ["huge block", "mapping", "mapping", "nothing"]'
    holds "$1" '[a["state"] for a in it["answers"][:7]] ==
        ["live", "live", "cached", "freed by another thread, and not collected yet", "live", "live", "live"]'
    holds "$1" '[a["offset"] for a in it["answers"][:7]] == [0, 50, 0, 0, 0, 70000, 12345]'
    holds "$1" '[a["size"] for a in it["answers"][:6]] == [112, 112, 112, 3072, 307200, 307200]'
    holds "$1" 'it["answers"][2]["kept"] == "its thread'"'"'s magazine"'
    holds "$1" 'it["answers"][0]["thread"] == it["target"]["pid"] > 0'
    holds "$1" 'it["answers"][0]["after"]["start"] == it["answers"][0]["start"] + 112'
    holds "$1" 'it["answers"][7]["symbol"] == "in_data" and it["answers"][8]["symbol"] == "free_for_main"'
    grep -q 'at its byte 50' "$1.text" || fail "the text does not say where in the block: $(cat "$1.text")"
    grep -q 'it lies in its thread.s magazine' "$1.text" || fail "the text does not tell the magazine"
    [ "$(grep -c '^0x' "$1.text")" -eq 10 ] || fail "the text does not have all answers"
}

for check in every deferred; do
    MEMS_OPTIONS=check=$check launch "$work/list" "$work/blocks"
    answers "$process" "$work/list" "$work/live.json"
    judge "$work/live.json"
    gdb_core "$work/core" "$process"
    answers "$work/core" "$work/list" "$work/core.json"
    judge "$work/core.json"
    kill -9 "$process"
done


if kernel_core "$work/kernel" "$work/kernel.list" "$work/blocks" abort; then
    answers "$work/kernel" "$work/kernel.list" "$work/kernel.json"
    judge "$work/kernel.json"
else
    echo "the kernel's cores go elsewhere: not tried"
fi

# Wrong arguments are errors.
"$INSIGHT" whatis 12x "$work/core" 2>"$work/error" && fail "12x is an address"
grep -q '12x: not an address' "$work/error" || fail "of 12x it says $(cat "$work/error")"
"$INSIGHT" whatis 0x10 "$work/list" 2>"$work/error" && fail "a text is a core"
grep -q 'not a core' "$work/error" || fail "of a text it says $(cat "$work/error")"
"$INSIGHT" whatis 0x10 $$ 2>"$work/error" && fail "this shell has a heap"
grep -q 'there is no heap of libmems' "$work/error" || fail "of a process without a heap it says $(cat "$work/error")"
