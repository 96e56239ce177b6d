#!/bin/sh
# mems_stats_json writes JSON, and says the same about the heap as mems_stats and mems_walk.
. "$SOURCE_DIR/test/support/script.sh"
need python3
"$CC" -std=c17 -Wall -Wextra -I"$SOURCE_DIR/include" -o "$work/program" "$SOURCE_DIR/test/api/space_json_program.c" \
    "$LIBMEMS" -Wl,-rpath,"$(dirname "$LIBMEMS")"

# heap ARGUMENT...: what the checks find in the heap that the program makes.
heap() {
    "$work/program" "$work/json" "$@" 2>"$work/err" >"$work/text"
    python3 "$SOURCE_DIR/test/api/space_json.py" "$work/json" <"$work/text"
}

found=$(heap empty)
[ "$found" = "0 main nodes, 0 segments, 0 failures" ] || {
    echo "an empty heap: $found"
    exit 1
}
found=$(heap)
case $found in
[1-9][0-9]*" main nodes, "[1-9][0-9][0-9]" segments, 1 failures") ;;
*)
    echo "a used heap: $found"
    exit 1
    ;;
esac
