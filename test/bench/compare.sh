#!/bin/sh
# Comparing two libraries: figures that differ only by options differ as the options say, and a library that does not
# work is listed without ending the run.
set -eu
. "${0%/*}/lib.sh"
workloads=pairs/fixed@1,threads/idle
compare() {
    "$SOURCE_DIR/bench/compare" "$@" --state "$scratch/state" --workloads "$workloads" --percent 1
}

compare "$LIBMEMS" "$LIBMEMS" --rounds 3 >"$scratch/text"
contains "$scratch/text" 'pairs/fixed@1 .*\[.*\].*\['
contains "$scratch/text" "geometric mean"
contains "$scratch/text" "clipped to 0.5..2"
contains "$scratch/text" "outside the noise"
contains "$scratch/text" 'threads/idle .*\[.*\]' # what a workload is about

echo "no library" >"$scratch/libbroken.so"
! compare "$LIBMEMS" "$scratch/libbroken.so" --rounds 1 >"$scratch/text" || fail "a broken library does not fail"
contains "$scratch/text" "^failed: pairs/fixed@1 under B"
! compare no-such-commit "$LIBMEMS" 2>"$scratch/said" || fail "a commit that there is not"
contains "$scratch/said" "neither a commit nor a library"

command -v valgrind >/dev/null || exit 0
command -v strace >/dev/null || exit 0
strace -qq -o /dev/null true 2>/dev/null || exit 0
workloads=pairs/fixed@1
compare "$LIBMEMS,check=every" "$LIBMEMS,check=deferred" --counts >"$scratch/text"
ratio=$(awk '$1 == "pairs/fixed@1" { print $3 }' "$scratch/text")
echo "deferred checks: $ratio of the instructions"
awk -v ratio="$ratio" 'BEGIN { exit !(ratio > 0.5 && ratio < 0.95) }' || fail "it should be some 0.8"
