#!/bin/sh
# The library exports exactly the symbols of docs/symbols.txt: one a line, # starts a comment.
set -eu
list=$SOURCE_DIR/docs/symbols.txt
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
sed -e 's/[[:space:]]*#.*//' -e '/^$/d' "$list" | LC_ALL=C sort >"$scratch/documented"
nm -D --defined-only "$LIBMEMS" | awk '{ print $NF }' | LC_ALL=C sort >"$scratch/exported"
diff -u "$scratch/documented" "$scratch/exported"
