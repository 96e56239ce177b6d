#!/bin/sh
# The core of HMM is firmware for a bare Cortex-M3, with 32-bit addresses: it compiles without a warning, needs nothing
# but the compiler's own library, and does its work in an emulator.
set -eu
cd "$SOURCE_DIR"
for program in arm-none-eabi-gcc qemu-system-arm; do
    command -v "$program" >/dev/null || {
        echo "skipped, for there is no $program"
        exit 77
    }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
device=test/hmm/device

for optimisation in -O0 -Os -O2; do
    # shellcheck disable=SC2046 # a list of files
    arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -std=c17 "$optimisation" -ffreestanding -nostdinc \
        -isystem "$(arm-none-eabi-gcc -print-file-name=include)" -Iinclude -Isrc \
        -Wall -Wextra -Wconversion -Wcast-qual -Wmissing-prototypes -Werror \
        -nostdlib -T "$device/cortex_m.ld" -o "$work/firmware.elf" \
        $(cat $device/core_sources.txt) $device/work.c $device/memory.c $device/cortex_m.c -lgcc
    arm-none-eabi-size "$work/firmware.elf"
    timeout 60 qemu-system-arm -machine mps2-an385 -display none -monitor none -serial none \
        -semihosting-config enable=on,target=native -kernel "$work/firmware.elf" || {
        echo "the firmware, compiled with $optimisation, ended with $?"
        exit 1
    }
done
