#!/bin/sh
# Fixed workloads have no more page faults and no higher peak memory than the limits, in percent of the C library's
# malloc in the same run: counts, which do not depend on the machine's speed.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

build() {
    "$CC" -std=c17 -D_GNU_SOURCE -O2 -pthread -fno-builtin -o "$scratch/$1" "$SOURCE_DIR/bench/$2"
}
build launch launch.c
for family in batches calloc growth large; do
    build $family workloads/$family.c
done

# A field's value in the output of launch.
field() {
    sed "s/.*$1=\([0-9]*\).*/\1/" "$scratch/took"
}

# measure LIBRARY FAMILY VARIANT: "faults peak". On a busy machine the memory of a workload would decay while it runs.
measure() {
    MEMS_OPTIONS=decay_ms=60000 BENCH_PRELOAD=$1 "$scratch/launch" "$scratch/took" "$scratch/$2" "$3" --percent 20 >/dev/null
    echo "$(field minor_faults) $(field peak_rss_kib)"
}

status=0
# within FAMILY VARIANT FAULTS PEAK: at most these percentages. What runs beside it may cost it some, so it has five
# chances; nothing else makes the counts less.
within() {
    libc=$(measure "" "$1" "$2")
    for _ in 1 2 3 4 5; do
        own=$(measure "$LIBMEMS" "$1" "$2")
        echo "$1/$2: faults and peak in KiB: $own; with the C library's malloc: $libc"
        if [ $((${own% *} * 100)) -le $((${libc% *} * $3)) ] && [ $((${own#* } * 100)) -le $((${libc#* } * $4)) ]; then
            return
        fi
        echo "    that is more than $3 % of the faults, or than $4 % of the peak"
    done
    status=1
}

within large large 70 115
within growth growth 60 130
within batches batch_random 140 140
within calloc sparse 40 30
within calloc dense_sparse 30 20
within calloc recycled_8m 100 120
within batches batch_30m 10 180
exit $status
