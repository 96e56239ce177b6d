#!/bin/sh
# `mems whatis` knows what harden=full knows of a block: its exact size, whether its canary has changed, and whether it is
# in quarantine; in a running process and in a core of the kernel's (gdb's lacks what follows a guard in its mapping).
# `mems check` finds a heap with a quarantine in order, and the live blocks whose canaries have changed.
. "${0%/*}/lib.sh"
need python3
compile hardened

# judge TARGET LIST OUTPUT
judge() {
    addresses=$(for name in live overflown quarantined fenced; do address "$2" "$name"; done)
    # shellcheck disable=SC2086 # a list
    "$INSIGHT" whatis --json $addresses "$1" >"$3" || fail "mems whatis --json of $1"
    # shellcheck disable=SC2086
    "$INSIGHT" whatis $addresses "$1" >"$3.text" || fail "mems whatis of $1"
    holds "$3" '[a["state"] for a in it["answers"]] == ["live", "live", "cached", "quarantined"]'
    holds "$3" '[a["requested"] for a in it["answers"][:3]] == [100, 20, 40]'
    holds "$3" '[a["canary_changed"] for a in it["answers"][:3]] == [0, 3, 0]'
    holds "$3" 'it["answers"][2]["kept"] == "its heap'"'"'s quarantine"'
    grep -q 'its block has 100 bytes' "$3.text" || fail "the text does not tell the size: $(cat "$3.text")"
    grep -q 'its last block has 40 bytes' "$3.text" || fail "the text does not tell of the last block"
    grep -q 'overflow: 3 bytes of its canary changed, the first one 0 bytes behind its end' "$3.text" ||
        fail "the text does not tell the overflow: $(cat "$3.text")"
    grep -q 'large block that is quarantined' "$3.text" || fail "the text does not tell of the fenced block"
}

# overflows TARGET LIST OUTPUT NAME... - `mems check` finds these blocks damaged, and nothing else.
overflows() {
    target=$1 list=$2 output=$3
    shift 3
    status=0
    "$INSIGHT" check --json "$target" >"$output" || status=$?
    [ "$status" -eq 1 ] || fail "mems check of $target: exit status $status: $(cat "$output")"
    addresses=$(for name; do address "$list" "$name"; done | paste -sd,)
    holds "$output" "sorted(f['where'] for f in it['findings']) == sorted([$addresses])"
    holds "$output" 'all(f["what"].startswith("overflow: a live block of ") for f in it["findings"])'
}

export MEMS_OPTIONS=harden=full
launch "$work/list" "$work/hardened"
judge "$process" "$work/list" "$work/live.json"
overflows "$process" "$work/list" "$work/check.json" overflown large huge
"$INSIGHT" check "$process" >"$work/check" || true
grep -q "$(address "$work/list" overflown): overflow: a live block of 20 bytes: 3 of its canary's changed, the first one 0 behind its end" "$work/check" ||
    fail "the text does not tell of the overflow: $(cat "$work/check")"
holds "$work/check.json" 'it["certain"]'
if kernel_core "$work/kernel" "$work/kernel.list" "$work/hardened" abort; then
    judge "$work/kernel" "$work/kernel.list" "$work/kernel.json"
    overflows "$work/kernel" "$work/kernel.list" "$work/kernel.check" overflown large huge
else
    echo "the kernel's cores go elsewhere: not tried"
fi

for mode in light full; do
    launch "$work/intact" env MEMS_OPTIONS=harden=$mode "$work/hardened" intact
    "$INSIGHT" check "$process" >"$work/check" || fail "mems check of an intact heap in $mode: $(cat "$work/check")"
    if command -v gcore >/dev/null && gcore -o "$work/gdb" "$process" >/dev/null 2>&1; then
        "$INSIGHT" check "$work/gdb.$process" >"$work/check" || fail "mems check of gdb's core: $(cat "$work/check")"
        rm "$work/gdb.$process"
    fi
done
launch "$work/list" env MEMS_OPTIONS=harden=light "$work/hardened"
overflows "$process" "$work/list" "$work/light.json" large huge
