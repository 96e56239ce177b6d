#!/bin/sh
# The core of HMM as firmware for a bare Cortex-M with 32-bit addresses, even one that cannot divide or count zeros: it
# compiles without a warning, does not even need the compiler's library, works in an emulator, and reports each kind of
# damage. Without reports and a break its code is less than 4 KiB.
. "$SOURCE_DIR/test/support/script.sh"
cd "$SOURCE_DIR" || exit
need arm-none-eabi-gcc qemu-system-arm python3
device=test/hmm/device

# compile OBJECT OPTION... - with the compiler's headers alone; warnings are errors.
compile() {
    object=$1
    shift
    arm-none-eabi-gcc -mthumb -std=c17 -ffreestanding -nostdinc -isystem "$(arm-none-eabi-gcc -print-file-name=include)" \
        -Iinclude -Isrc -Wall -Wextra -Wconversion -Wcast-qual -Wmissing-prototypes -Werror -o "$object" "$@"
}

tools/hmm_file "$work/hmm.c"
for cpu in cortex-m0 cortex-m3; do
    for optimisation in -O0 -Os -O2; do
        compile "$work/core.o" -mcpu=$cpu $optimisation -c "$work/hmm.c"
        asked=$(arm-none-eabi-nm -u "$work/core.o" | awk '{ print $2 }' | grep -vxE 'memcpy|memmove|memset|memcmp' || true)
        if [ -n "$asked" ] && [ $optimisation != -O0 ]; then
            echo "$cpu $optimisation: the core asks for $asked"
            exit 1
        fi
        for mistake in 0 1 2 3 4; do
            compile "$work/firmware.elf" -mcpu=$cpu $optimisation -nostdlib -T "$device/cortex_m.ld" -DMISTAKE=$mistake \
                "$work/core.o" test/valid/hmm_valid.c $device/work.c $device/memory.c $device/cortex_m.c -lgcc
            timeout 600 qemu-system-arm -machine mps2-an385 -display none -monitor none -serial none \
                -semihosting-config enable=on,target=native -kernel "$work/firmware.elf" || {
                echo "$cpu $optimisation: the firmware with mistake $mistake ended with $?"
                exit 1
            }
        done
    done

    # The functions that a program links if it allocates, resizes and frees.
    compile "$work/core.o" -mcpu=$cpu -Os -ffunction-sections -fdata-sections -DHMM_REPORTS=0 -DHMM_BREAK=0 -c "$work/hmm.c"
    compile "$work/small.elf" -mcpu=$cpu -Os -nostdlib -Wl,--gc-sections,-e,main,--defsym,memcpy=0,--defsym,memset=0 \
        -x c - -x none "$work/core.o" <<'END_OF_PROGRAM'
#include "hmm.h"
static unsigned char memory[16384];
int main(void) {
    struct HmmHeap *heap = HmmHeapCreate(memory, sizeof memory, NULL);
    void *block = HmmHeapAlloc(heap, 10);
    block = HmmHeapRealloc(heap, block, 100);
    HmmHeapFree(heap, block);
    return HmmHeapCalloc(heap, 3, 4) != NULL;
}
END_OF_PROGRAM
    code=$(arm-none-eabi-size "$work/small.elf" | awk 'NR == 2 { print $1 }')
    echo "$cpu: $code bytes of code"
    [ "$code" -lt 4096 ] || {
        echo "that is not less than 4 KiB"
        exit 1
    }
done
