#!/bin/sh
# `mems leaks` reports exactly the blocks that no pointer leads to: with every kind of root, for processes and cores, for
# the three heaps; with paths, suppressions and its exit status.
. "${0%/*}/lib.sh"
need python3 gdb
: "${LIBHMM:?}" "${LIBMEMS:?}"
compile leaks
cat >"$work/module.c" <<'END'
static __thread void *pointer;
void **place(void) { return &pointer; }
END
"$CC" -shared -fPIC -o "$work/module.so" "$work/module.c"

# leaks STATUS OPTION... TARGET - into $work/leaks.json.
leaks() {
    wanted=$1
    shift
    status=0
    "$INSIGHT" leaks --json "$@" >"$work/leaks.json" || status=$?
    [ $status -eq "$wanted" ] || fail "mems leaks $*: status $status, $(cat "$work/leaks.json")"
}

# compare LIST - finds the blocks that the program printed.
compare() {
    python3 - "$1" "$work/leaks.json" <<'END' || fail "$1: not as it should be"
import json, sys
told = [line.split() for line in open(sys.argv[1]) if len(line.split()) > 1]
it = json.load(open(sys.argv[2]))
places = {state: {int(word[1], 16): word[2] for word in told if word[0] == state and len(word) > 2}
          for state in ("kept", "leaked", "below", "cycle", "mangled")}
found = {address for group in it["groups"] for address in group["addresses"]}
wrong = ["%s is reported as a leak" % places["kept"][a] for a in found if a in places["kept"]]
wrong += ["%s is not told" % how for a, how in places["leaked"].items() if a not in found]
wrong += ["%s is reported" % how for a, how in places["below"].items() if a in found]
wrong += ["mangled is reported" for a in places["mangled"] if a in found]
if len([a for a in found if a in places["cycle"]]) != 1 or sum(g["cycles"] for g in it["groups"]) != 1:
    wrong.append("of a cycle one block is told, as such")
if it["below_blocks"] != len(places["below"]) + 2 or it["leaks"] != len(places["leaked"]) + 1:
    wrong.append("%d blocks are below, and %d leaks" % (it["below_blocks"], it["leaks"]))
if it["suppressed"]["blocks"] != len(places["mangled"]):
    wrong.append("%d are suppressed" % it["suppressed"]["blocks"])
for line in wrong:
    print(line)
if wrong:
    print(json.dumps(it["groups"], indent=1), open(sys.argv[1]).read())
sys.exit(bool(wrong))
END
}

for library in "$LIBMEMS" "$LIBHMM"; do
    PRELOAD=$library HMM_OPTIONS=break=simulated launch "$work/list" "$work/leaks" "$work/module.so"
    leaks 1 "$process"
    compare "$work/list"
    holds "$work/leaks.json" 'it["pause_ms"] > 0 and it["lock_held"] is None'
    holds "$work/leaks.json" 'any(g.get("text") == "a text that nobody reads" for g in it["groups"])'
    gdb_core "$work/core" "$process"
    leaks 1 "$work/core"
    compare "$work/list"
    [ "$library" = "$LIBHMM" ] || cp "$work/list" "$work/first"
    [ "$library" = "$LIBHMM" ] || first=$process
done

# A path from a root; leaked blocks have none.
process=$first
why() {
    wanted=$1 pattern=$2 place=$3
    status=0
    "$INSIGHT" leaks --why "$place" "$process" >"$work/why" || status=$?
    [ $status -eq "$wanted" ] || fail "--why $place: status $status, $(cat "$work/why")"
    grep -q "$pattern" "$work/why" || fail "--why $place: no \"$pattern\" in $(cat "$work/why")"
}
named() {
    awk -v how="$1" '$3 == how { place = $2 } END { print place }' "$work/first"
}
why 0 '  in_bss' "$(named in_bss)"
why 0 '  in_far_bss' "$(named in_far_bss)" # on pages that no file is mapped on
why 0 '  inner' "$(named inner)"
why 0 '  chain' "$(named chain)"
[ "$(grep -c '^  -> ' "$work/why")" -eq 3 ] || fail "three blocks are on the path: $(cat "$work/why")"
why 0 'the stack of thread' "$(named on_the_stack)"
why 1 'it is leaked' "$(named small)"
why 1 'it is below a leak' "$(named below_a_leak)"
if [ "$(uname -m)" = x86_64 ]; then
    why 0 'r13 of thread' "$(named in_a_register)"
    why 0 'a vector register of thread' "$(named in_a_vector_register)"
    why 0 'only a mangled pointer leads to it' "$(named mangled)"
