#!/bin/sh
# Each library exports exactly the symbols of docs/symbols.txt and of its own list: one a line, # starts a comment.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# exports LIBRARY LIST
exports() {
    cat "$SOURCE_DIR/docs/symbols.txt" "$SOURCE_DIR/docs/$2" |
        sed -e 's/[[:space:]]*#.*//' -e '/^$/d' | LC_ALL=C sort >"$scratch/documented"
    nm -D --defined-only "$1" | awk '{ print $NF }' | LC_ALL=C sort >"$scratch/exported"
    diff -u "$scratch/documented" "$scratch/exported"
}

exports "$LIBMEMS" symbols-mems.txt
exports "$LIBHMM" symbols-hmm.txt
