#!/bin/sh
# Each library exports exactly the symbols of docs/symbols.txt and of its own list: one a line, # starts a comment. Its
# archive defines the same, without the C++ operators, dlopen and pthread_create, and any other global names only with
# the library's prefix, but for the mark that all objects with probes share (private_names.cmake).
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# documented LIST - the public names.
documented() {
    cat "$SOURCE_DIR/docs/symbols.txt" "$SOURCE_DIR/docs/$1" |
        sed -e 's/[[:space:]]*#.*//' -e '/^$/d' | LC_ALL=C sort
}

# defined NM-OPTION FILE
defined() {
    nm "$1" --defined-only "$2" | awk 'NF >= 3 { print $NF }' | LC_ALL=C sort
}

# compare LIBRARY ARCHIVE LIST PREFIX
compare() {
    documented "$3" >"$scratch/documented"
    defined -D "$1" >"$scratch/exported"
    diff -u "$scratch/documented" "$scratch/exported"

    grep -v -e '^_Z' -e '^dlopen$' -e '^pthread_create$' "$scratch/documented" >"$scratch/documented_c"
    defined -g "$2" >"$scratch/global"
    grep -v -e "^$4" -e '^_[.]stapsdt[.]base$' "$scratch/global" >"$scratch/public"
    diff -u "$scratch/documented_c" "$scratch/public"
    grep -q "^$4" "$scratch/global" || {
        echo "$2: not a name begins with $4"
        exit 1
    }
}

compare "$LIBMEMS" "$LIBMEMS_STATIC" symbols-mems.txt mems__
compare "$LIBHMM" "$LIBHMM_STATIC" symbols-hmm.txt hmm__
