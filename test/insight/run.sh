#!/bin/sh
# `mems run` runs a command on the library, with options, and passes on its exit status and signals; it explains a fatal
# signal; says why a program cannot be run so; and shows the heap at the end.
. "${0%/*}/lib.sh"
need python3
: "${LIBMEMS:?}" "${LIBHMM:?}"
compile crash
unset LD_PRELOAD MEMS_OPTIONS || true

# ended STATUS PATTERN ARGUMENT... - of `mems run`, which prints the pattern ("": nothing).
ended() {
    wanted=$1 pattern=$2
    shift 2
    status=0
    "$INSIGHT" run "$@" >"$work/output" 2>"$work/error" || status=$?
    [ $status -eq "$wanted" ] || fail "$*: status $status, $(cat "$work/error")"
    if [ -z "$pattern" ]; then
        [ ! -s "$work/error" ] || fail "$*: it says $(cat "$work/error")"
    else
        grep -q "$pattern" "$work/error" || fail "$*: it does not say \"$pattern\", but $(cat "$work/error")"
    fi
}

ended 7 '' -- "$work/crash"
ended 3 '' -- sh -c 'exit 3'
ended 0 '' -o check=deferred -o decay_ms=5 -- sh -c 'echo "$MEMS_OPTIONS $LD_PRELOAD"'
grep -q "^check=deferred,decay_ms=5 .*/libmems.so" "$work/output" || fail "the environment is $(cat "$work/output")"
ended 0 '' --hmm -- sh -c 'echo "$LD_PRELOAD"'
grep -q "/libhmm.so" "$work/output" || fail "it runs not on libhmm"
ended 143 'signal 15' -- sh -c 'kill -TERM $$'
ended 0 '' -- sh -c 'trap "exit 0" TERM; kill -TERM $$; exit 1'

ended 139 "ended by signal 11" -- "$work/crash" freed
# The explanation goes to standard error, not into the command's output.
[ ! -s "$work/output" ] || fail "the output has $(cat "$work/output")"
for kind in freed thread; do
    ended 139 'in a huge block that is freed, and given back, .*at its byte 12345' -- "$work/crash" $kind
done
ended 139 'process [0-9]* sent it that signal' -- "$work/crash" sent
! grep -q 'touched' "$work/error" || fail "the sender is taken for an address: $(cat "$work/error")"
[ "$(uname -m)" != x86_64 ] || ended 139 'the processor gave no address' -- "$work/crash" wild
if kernel_core "$work/core" "$work/list" "$work/crash" sent; then
    "$INSIGHT" "$work/core" >"$work/told" || fail "mems CORE"
    grep -q 'process [0-9]* sent it that signal' "$work/told" || fail "of a signal that was sent: $(cat "$work/told")"
    ! grep -q 'touched' "$work/told" || fail "the sender is taken for an address: $(cat "$work/told")"
fi
for library in "$LIBMEMS" "$LIBHMM"; do
    core=$work/${library##*/}.core
    if LIBRARY=$library kernel_core "$core" "$work/list" env MEMS_OPTIONS=sample=0 "$work/crash" twice; then
        "$INSIGHT" "$core" >"$work/told" || fail "mems CORE"
        grep -q '^  mems: free(0x.*: double free: .* \[thread [0-9]*\]$' "$work/told" ||
            fail "the core's report is not told: $(cat "$work/told")"
        grep -q '^0x[0-9a-f]*: in an\{0,1\} .* that is cached' "$work/told" || fail "nor what its address is: $(cat "$work/told")"
        slot=$(sed -n 's/.*: \(slot [0-9]* of\) a .*/\1/p' "$work/told")
        grep -q "^  $slot" "$work/told" || fail "report and answer count slots differently: $(cat "$work/told")"
    fi
done
ended 134 'double free' -- "$work/crash" twice
ended 134 'it has aborted' -- "$work/crash" abort

ended 139 '' --detach -- "$work/crash" freed
ended 7 '' --stats --map --save "$work/saved" -- "$work/crash"
grep -q 'Rss  *their sum' "$work/output" || fail "no statistics in the end"
grep -q "the engine's window" "$work/output" || fail "no map in the end"
"$INSIGHT" stats --json "$work/saved" >"$work/stats.json" || fail "what was saved cannot be read"
holds "$work/stats.json" 'it["huge"]["bytes"] == 100 << 20 and it["target"]["kind"] == "saved"'

cp "$work/crash" "$work/setuid"
compile crash -static
ended 2 'it is static' -- "$work/crash"
ended 2 'there is no such command' -- "$work/no_such_program"
echo text >"$work/text"
chmod +x "$work/text"
ended 2 'not a program or script' -- "$work/text"
if command -v musl-gcc >/dev/null; then
    musl-gcc -pthread -o "$work/musl" "$SOURCE_DIR/test/insight/crash.c"
    ended 2 'uses musl, and .* is for glibc' -- "$work/musl"
fi
chmod u+s "$work/setuid"
if [ "$(id -u)" -eq 0 ] && id nobody >/dev/null 2>&1 && command -v setpriv >/dev/null; then
    chmod 755 "$work"
    status=0
    setpriv --reuid=nobody --clear-groups "$INSIGHT" run -- "$work/setuid" 2>"$work/error" || status=$?
    [ $status -eq 2 ] || fail "a setuid program: status $status"
    grep -q 'setuid' "$work/error" || fail "of a setuid program it says $(cat "$work/error")"
fi
ended 2 'No such file' --library "$work/none.so" -- "$work/setuid"
