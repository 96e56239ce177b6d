#!/bin/sh
# The core of HMM works, and detects damage, on a big-endian machine: a 32-bit PowerPC in an emulator, without a C
# library.
. "$SOURCE_DIR/test/support/script.sh"
cd "$SOURCE_DIR" || exit
need powerpc-linux-gnu-gcc qemu-ppc
device=test/hmm/device

for mistake in 0 1 2 3 4; do
    # shellcheck disable=SC2046 # a list of files
    powerpc-linux-gnu-gcc -std=c17 -O2 -ffreestanding -fno-stack-protector -fno-pie -static -nostdlib -Iinclude -Isrc \
        -Wall -Wextra -Wconversion -Wcast-qual -Wmissing-prototypes -Werror -DMISTAKE=$mistake -o "$work/program" \
        $(cat $device/core_sources.txt) $device/work.c $device/memory.c $device/linux.c
    qemu-ppc "$work/program" || {
        echo "the program with mistake $mistake ended with $?"
        exit 1
    }
done
