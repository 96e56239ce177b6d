#!/bin/sh
# qemu's emulator of user processes: the emulated program has the C library's malloc, the emulator has the library's.
. "${0%/*}/lib.sh"
emulator=qemu-$(uname -m)
need "$emulator" sort awk

seq 30000 | awk '{ print $1 * 7919 % 30011, "text", $1 }' >"$directory/numbers"
# It ends without notice to its libraries, so there is no record of it; its mappings show it.
for tested in $MODES; do
    enter "$tested"
    LD_PRELOAD=$LIBRARY "$emulator" -U LD_PRELOAD "$(command -v sleep)" 60 &
    until grep -q "${LIBRARY##*/}" "/proc/$!/maps" 2>/dev/null; do
        kill -0 $! 2>/dev/null || fail "the emulator does not have the library"
        sleep 0.05
    done
    kill $!
    wait $! || :
done

compare "qemu: sort" 0 "$emulator" -U LD_PRELOAD "$(command -v sort)" -n "$directory/numbers"
compare "qemu: awk" 0 "$emulator" -U LD_PRELOAD "$(command -v awk)" \
    '{ n[$1 % 100] = n[$1 % 100] " " $3 } END { for (i = 0; i < 100; i++) print length(n[i]) }' "$directory/numbers"
