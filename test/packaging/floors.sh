#!/bin/sh
# The engine's files call only those of their own floor and of lower ones, and none calls another in a circle. The floors
# are those of the table in docs/ARCHITECTURE.md; what calls what is read from the symbols of the objects.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# file floor, lowest floor first
sed -n '/^## The engine, floor by floor/,/^Low floors/p' "$SOURCE_DIR/docs/ARCHITECTURE.md" |
    awk -F'|' '/^\| [a-z]+ \| `/ { n = split($3, names, "`"); for (i = 2; i < n; i += 2) print names[i], NR }' \
        >"$scratch/floors"
objects=$BUILD_DIR/CMakeFiles/mems_objects.dir/src/engine
for source in "$SOURCE_DIR"/src/engine/*.c; do
    name=$(basename "$source" .c)
    grep -q "^$name " "$scratch/floors" || {
        echo "docs/ARCHITECTURE.md: no floor for $name.c"
        exit 1
    }
    nm "$objects/$name.c.o" >"$scratch/names"
    awk -v name="$name" '{ print name, $(NF - 1), $NF }' "$scratch/names" >>"$scratch/symbols"
done

# user used, one line for each pair of files
awk 'NR == FNR { if ($2 ~ /[TBDRCVW]/) where[$3] = $1; next }
    $2 == "U" && $3 in where && where[$3] != $1 { print $1, where[$3] }' \
    "$scratch/symbols" "$scratch/symbols" | sort -u >"$scratch/uses"

[ -s "$scratch/uses" ] || {
    echo "no file of the engine uses another: the objects are not where they were"
    exit 1
}
awk 'NR == FNR { floor[$1] = $2; next }
    floor[$2] > floor[$1] { print $1 " calls " $2 ", which is on a higher floor"; failed = 1 }
    END { exit failed }' "$scratch/floors" "$scratch/uses"
tsort "$scratch/uses" >/dev/null || {
    echo "these files call each other in a circle"
    exit 1
}
