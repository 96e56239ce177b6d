#!/bin/sh
# The first samples of a process cost few page faults beside one for the page of each.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cat >"$scratch/program.c" <<'END_OF_PROGRAM'
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

int main(void) {
    struct rusage usage;
    for (int i = 0; i < 20; i++) {
        *(char *)malloc(100) = 1;
    }
    getrusage(RUSAGE_SELF, &usage);
    printf("%ld\n", usage.ru_minflt);
    return 0;
}
END_OF_PROGRAM
"$CC" -O1 -w -fno-builtin -o "$scratch/program" "$scratch/program.c"

# The least page faults of five runs with these options: what runs beside it may cost it some.
least() {
    for _ in 1 2 3 4 5; do
        MEMS_OPTIONS=$1 LD_PRELOAD=$LIBMEMS "$scratch/program"
    done | sort -n | head -n 1
}

without=$(least sample=0)
with=$(least sample=1)
echo "20 blocks: $without page faults; with 20 samples: $with"
[ "$with" -ge $((without + 20)) ] # with fewer there were no samples
[ "$with" -le $((without + 32)) ] || {
    echo "more than 12 beside those of the samples' pages"
    exit 1
}
