#!/bin/sh
# A program may load a shared library of ours before everything else: it needs only the C library, stays loaded, is
# fully bound at the start, and has neither an executable stack nor relocations in its code.
set -eu
version=$(sed -n 's/#define MEMS_VERSION_MAJOR //p' "$SOURCE_DIR/include/mems.h")
status=0

expect() {
    [ "$2" = "$3" ] || {
        echo "$library: $1: \"$2\", not \"$3\""
        status=1
    }
}

for path in "$LIBMEMS" "$LIBHMM"; do
    library=$(basename "$path")
    dynamic=$(readelf -dW "$path")
    segments=$(readelf -lW "$path")

    needed=$(echo "$dynamic" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -v '^ld-linux' | xargs)
    expect NEEDED "$needed" libc.so.6
    expect SONAME "$(echo "$dynamic" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')" "${library%.so*}.so.$version"
    expect NODELETE "$(echo "$dynamic" | grep -cw NODELETE)" 1
    expect INITFIRST "$(echo "$dynamic" | grep -cw INITFIRST)" 1
    expect NOW "$(echo "$dynamic" | grep -c 'FLAGS_1.*NOW')" 1
    expect TEXTREL "$(echo "$dynamic" | grep -cw TEXTREL)" 0
    expect "executable stack" "$(echo "$segments" | grep -c 'GNU_STACK.*E')" 0
    expect RELRO "$(echo "$segments" | grep -c GNU_RELRO)" 1

    # Its thread-local words must fit into the little static TLS space that the loader reserves for dlopen.
    thread_local=$(echo "$segments" | awk '$1 == "TLS" { print $6 }')
    expect "three words of TLS" "$((${thread_local:-0} <= 24))" 1
done
exit $status
