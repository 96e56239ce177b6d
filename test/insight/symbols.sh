#!/bin/sh
# Symbols are read by a child of the command mems: a file that makes libdw crash, wait or take memory costs only names, and
# no name can send control characters to a terminal.
. "${0%/*}/lib.sh"
need gdb readelf
compile blocks
unset LD_PRELOAD
"$CC" -std=c17 -D_GNU_SOURCE -shared -fPIC -O1 -o "$work/hostile.so" "$SOURCE_DIR/test/insight/symbols.c"
launch "$work/list" "$work/blocks"
code=0x$(sed -n 's,-.* r-xp .*/blocks$,,p' "/proc/$process/maps")
block=$(address "$work/list" live)

# ask HOW - what it says of code, and of a block.
ask() {
    status=0
    LD_PRELOAD=$work/hostile.so HOSTILE=$1 timeout 600 "$INSIGHT" whatis "$code" "$block" "$process" \
        >"$work/told" 2>"$work/errors" || status=$?
    [ $status -eq 0 ] || fail "$1: status $status, $(cat "$work/errors")"
    grep -q '/blocks, at 0x' "$work/told" || fail "$1: the mapping is not told: $(cat "$work/told")"
    grep -q 'that is live' "$work/told" || fail "$1: the block is not told: $(cat "$work/told")"
}

for how in crash hang long; do
    ask $how
    [ "$(grep -c 'symbol names are missing' "$work/errors")" -eq 1 ] || fail "$how: it warns $(cat "$work/errors")"
done
ask grow
grep -q '^  limited$' "$work/told" || fail "memory is not limited: $(cat "$work/told")"
ask lie
grep -q 'evil?\[31m???name$' "$work/told" || fail "a name is printed as $(cat -v "$work/told")"
[ ! -s "$work/errors" ] || fail "it warns $(cat "$work/errors")"

# A core whose program is elsewhere: places in files, or the names from there; another file of that name is not taken.
MEMS_OPTIONS=sample=1 launch "$work/list" "$work/blocks"
gdb_core "$work/core" "$process"
"$INSIGHT" save "$process" "$work/saved"
kill -9 "$process"
mkdir "$work/elsewhere" "$work/wrong"
mv "$work/blocks" "$work/elsewhere"
cp /bin/sh "$work/wrong/blocks"
# names TARGET OPTION... - of its functions.
names() {
    "$INSIGHT" profile --flat --rows 0 "$@" >"$work/told" || fail "profile $*"
}
names "$work/core"
grep -q ' blocks+0x[0-9a-f]*$' "$work/told" || fail "no place in the file: $(cat "$work/told")"
names "$work/core" --symbols "$work/wrong"
grep -q ' blocks+0x[0-9a-f]*$' "$work/told" || fail "another file is taken: $(cat "$work/told")"
for target in "$work/core" "$work/saved"; do
    names "$target" --symbols "$work/elsewhere" --symbols "$work/wrong"
    grep -q ' main blocks.c:[0-9]*$' "$work/told" || fail "$target: no name from elsewhere: $(cat "$work/told")"
done
id=$(readelf -n "$work/elsewhere/blocks" | sed -n 's/.*Build ID: //p')
mkdir -p "$work/ids/.build-id/${id%"${id#??}"}"
mv "$work/elsewhere/blocks" "$work/ids/.build-id/${id%"${id#??}"}/${id#??}"
MEMS_SYMBOLS=/nowhere:$work/ids names "$work/core"
grep -q ' main blocks.c:[0-9]*$' "$work/told" || fail "no name by the build id: $(cat "$work/told")"
