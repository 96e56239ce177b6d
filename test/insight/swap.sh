#!/bin/sh
# Swapped pages are shown apart from Rss, and count where contents matter: what only they point to is no leak, and looking
# does not bring them back.
. "${0%/*}/lib.sh"
need python3
[ "$(wc -l </proc/swaps)" -gt 1 ] || {
    echo "swap.sh: skipped: there is no swap"
    exit 77
}
compile blocks
compile leaks
echo "static __thread void *pointer; void **place(void) { return &pointer; }" >"$work/module.c"
"$CC" -shared -fPIC -o "$work/module.so" "$work/module.c"

# swap_out PROCESS - its own pages, if the kernel takes them.
swap_out() {
    python3 "${0%/*}/page_out.py" "$1" anonymous || exit $?
    swapped=$(awk '/^VmSwap:/ { print $2 }' "/proc/$1/status")
    [ "$swapped" -gt 0 ] || exit 77
}

launch "$work/list" "$work/blocks"
halt "$process"
"$INSIGHT" stats --json "$process" >"$work/before.json"
swap_out "$process"
"$INSIGHT" stats --json "$process" >"$work/after.json"
holds "$work/after.json" 'it["swap"] > 0 and sum(r["resident"] for r in it["rows"]) == it["rss"]'
holds "$work/after.json" 'sum(r["swapped"] for r in it["rows"]) > 0'
python3 - "$work" <<'END' || fail "the heap is reported differently when it is swapped out"
import json, sys
before, after = (json.load(open("%s/%s.json" % (sys.argv[1], name))) for name in ("before", "after"))
slots = [[{k: c[k] for k in ("size", "live", "free")} for c in it["classes"]] for it in (before, after)]
sys.exit(slots[0] != slots[1] or after["rss"] >= before["rss"])
END

kill -9 "$process"
launch "$work/list" "$work/leaks" "$work/module.so"
status=0
"$INSIGHT" leaks --json "$process" >"$work/before.json" || status=$?
[ $status -eq 1 ] || fail "mems leaks: status $status"
swap_out "$process"
status=0
"$INSIGHT" leaks --json "$process" >"$work/after.json" || status=$?
[ $status -eq 1 ] || fail "mems leaks of swapped memory: status $status"
python3 - "$work" <<'END' || fail "other leaks are found when memory is swapped out"
import json, sys
found = [sorted(a for g in json.load(open("%s/%s.json" % (sys.argv[1], name)))["groups"] for a in g["addresses"])
         for name in ("before", "after")]
sys.exit(found[0] != found[1] or not found[0])
END
