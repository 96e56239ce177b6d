#!/bin/sh
# `mems whatis` knows what harden=full knows of a block: its exact size, whether its canary has changed, and whether it is
# in quarantine; in a running process and in a core of the kernel's (gdb's lacks what follows a guard in its mapping).
# `mems check` finds a heap with a quarantine in order.
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

export MEMS_OPTIONS=harden=full
launch "$work/list" "$work/hardened"
judge "$process" "$work/list" "$work/live.json"
"$INSIGHT" check "$process" >"$work/check" || fail "mems check: $(cat "$work/check")"
if kernel_core "$work/kernel" "$work/kernel.list" "$work/hardened" abort; then
    judge "$work/kernel" "$work/kernel.list" "$work/kernel.json"
else
    echo "the kernel's cores go elsewhere: not tried"
fi
