#!/bin/sh
# The cost of a look, in system calls: `mems stats`, `map` and `whatis` read a heap in a few calls for hundreds of units,
# and let the kernel count the pages once at most; the looks of `mems serve` and `mems top` at a process that is known
# take a few dozen, whatever its heap has, samples too, and the kernel need not count its pages.
. "${0%/*}/lib.sh"
need python3 strace
own_user
cat >"$work/many.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(void) {
    for (int left = 80000; left > 0; left--) {
        *(volatile char *)malloc(1000) = 1;
    }
    puts("nothing");
    fflush(stdout);
    for (;;) {
        usleep(10000); /* it runs, so each look finds it changed */
    }
}
END
"$CC" -O1 -fno-builtin -o "$work/many" "$work/many.c"
# shellcheck disable=SC2086 # words
MEMS_OPTIONS=sample=2m launch "$work/list" $user "$work/many"

# calls FILE NAME - how many of them there were.
calls() {
    grep -c "^[0-9]* *$2(" "$1" || true
}

# at_most NUMBER FILE CALL
at_most() {
    count=$(calls "$2" "$3")
    [ "$count" -le "$1" ] || fail "$(basename "$2"): $count calls of $3, not $1 or less"
}

# 80,000 blocks of 1000 bytes are 1,250 slabs.
for verb in stats map whatis; do
    place=
    [ $verb != whatis ] || place=0x1000
    # shellcheck disable=SC2086 # a word, or none
    strace -f -o "$work/$verb" "$INSIGHT" $verb $place "$process" >/dev/null || fail "mems $verb"
    # Two for 256 units; the most are for what lies beside them, at whatever size.
    at_most 200 "$work/$verb" process_vm_readv
    at_most 40 "$work/$verb" ioctl
    # The descriptors of slabs lie side by side, and the kernel looks up the pages of each range that it is given.
    ranges=$(sed -n 's/^[0-9]* *process_vm_readv(.*, \([0-9]*\), 0) = .*/\1/p' "$work/$verb" |
        awk '{ sum += $1 } END { print sum }')
    [ "$ranges" -le 250 ] || fail "$verb reads $ranges ranges of memory, not 250 or less"
    at_most 0 "$work/$verb" ptrace
    counted=$(grep -c "/proc/$process/smaps\"" "$work/$verb" || true)
    [ "$counted" -le 1 ] || fail "$verb reads smaps $counted times"
done

# A look at one that is known: what the worker does between a question and its answer.
# shellcheck disable=SC2086 # words
$user "$INSIGHT" serve --listen 127.0.0.1:0 >"$work/server" 2>&1 &
server=$!
processes="$processes $server"
for _ in $(seq 3000); do
    worker=$(cut -d ' ' -f 1 "/proc/$server/task/$server/children")
    [ -z "$worker" ] || break
    sleep 0.1
done
: >"$work/serve"
strace -ttt -o "$work/serve" -p "$worker" 2>/dev/null &
tracer=$!
for _ in 1 2 3; do
    born=$(date +%s.%N) # before it can be seen, on a busy machine too
    # shellcheck disable=SC2086 # words
    $user sleep 600 &
    processes="$processes $!"
    echo "$! $born" >>"$work/born"
    sleep 0.4
done
for _ in $(seq 3000); do
    seen=$(grep -c " process_vm_readv($process," "$work/serve" || true)
    [ "$seen" -lt 200 ] || ! grep -q "/proc/$!/maps" "$work/serve" || break
    sleep 0.2
done
kill $tracer
kill "$server"
python3 - "$work/serve" "$process" "$work/born" <<'END' || fail "the looks of mems serve"
import re, sys

looks, look = [], []
met = False  # a question: strace may have begun in the middle of a look
probed = {}  # when which process was
for line in open(sys.argv[1], errors="replace"):
    time, call = line.split(" ", 1)
    maps = re.search('"/proc/([0-9]+)/maps"', call)
    if maps:
        probed.setdefault(maps[1], float(time))
    met |= call.startswith("recvfrom(3, ")
    look = [] if call.startswith("recvfrom(3, ") else look + [call]
    if met and call.startswith("sendto(3, ") and any(re.match("process_vm_readv." + sys.argv[2] + ",", each) for each in look):
        looks.append(look)
known = [look for look in looks if not any("smaps" in call for call in look)]
# Each process is read by smaps at first, and once a minute.
assert len(known) >= 3 and len(looks) - len(known) <= 3, (len(known), len(looks))
for look in known:
    assert len(look) <= 60, "%d calls: %s" % (len(look), "".join(call[:60] + "\n" for call in look))
# A new process, which may be short-lived, is probed after a second.
born = dict(line.split() for line in open(sys.argv[3]))
assert set(born) & set(probed), (born, probed)
for new in set(born) & set(probed):
    assert probed[new] >= float(born[new]) + 0.9, (new, born[new], probed[new])
END

# Each look of `mems top` at a known process reads its stat once, and its mappings never again.
# shellcheck disable=SC2086 # words
strace -f -e trace=openat,process_vm_readv -o "$work/top" $user "$INSIGHT" top --batch -n 10 -i 0.2 >/dev/null ||
    fail "mems top"
[ "$(grep -c "/proc/$process/stat\"" "$work/top")" -le 12 ] || fail "top: $(grep -c stat "$work/top") times stat"
[ "$(grep -c "/proc/$process/.*maps\"" "$work/top")" -le 1 ] || fail "top reads the mappings more than once"
count=$(grep -c "process_vm_readv($process," "$work/top")
[ "$count" -le 250 ] || fail "eleven looks of top: $count calls of process_vm_readv"
