#!/bin/sh
# A fault in a sampled block is explained by `mems CORE` from the core alone, by `mems run`, and with guard_report=on by
# the process itself, which still ends as before.
. "${0%/*}/lib.sh"
need python3
compile sites
unset LD_PRELOAD MEMS_OPTIONS || true

# explained FILE KIND - whether a text has the whole explanation.
explained() {
    case $2 in
    late)
        grep -q 'at byte 10 of a sampled block of 100 bytes that is freed' "$1" || fail "$2: $(cat "$1")"
        grep -q 'freed .* ago by a thread that has ended' "$1" || fail "$2: who has freed it: $(cat "$1")"
        grep -q 'drop_block sites.c' "$1" || fail "$2: where it was freed: $(cat "$1")"
        ;;
    behind)
        grep -q '17 bytes behind the end of a sampled block of 100 bytes that is live' "$1" || fail "$2: $(cat "$1")"
        ;;
    esac
    grep -q 'take_block sites.c' "$1" || fail "$2: where it was allocated: $(cat "$1")"
}

for kind in late behind; do
    status=0
    "$INSIGHT" run --library "$LIBRARY" -o sample=1 -- "$work/sites" $kind >/dev/null 2>"$work/run" || status=$?
    [ $status -eq 139 ] || fail "mems run: status $status"
    explained "$work/run" $kind
    export MEMS_OPTIONS=sample=1
    if kernel_core "$work/core.$kind" "$work/list" "$work/sites" $kind; then
        "$INSIGHT" "$work/core.$kind" >"$work/told" || fail "mems CORE"
        explained "$work/told" $kind
        grep -q 'thread [0-9]* touched 0x' "$work/told" || fail "which thread it was: $(cat "$work/told")"
    else
        echo "the kernel's cores go elsewhere: not tried"
    fi
    MEMS_OPTIONS=sample=1,guard_report=on
    status=0
    LD_PRELOAD=$LIBRARY "$work/sites" $kind >/dev/null 2>"$work/report" || status=$?
    unset MEMS_OPTIONS
    [ $status -eq 139 ] || fail "guard_report=on: status $status"
    grep -q 'mems: fault at 0x.* of a block of 100 bytes' "$work/report" || fail "it reports $(cat "$work/report")"
    grep -q 'mems: allocated by thread 1 ' "$work/report" || fail "it reports $(cat "$work/report")"
    [ $kind = behind ] || grep -q 'mems: freed by thread ' "$work/report" || fail "it reports $(cat "$work/report")"
done
