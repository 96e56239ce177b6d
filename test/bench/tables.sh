#!/bin/sh
# The tables of the documents are those of docs/bench, and bench/tables finds out when they are not.
set -eu
. "${0%/*}/lib.sh"
cd "$SOURCE_DIR"
bench/tables --check
cp docs/performance.md "$scratch/document.md"
sed -i 's/^| peak RSS, all .*/| peak RSS | 1.00 |/' "$scratch/document.md"
! cmp -s docs/performance.md "$scratch/document.md" || fail "there is no such row"
! bench/tables --check "$scratch/document.md" 2>"$scratch/said" || fail "a changed table"
contains "$scratch/said" "bench/tables writes them"
bench/tables "$scratch/document.md"
cmp docs/performance.md "$scratch/document.md" || fail "the table was not made anew"
printf '<!-- table nothing -->\n<!-- end -->\n' >"$scratch/document.md"
! bench/tables "$scratch/document.md" 2>"$scratch/said" || fail "an unknown table"
contains "$scratch/said" "no table is nothing"
