#!/bin/sh
# The core of HMM on its simulated break needs no C library and no operating system: it compiles with the compiler's own
# headers alone, asks for nothing but memcpy, memmove, memset and memcmp, and runs so. All its global names have a prefix,
# for a device links its objects together with those of others.
set -eu
cd "$SOURCE_DIR"
core=$(cat test/hmm/device/core_sources.txt)
device='test/hmm/device/work.c test/hmm/device/memory.c test/hmm/device/linux.c'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

status=0
for compiler in "$CC" gcc clang; do
    command -v "$compiler" >/dev/null || continue
    own=$("$compiler" -print-file-name=include)
    # compile FOLDER SOURCE... - objects without anything of a system.
    compile() {
        mkdir -p "$1"
        for source in $(shift && echo "$@"); do
            "$compiler" -std=c17 -O2 -ffreestanding -fno-stack-protector -fno-pie -nostdinc -isystem "$own" \
                -Iinclude -Isrc -Wall -Wextra -Wconversion -Wcast-qual -Wmissing-prototypes \
                -Werror -c "$source" -o "$1/$(basename "$source" .c).o"
        done
    }
    # shellcheck disable=SC2086 # lists of files
    compile "$work/core" $core
    # shellcheck disable=SC2086
    compile "$work/device" $device
    ld -r "$work"/core/*.o -o "$work/core.o"
    asked=$(nm -u "$work/core.o" | awk '{ print $2 }' | grep -vxE 'memcpy|memmove|memset|memcmp' || true)
    if [ -n "$asked" ]; then
        echo "$compiler: the core asks for $asked"
        status=1
    fi
    named=$(nm -g --defined-only "$work/core.o" | awk '$3 !~ /^(Hmm|hmm_|mems_)/ { print $3 }')
    if [ -n "$named" ]; then
        echo "$compiler: global names without a prefix: $named"
        status=1
    fi
    "$compiler" -nostdlib -static "$work"/device/*.o "$work/core.o" -o "$work/program"
    "$work/program" || {
        echo "$compiler: the program without a system ended with $?"
        status=1
    }
done
exit $status
