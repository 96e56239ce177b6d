#!/bin/sh
# Each folder of the engine is a floor, and each folder of insight/ a room: its files include only from their own and from
# lower ones. In the engine calls, too, go only to lower floors, and form no circle. The tables in docs/ARCHITECTURE.md
# have the order and the files; the objects' symbols tell which file calls which.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$SOURCE_DIR"

# floors HEADING - prints "file folder number", the lowest first, from the table below a heading of
# docs/ARCHITECTURE.md.
floors() {
    awk -F'|' -v heading="## $1" '$0 == heading { within = 1; next }
        /^## / { within = 0 }
        within && /^\| `[a-z]+\/` \| `/ {
            n = split($3, names, "`")
            gsub(/[ `\/]/, "", $2)
            for (i = 2; i < n; i += 2) print names[i], $2, NR
        }' docs/ARCHITECTURE.md
}

# compare FOLDER PREFIX TABLE - the table names what there is in the folder, where it is, and no file includes PREFIX and
# a higher floor's name.
compare() {
    printf '%s\n' "$1"/*/*.[ch] | sed 's,.*/\([^/]*\)/\([^/]*\)\.[ch]$,\2 \1,' | sort -u >"$scratch/files"
    cut -d' ' -f1,2 "$3" | sort -u >"$scratch/named"
    diff "$scratch/named" "$scratch/files" >"$scratch/differences" || {
        echo "docs/ARCHITECTURE.md (<) and $1 (>) differ in files and their floors:"
        cat "$scratch/differences"
        exit 1
    }
    (cd "$1" && grep -H "^#include \"$2[a-z_]*/" -- */*.[ch]) |
        sed "s,^\([^/]*\)/\([^:]*\):#include \"$2\([^/]*\)/.*,\1 \2 \3," >"$scratch/includes"
    [ -s "$scratch/includes" ] || {
        echo "no file of $1 includes another"
        exit 1
    }
    awk 'NR == FNR { floor[$2] = $3; next }
        floor[$3] > floor[$1] { print $1 "/" $2 " includes from " $3 ", which is a higher floor"; failed = 1 }
        END { exit failed }' "$3" "$scratch/includes"
}

floors "Insight" >"$scratch/rooms"
compare insight "" "$scratch/rooms"
floors "The engine, floor by floor" >"$scratch/floors"
compare src/engine engine/ "$scratch/floors"

# Calls in the engine, by the objects' symbols.
sources=$(cd src/engine && echo */*.c)
cd "$BUILD_DIR/CMakeFiles/mems_objects.dir/src/engine"
for source in $sources; do
    echo "$source.o"
done | xargs nm -A >"$scratch/names"
awk '{ sub(/^[a-z]*\//, ""); sub(/\.c\.o:.*/, "", $1); print $1, $(NF - 1), $NF }' "$scratch/names" >"$scratch/symbols"

# user used, one line for each pair of files
awk 'NR == FNR { if ($2 ~ /[TBDRCVW]/) where[$3] = $1; next }
    $2 == "U" && $3 in where && where[$3] != $1 { print $1, where[$3] }' \
    "$scratch/symbols" "$scratch/symbols" | sort -u >"$scratch/uses"

[ -s "$scratch/uses" ] || {
    echo "no file of the engine uses another: the objects are not where they were"
    exit 1
}
awk 'NR == FNR { floor[$1] = $3; next }
    floor[$2] > floor[$1] { print $1 " calls " $2 ", which is on a higher floor"; failed = 1 }
    END { exit failed }' "$scratch/floors" "$scratch/uses"
tsort "$scratch/uses" >/dev/null || {
    echo "these files call each other in a circle"
    exit 1
}
