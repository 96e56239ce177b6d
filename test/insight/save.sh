#!/bin/sh
# What `mems save` keeps gives the same answers as the process it came from, and contains no user's bytes; `mems diff`
# shows what has changed between two moments.
. "${0%/*}/lib.sh"
need python3 gdb
: "${LIBMEMS:?}" "${LIBHMM:?}"
compile blocks
compile busy

# same VERB... - compares the JSON of a verb for the process and its saved heap, except names, the time, and pages shared
# with other processes, which come and go.
same() {
    for target in "$process" "$work/saved"; do
        "$INSIGHT" "$@" --json "$target" | grep -vE '"(kind|name)": "(process|saved|[0-9]+|/tmp.*)"|pause|attempts|"shared"|(youngest|oldest)_s' |
            sed 's/"kind":"[a-z]*","name":"[^"]*"//; s/"now_s": *[0-9]*//' >"$work/$(basename "$target").json"
    done
    cmp "$work/$process.json" "$work/saved.json" || fail "mems $*: $(diff "$work/$process.json" "$work/saved.json")"
    [ "$(wc -c <"$work/saved.json")" -gt 200 ] || fail "mems $* tells nothing"
}

for library in $LIBMEMS $LIBHMM; do
    PRELOAD=$library launch "$work/list" "$work/blocks"
    halt "$process"
    "$INSIGHT" save "$process" "$work/saved" || fail "mems save"
    same stats
    same map
    same check
    "$INSIGHT" diff --json "$work/saved" "$work/saved" >"$work/diff.json" || fail "mems diff"
    holds "$work/diff.json" 'it["classes"] == [] and all(row["change"] == 0 for row in it["rows"])'
    ! grep -q "nobody else's business" "$work/saved" || fail "a block's contents were saved"
    "$INSIGHT" whatis --json "$(address "$work/list" live)" "$(address "$work/list" cached)" "$work/saved" >"$work/whatis"
    holds "$work/whatis" 'it["answers"][0]["state"] == "live" and it["answers"][1]["state"] in ("cached", "free")'
    gdb_core "$work/core" "$process"
    "$INSIGHT" save "$work/core" "$work/saved_core" || fail "mems save of a core"
    "$INSIGHT" check "$work/saved_core" >/dev/null || fail "what was saved of a core is damaged"
    kill -9 "$process"
done

MEMS_OPTIONS=decay_ms=1000000 launch "$work/list" "$work/busy"
"$INSIGHT" save "$process" "$work/before" || fail "mems save of a process at work"
"$INSIGHT" trim "$process" >/dev/null || fail "mems trim"
"$INSIGHT" diff --json "$work/before" "$process" >"$work/diff.json" || fail "mems diff"
holds "$work/diff.json" 'next(r["change"] for r in it["rows"] if r["name"] == "free pages") < -6_000_000'
holds "$work/diff.json" 'it["rss_after"] < it["rss_before"]'
holds "$work/diff.json" 'next(c for c in it["classes"] if c["size"] == 1024)["resident_after"] < 1_000_000'
"$INSIGHT" diff "$work/before" "$process" | grep -q -- '-[0-9.]* MiB  free pages' || fail "the text of mems diff"
gdb_core "$work/core" "$process"
"$INSIGHT" "$work/core" >"$work/ending" || fail "mems CORE"
grep -q '^no signal has ended it' "$work/ending" || fail "gdb's stop passes for an end: $(cat "$work/ending")"

# Into a pipe, and not in place of it or of a link.
mkfifo "$work/pipe"
cat "$work/pipe" >"$work/piped" &
processes="$processes $!"
"$INSIGHT" save "$process" "$work/pipe"
wait $!
"$INSIGHT" stats "$work/piped" >/dev/null || fail "what was saved into a pipe cannot be read"
ln -s saved "$work/link"
"$INSIGHT" save "$process" "$work/link" || fail "mems save through a link"
{ [ -p "$work/pipe" ] && [ -L "$work/link" ]; } || fail "mems save has replaced a pipe or a link"
