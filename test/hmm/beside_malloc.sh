#!/bin/sh
# A program that loads libhmm only for hmm.h keeps its malloc: the two heaps, used by different threads, do not take the
# same memory. With break=real they would, in some of these rounds.
. "$SOURCE_DIR/test/support/script.sh"
"$CC" -std=c17 -D_GNU_SOURCE -O1 -fno-builtin -pthread -I "$SOURCE_DIR/test" -o "$work/beside" \
    "$SOURCE_DIR/test/hmm/beside_malloc.c" -ldl
round=0
while [ $round -lt 20 ]; do
    "$work/beside" "$LIBHMM" || {
        echo "round $round: exit status $?"
        exit 1
    }
    round=$((round + 1))
done
