#!/bin/sh
# HMM_OPTIONS: which break the heap uses, how far a simulated one goes, and how mistakes are reported.
. "$SOURCE_DIR/test/support/script.sh"
unset HMM_OPTIONS

cat >"$work/program.c" <<'END_OF_PROGRAM'
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
extern char end;
int main(void) {
    char *block = malloc(100);
    void *large = malloc(40 << 20);
    void *larger = malloc(80 << 20);
    printf("%s %s %s\n", block > &end && block < (char *)sbrk(0) ? "real" : "simulated", large ? "40m" : "-",
           larger ? "80m" : "-");
    free(larger);
    free(large);
    free(block);
    return 0;
}
END_OF_PROGRAM
"$CC" -O1 -fno-builtin -o "$work/program" "$work/program.c"

# expect OPTIONS OUTPUT ERRORS
expect() {
    LD_PRELOAD=$LIBRARY HMM_OPTIONS=$1 "$work/program" >"$work/out" 2>"$work/err" || {
        echo "HMM_OPTIONS=$1: exit status $?"
        exit 1
    }
    printf '%s\n' "$2" | diff -u - "$work/out"
    printf '%s' "$3" | diff -u - "$work/err"
}

expect "" "real 40m 80m" ""
expect "break=real,size=64m" "real 40m 80m" ""
expect "break=simulated" "simulated 40m 80m" ""
expect "break=simulated,size=64m" "simulated 40m -" ""
expect "brake=real,break=none,size=0,size=64m,break=simulated" "simulated 40m -" \
    "mems: HMM_OPTIONS: brake=real: no such option; there are break, size, confine, deepbind, advice
mems: HMM_OPTIONS: break=none: break takes auto|real|simulated
mems: HMM_OPTIONS: size=0: size takes SIZE[k|m|g|t]
"

LD_PRELOAD=$LIBRARY HMM_OPTIONS=help "$work/program" >"$work/out" 2>"$work/err"
for name in break size deepbind advice; do
    grep -q "^mems:   $name=" "$work/err" || {
        echo "help does not name $name"
        exit 1
    }
done
