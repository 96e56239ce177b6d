#!/bin/sh
# A process that does little holds few pages of the library, and hardly more memory than with the C library's malloc.
set -eu

# Resident KiB of the library in a process that starts, prints and ends.
held=$(LD_PRELOAD=$LIBMEMS grep . /proc/self/smaps | awk '
    /^[0-9a-f]+-/ { ours = /libmems/ || (ours && $5 == 0 && NF == 5) }
    ours && $1 == "Rss:" { kib += $2 }
    END { print kib }')
echo "$held KiB of the library are resident"
[ "$held" -gt 80 ] # with fewer it was not the library
[ "$held" -le 160 ] || {
    echo "more than 160: does cmake/first_functions.txt lack names? tools/first_functions writes it again"
    exit 1
}
