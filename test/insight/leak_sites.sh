#!/bin/sh
# `mems leaks` groups sampled blocks by where they were allocated, names the likely place of the others, and omits what a
# rule accepts by a function, file or module of that stack.
. "${0%/*}/lib.sh"
need python3
[ "${LIBRARY##*/}" != libhmm.so ] || exit 77 # it takes no samples
compile leak_sites

# leaks STATUS OPTION... - into $work/leaks.json.
leaks() {
    wanted=$1
    shift
    status=0
    "$INSIGHT" leaks --json "$@" "$process" >"$work/leaks.json" 2>"$work/error" || status=$?
    [ $status -eq "$wanted" ] || fail "mems leaks $*: status $status, $(cat "$work/error" "$work/leaks.json")"
}
cat >"$work/names.py" <<'END'
def names(group, member="frames"):
    return [frame["function"] for frame in group.get(member, [])]
def of(it, function, member="frames"):
    return [g for g in it["groups"] if function in names(g, member)]
END

# holds_of EXPRESSION - the same with these functions.
holds_of() {
    holds "$work/leaks.json" "exec(open('$work/names.py').read(), globals()) or ($1)"
}

MEMS_OPTIONS=sample=1 launch "$work/list" "$work/leak_sites"
leaks 1
holds_of '[g["blocks"] for g in of(it, "forget_seldom")] == [300]'
holds_of '[g["blocks"] for g in of(it, "forget_often")] == [3000]'
holds_of '[(g["blocks"], g["below_blocks"]) for g in of(it, "accepted")] == [(50, 50)]'
holds_of 'names(of(it, "accepted")[0])[:3] == ["take", "accepted", "main"]'
"$INSIGHT" leaks "$process" >"$work/text" || true
grep -q '3000 .* 100 bytes each' "$work/text" || fail "no group of 3000: $(cat "$work/text")"
grep -q 'allocated by$' "$work/text" || fail "no stack: $(cat "$work/text")"
grep -q ' forget_often leak_sites.c:[0-9]*$' "$work/text" || fail "no function: $(cat "$work/text")"

for pattern in accepted '^accept*d$' ; do
    echo "leak:$pattern" >"$work/rules"
    leaks 1 --suppressions "$work/rules"
    holds_of 'of(it, "accepted") == [] and it["suppressed"]["blocks"] == 100 and it["leaks"] == 3300'
done
for pattern in leak_sites.c leak_sites; do # the file, the module
    echo "leak:/$pattern\$" >"$work/rules"
    leaks 0 --suppressions "$work/rules"
    holds_of 'it["suppressed"]["blocks"] == 3400'
done
echo 'leak:^accept$' >"$work/rules"
leaks 1 --suppressions "$work/rules"
holds_of 'it["suppressed"]["blocks"] == 0'
echo 'leak:^malloc$' >"$work/rules" # the heap's own frames are not the program's
leaks 1 --suppressions "$work/rules"
holds_of 'it["suppressed"]["blocks"] == 0'

# If some of the blocks are sampled, the others have a likely place.
kill -9 "$process"
MEMS_OPTIONS=sample=4k launch "$work/list" "$work/leak_sites"
leaks 1
holds_of 'len(of(it, "forget_often")) == 1'
holds_of '[g["size"] for g in of(it, "forget_often", "likely_frames")] == [112]'
"$INSIGHT" leaks "$process" >"$work/text" || true
grep -q 'leaked samples that look the same were allocated by' "$work/text" || fail "nothing likely: $(cat "$work/text")"

# If none is, the command says that rules about stacks have no effect.
kill -9 "$process"
launch "$work/list" "$work/leak_sites"
leaks 1 --suppressions "$work/rules"
grep -q 'no block has been sampled' "$work/error" || fail "it says $(cat "$work/error")"
leaks 1
[ ! -s "$work/error" ] || fail "it says $(cat "$work/error")"
