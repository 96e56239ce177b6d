#!/bin/sh
# The core of HMM on its simulated break needs no C library and no operating system: it compiles with the compiler's own
# headers alone, asks for nothing but memcpy, memmove, memset and memcmp, and runs so. All its global names have a prefix,
# for a device links its objects together with those of others.
set -eu
cd "$SOURCE_DIR"
core='src/base/bins.c src/base/fmt.c src/hmm/break_simulated.c src/hmm/free_list.c src/hmm/heap.c
    src/hmm/hmm.c src/hmm/inspect.c src/hmm/quick_list.c src/hmm/region.c src/hmm/report.c src/hmm/valid.c'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What a device's tool chain brings: the four functions that compilers call.
cat >"$work/memory.c" <<'END'
#include <stddef.h>
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *one, const void *other, size_t size);

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    return memmove(to, from, size);
}
void *memmove(void *to, const void *from, size_t size) {
    volatile char *t = to;
    const volatile char *f = from;
    for (size_t i = 0; i < size; i++) {
        size_t at = t < f ? i : size - 1 - i;
        t[at] = f[at];
    }
    return to;
}
void *memset(void *to, int value, size_t size) {
    for (volatile char *t = to; size > 0; size--) {
        *t++ = (char)value;
    }
    return to;
}
int memcmp(const void *one, const void *other, size_t size) {
    const volatile unsigned char *o = one, *p = other;
    for (; size > 0; size--, o++, p++) {
        if (*o != *p) {
            return *o - *p;
        }
    }
    return 0;
}
END

# A device's program. Its exit status, by a system call of its own, is the number of the first thing that went wrong.
cat >"$work/main.c" <<'END'
#include "hmm.h"
static _Alignas(16) unsigned char buffer[65536];
static void *blocks[400];
static int told;
static _Noreturn void leave(long status) {
#if defined(__x86_64__)
    __asm__ __volatile__("syscall" ::"a"(60L), "D"(status) : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long number __asm__("x8") = 93;
    register long first __asm__("x0") = status;
    __asm__ __volatile__("svc 0" ::"r"(number), "r"(first) : "memory");
#endif
    __builtin_trap();
}
static void tell(const char *line) {
    static const char start[] = "mems: HmmFree(";
    for (unsigned i = 0; i < sizeof start - 1; i++) {
        if (line[i] != start[i]) {
            leave(9);
        }
    }
    leave(told ? 0 : 8);
}
static int count(const struct HmmBlock *block, void *context) {
    *(int *)context += block->state == HMM_USED;
    return 0;
}
static int work(void) {
    if (HmmAlloc(10) != NULL) {
        return 1; /* there is no memory yet */
    }
    if (HmmUseBuffer(buffer, sizeof buffer) != 0) {
        return 2;
    }
    for (int round = 0; round < 50; round++) {
        int filled = 0;
        for (int i = 0; i < 400; i++) {
            unsigned char *block = HmmCalloc(1, (unsigned)(i * 7 + round) % 300);
            blocks[i] = HmmRealloc(block, (unsigned)(i * 13 + round) % 400 + 1);
            if (blocks[i] == NULL) {
                HmmFree(block);
            } else {
                filled++;
            }
        }
        int used = 0;
        if (HmmWalk(count, &used) != 0 || used != filled || filled < 200) {
            return 3;
        }
        for (int i = 0; i < 400; i++) {
            HmmFree(blocks[(i * 7 + round) % 400]);
        }
        struct HmmStats stats;
        HmmTrim();
        HmmStats(&stats);
        if (stats.used_blocks != 0 || stats.free_blocks > 1 || stats.region > 64) {
            return 4;
        }
    }
    void *block = HmmAlignedAlloc(1024, 100);
    if (block == NULL || (uintptr_t)block % 1024 != 0) {
        return 5;
    }
    HmmSetFaultHandler(tell);
    HmmFree(block);
    told = 1;
    HmmFree(block);
    return 6;
}
void _start(void);
__attribute__((force_align_arg_pointer)) void _start(void) {
    leave(work());
}
END
[ "$(uname -m)" = x86_64 ] || sed -i 's/__attribute__((force_align_arg_pointer)) //' "$work/main.c"

status=0
for compiler in "$CC" gcc clang; do
    command -v "$compiler" >/dev/null || continue
    own=$("$compiler" -print-file-name=include)
    mkdir -p "$work/objects"
    # shellcheck disable=SC2086
    for source in $core "$work/main.c" "$work/memory.c"; do
        "$compiler" -std=c17 -O2 -ffreestanding -fno-stack-protector -fno-pie -nostdinc -isystem "$own" \
            -Iinclude -Isrc -Wall -Wextra -Wconversion -Wcast-qual -Wmissing-prototypes \
            -Werror -c "$source" -o "$work/objects/$(basename "$source" .c).o"
    done
    mv "$work/objects/main.o" "$work/objects/memory.o" "$work"
    ld -r "$work"/objects/*.o -o "$work/core.o"
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
    "$compiler" -nostdlib -static "$work/main.o" "$work/memory.o" "$work/core.o" -o "$work/program"
    "$work/program" || {
        echo "$compiler: the program without a system ended with $?"
        status=1
    }
    rm -r "$work/objects"
done
exit $status
