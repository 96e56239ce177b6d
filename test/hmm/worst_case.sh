#!/bin/sh
# No call of the heap takes more instructions than docs/hmm.md says, compiled as on a device: without quick lists in one
# and in four pieces of memory; and with quick lists, where a call merges at most HMM_FLUSH_BLOCKS blocks. Nor does a
# malloc and free of an ordinary mix take more on average with quick lists. The numbers are exact; bench/bench_worst.c
# has the sequences, and bench/worst counts.
set -eu
. "$SOURCE_DIR/test/support/script.sh"
cd "$SOURCE_DIR"
need gcc valgrind
[ "$(uname -m)" = x86_64 ] || {
    echo "skipped: the limits are instructions of x86-64"
    exit 77
}

# limit NAME - the page's number for the limit NAME.
limit() {
    sed -n "s/^| .* | \`$1\` | \([0-9]*\) |.*/\1/p" docs/hmm.md | grep . || fail "docs/hmm.md has no limit $1"
}

# build QUICK_BYTES - the program that measures a heap with these quick lists.
build() {
    # shellcheck disable=SC2046 # a list of files
    gcc -std=c17 -O2 -ffreestanding -fno-stack-protector -fno-pie -Iinclude -Isrc -DHMM_QUICK_BYTES="$1" -nostdlib -r \
        -o "$work/core.o" $(cat test/hmm/device/core_sources.txt)
    gcc -std=gnu17 -D_GNU_SOURCE -O2 -no-pie -Wall -Wextra -Werror -Iinclude -o "$work/worst" bench/bench_worst.c "$work/core.o"
}

one=$(limit one)
four=$(limit four)
quick=$(limit quick)
mix=$(limit mix)
build 0
bench/worst "$one" "$work/worst" 1 300
bench/worst "$four" "$work/worst" 4 300
build 4096
bench/worst "$quick" "$work/worst" 1 100
bench/worst "$mix" "$work/worst" mix 1000
