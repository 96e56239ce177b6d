#!/bin/sh
# The files beside the command agree: the manual page and `mems help` have the same verbs and options, the shells
# complete these, and gdb's commands give the same answers as mems, for a process and for a core.
. "${0%/*}/lib.sh"
need python3 gdb
share=$SOURCE_DIR/insight/share
manual=$BUILD_DIR/man/man1/mems.1
compile blocks
sed 's/\\-/-/g' "$manual" >"$work/mems.1" # dashes are escaped there

PATH=${INSIGHT%/*}:$PATH # the completions ask the command

# completed WORD... - how bash completes the last word, in one line.
completed() {
    # shellcheck disable=SC2016 # expanded there
    bash -c '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mems; echo "${COMPREPLY[*]}"' "$share/mems.bash" "$@"
}

verbs=$("$INSIGHT" help | awk '/^  [a-z]/ { print $1 }')
[ "$(echo "$verbs" | wc -l)" -ge 11 ] || fail "mems help tells few verbs: $verbs"
for verb in $verbs; do
    [ "$(completed mems "$verb")" = "$verb" ] || fail "bash does not complete $verb"
    grep -qx "\.B mems $verb" "$manual" || fail "mems.1 does not know $verb"
    [ "$verb" = help ] && continue
    "$INSIGHT" help "$verb" >"$work/help" || fail "mems help $verb"
    grep -q "^Usage: mems $verb" "$work/help" || fail "mems help $verb says $(cat "$work/help")"
    options=$(sed -n 's/^ *\(-., \)\{0,1\}--\([a-z-]*\).*/\2/p' "$work/help" | grep -vx 'help\|usage\|version') || continue
    complete=$(completed mems "$verb" --)
    for option in $options; do
        echo "$complete" | grep -qw -- "--$option" || fail "bash: mems $verb has no --$option"
        grep -q -- "--$option\"" "$work/mems.1" || fail "mems.1 does not explain --$option"
    done
done
for verb in $verbs; do
    grep -q "mems $verb" "$SOURCE_DIR/docs/insight.md" || [ "$verb" = help ] || fail "docs/insight.md: no mems $verb"
done

[ "$(completed mems set 1 sample=0)" = sample=0 ] || fail "bash does not complete mems set"
[ "$(completed mems profile --format = pp)" = pprof ] || fail "bash does not complete formats"
[ "$(cd "$work" && completed mems set mem)" = '' ] || fail "bash completes files as processes"
[ "$(completed mems list x)" = '' ] || fail "bash completes mems list"
cd "$work" || exit
completed mems stats mem | grep -qw mems.1 || fail "bash does not complete files"
if command -v fish >/dev/null; then
    fish -c "source $share/mems.fish; complete -C 'mems wh'; complete -C 'mems profile --th'
        complete -C 'mems profile --format=pp'" >"$work/fish"
    grep -q '^--format=pprof' "$work/fish" || fail "fish does not complete formats"
    grep -q '^whatis.*state' "$work/fish" || fail "fish does not complete wh"
    grep -q '^--thread.*divide' "$work/fish" || fail "fish does not complete --th"
fi
if command -v zsh >/dev/null; then
    for words in 'mems wh' 'mems profile --th' 'mems run x'; do
        # shellcheck disable=SC2016 # expanded there
        zsh -fc '_describe() { print -rl -- "${(@P)2}"; }; _alternative() { print -rl -- "$@"; }
            words=(${(z)1}) CURRENT=${#words} PREFIX=$words[-1]
            source $2' zsh "$words" "$share/_mems" >>"$work/zsh"
    done
    grep -q '^whatis:.*state' "$work/zsh" || fail "zsh does not complete wh"
    grep -q '^--thread:.*divide' "$work/zsh" || fail "zsh does not complete --th"
    grep -q '^files:' "$work/zsh" || fail "zsh does not complete files behind mems run"
fi
if command -v man >/dev/null; then
    [ -z "$(man -l --warnings -E UTF-8 "$manual" 2>&1 >/dev/null)" ] || fail "man complains about mems.1"
fi

# debug TARGET-OPTION TARGET - the output of gdb's commands.
debug() {
    MEMS=$INSIGHT gdb -batch -nx "$work/blocks" "$@" -ex "source $share/mems.gdb.py" -ex 'mems-whatis in_data many[1]' \
        -ex mems-stats -ex mems-map -ex 'mems-map many[1]' >"$work/gdb" 2>&1
    for said in 'in the mapping' 'in a slot of 16 bytes that is .*live' 'libmems [0-9]' "the engine's window" \
        '4096 slots of 16 bytes'; do
        grep -q "$said" "$work/gdb" || fail "gdb $1: no \"$said\" in $(cat "$work/gdb")"
    done
}
launch "$work/list" "$work/blocks"
gdb_core "$work/core" "$process"
debug -p "$process"
debug -c "$work/core"
MEMS=$INSIGHT gdb -batch -nx -c "$work/core" -ex "source $share/mems.gdb.py" -ex mems-check >"$work/gdb" 2>&1
grep -q 'all is well' "$work/gdb" || fail "mems-check says $(cat "$work/gdb")"