fi
"$INSIGHT" leaks --json --why "$(named chain)" "$process" >"$work/why.json" || fail "--why as JSON"
holds "$work/why.json" 'len(it["path"]) == 3 and it["root"].startswith("chain") and not it["leaked"]'
status=0
"$INSIGHT" leaks --why 0x10 "$process" 2>"$work/error" || status=$?
{ [ $status -eq 2 ] && grep -q 'in no live block' "$work/error"; } || fail "--why of nothing: status $status, $(cat "$work/error")"

# Rules; blocks that a rule accepts are counted separately, with all that they lead to.
leaks 1 --no-suppressions "$process"
[ "$(uname -m)" != x86_64 ] || holds "$work/leaks.json" 'any(g["size"] == 768 for g in it["groups"])'
printf '# a comment\n\n text:^a text*reads$ \nsize:64\nsize:128\nsize:256\n' >"$work/rules"
echo 'size:384' >"$work/more"
leaks 1 --suppressions "$work/rules" --suppressions "$work/more" "$process"
holds "$work/leaks.json" 'it["leaks"] == 1 and it["groups"][0]["kind"] == "large block"'
holds "$work/leaks.json" 'it["below_blocks"] == 0 and it["suppressed"]["blocks"] >= 11'
holds "$work/leaks.json" 'sum(r["blocks"] for r in it["suppressed"]["rules"]) == it["suppressed"]["blocks"]'
echo 'size:307200' >>"$work/more"
leaks 0 --suppressions "$work/rules" --suppressions "$work/more" "$process"
for line in size:many mangled:musl no_rule leak:; do
    echo "$line" >"$work/rules"
    status=0
    "$INSIGHT" leaks --suppressions "$work/rules" "$process" 2>"$work/error" || status=$?
    { [ $status -eq 2 ] && grep -q "rules, line 1: \"$line\"" "$work/error"; } || fail "$line: $status, $(cat "$work/error")"
done

# refused PATTERN ARGUMENT... - with status 2.
refused() {
    pattern=$1
    shift
    status=0
    "$INSIGHT" leaks "$@" >/dev/null 2>"$work/error" || status=$?
    { [ $status -eq 2 ] && grep -q "$pattern" "$work/error"; } || fail "leaks $*: $status, $(cat "$work/error")"
}
"$INSIGHT" save "$process" "$work/saved"
refused 'no contents of blocks' "$work/saved"
python3 - "$work/core" "$work/short" <<'END'
import struct, sys
core = open(sys.argv[1], "rb").read()
first, = struct.unpack_from("<Q", core, 32)
count, = struct.unpack_from("<H", core, 56)
headers = [struct.unpack_from("<IIQQQQ", core, first + 56 * i) for i in range(count)]
open(sys.argv[2], "wb").write(core[:max(h[2] + h[5] for h in headers if h[0] == 1) - 4096])
END
refused 'cut short: the missing part' "$work/short"
refused 'No such file' --suppressions "$work/none" "$process"

# At the end of a command: the same blocks except main's, and its status.
status=0
"$INSIGHT" run --leaks -- "$work/leaks" "$work/module.so" end >"$work/list" 2>"$work/error" || status=$?
[ $status -eq 1 ] || fail "run --leaks: status $status, $(cat "$work/error")"
grep -q '^[0-9]* leaks, ' "$work/error" || fail "run --leaks tells $(cat "$work/error")"
for how in on_a_thread in_a_register in_the_red_zone in_dynamic_tls below_a_stack; do
    place=$(awk -v how="$how" 'index($3, how) { print $2 }' "$work/list")
    ! grep -q "$place" "$work/error" || fail "run --leaks tells of $how: $(cat "$work/error")"
done
status=0
"$INSIGHT" run --leaks -- sh -c 'exit 3' 2>/dev/null || status=$?
[ $status -eq 3 ] || fail "the command's status is lost: $status"
"$INSIGHT" run --leaks -- sh -c 'echo all is well' >"$work/output" 2>"$work/error" || fail "leaks: $(cat "$work/error")"
grep -q '^no leaks' "$work/error" || fail "run --leaks tells $(cat "$work/error")"
