#!/bin/sh
# A workload that takes too long under an allocator is listed, is not tried under it again, and does not end the run.
set -eu
. "${0%/*}/lib.sh"
cat >"$scratch/slow.c" <<'END'
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void wait_long(void) {
    int tries = open(TRIES, O_WRONLY | O_CREAT | O_APPEND, 0600);
    (void)!write(tries, "x", 1);
    close(tries);
    sleep(600);
}
END
"$CC" -shared -fPIC -DTRIES="\"$scratch/tries\"" -o "$scratch/libslow.so" "$scratch/slow.c"
! run --rounds 3 --workloads pairs/fixed@1 --timeout 2 --peers "glibc,slow=$scratch/libslow.so" --output "$scratch/results" \
    >"$scratch/text" || fail "a failed run does not fail"
contains "$scratch/text" "^failed: pairs/fixed@1 under slow, 3 of 3: took longer than 2 s"
contains "$scratch/results/results.json" "not tried again: took longer than 2 s"
[ "$(grep -c '"peer": "glibc", "round"' "$scratch/results/results.json")" -eq 3 ] || fail "glibc was not measured"
[ "$(wc -c <"$scratch/tries")" -eq 1 ] || fail "a workload was tried again"
