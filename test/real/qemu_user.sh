#!/bin/sh
# qemu's emulator of user processes: the emulated program has the C library's malloc, the emulator that of the library.
. "${0%/*}/lib.sh"
emulator=qemu-$(uname -m)
need "$emulator" sort awk

seq 30000 | awk '{ print $1 * 7919 % 30011, "text", $1 }' >"$directory/numbers"
# It ends without a word to the libraries in it, so that no record tells of it: its mappings do.
LD_PRELOAD=$LIBRARY "$emulator" -U LD_PRELOAD "$(command -v sleep)" 2 &
sleep 1
grep -q "${LIBRARY##*/}" "/proc/$!/maps" || fail "the emulator does not have the library"
wait

compare "qemu: sort" 0 "$emulator" -U LD_PRELOAD "$(command -v sort)" -n "$directory/numbers"
compare "qemu: awk" 0 "$emulator" -U LD_PRELOAD "$(command -v awk)" \
    '{ n[$1 % 100] = n[$1 % 100] " " $3 } END { for (i = 0; i < 100; i++) print length(n[i]) }' "$directory/numbers"
