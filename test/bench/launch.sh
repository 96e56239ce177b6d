#!/bin/sh
# launch measures a command, and gives it as many cores as it was told.
set -eu
. "${0%/*}/lib.sh"
"$CC" -std=c17 -D_GNU_SOURCE -O2 -o "$scratch/launch" "$SOURCE_DIR/bench/launch.c"
[ "$(BENCH_CORES=1 "$scratch/launch" "$scratch/took" nproc)" = 1 ] || fail "not one core"
[ "$("$scratch/launch" "$scratch/took" nproc)" = "$(nproc)" ] || fail "not all cores"
! BENCH_CORES=0 "$scratch/launch" "$scratch/took" true 2>/dev/null || fail "no core at all"
status=0
"$scratch/launch" "$scratch/took" sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done; sleep 0.1; exit 3' || status=$?
[ $status = 3 ] || fail "exit status $status in place of 3"
tr ' ' '\n' <"$scratch/took" >"$scratch/fields"
for name in seconds user system peak_rss_kib minor_faults major_faults voluntary_switches involuntary_switches status; do
    contains "$scratch/fields" "^$name=[0-9]"
done
awk -F = '{ field[$1] = $2 } END { cpu = field["user"] + field["system"]
    exit !(cpu > 0.01 && field["seconds"] >= cpu + 0.09 && field["status"] == 3) }' "$scratch/fields" ||
    fail "seconds and CPU time: $(cat "$scratch/took")"
