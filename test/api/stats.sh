#!/bin/sh
# The report at exit: as text and as JSON, on standard error and in a file.
. "$SOURCE_DIR/test/support/script.sh"
need python3

# report OPTIONS COMMAND...
report() {
    options=$1
    shift
    env LD_PRELOAD="$LIBMEMS" MEMS_OPTIONS="$options" "$@"
}

# The rows of a text report's first table, except the last two, sum up to the last but one.
text_adds_up() {
    awk '/^window / { table = 1; next } !table { next }
        /^  -/ { next } $1 == "accessible" { found = 1; exit sum != $2 } { sum += $2 }
        END { if (!found) exit 1 }' "$1"
}

# Like all GNU programs, sort closes standard error in an exit handler.
report stats=text sort /dev/null 2>"$work/text"
grep -Eq '^MeMS [0-9.]+: heap of process [0-9]+ \(sort\)$' "$work/text" || fail "no heading: $(cat "$work/text")"
text_adds_up "$work/text" || fail "does not add up: $(cat "$work/text")"

report stats=json sort /dev/null 2>"$work/json"
python3 -m json.tool "$work/json" >/dev/null
python3 "$SOURCE_DIR/test/api/stats_totals.py" <"$work/json" >"$work/program"
[ "$(cat "$work/program")" = sort ] || fail "not the program's name: $(cat "$work/program")"

# One file for all processes gets all reports appended; with %p there is one file for each process.
report stats=json,stats_file="$work/all" sort /dev/null
report stats=json,stats_file="$work/all" ls "$work" >/dev/null
python3 "$SOURCE_DIR/test/api/stats_totals.py" <"$work/all" >"$work/program"
[ "$(tr '\n' ' ' <"$work/program")" = "sort ls " ] || fail "not appended: $(cat "$work/program")"
report stats=text,stats_file="$work/of-%p-%p" sort /dev/null
set -- "$work"/of-*
id=$(sed -n 's/^MeMS .* process \([0-9]*\) .*/\1/p' "$1")
[ "$*" = "$work/of-$id-$id" ] || fail "%p: $*"

# If the file cannot be opened, the report is not lost.
report stats=text,stats_file="$work/nowhere/file" sort /dev/null 2>"$work/text"
head -n 1 "$work/text" | grep -q "^mems: stats_file=$work/nowhere/file cannot be opened (error 2): reporting here$" ||
    fail "no word on the file: $(head -n 1 "$work/text")"
text_adds_up "$work/text" || fail "fallback: does not add up"

report profile_file="$work/nowhere/file" sort /dev/null 2>"$work/text"
grep -q "^mems: profile_file=$work/nowhere/file cannot be opened (error 2)$" "$work/text" ||
    fail "no word on the profile's file: $(cat "$work/text")"

# A name that needs escaping.
cp "$(command -v sort)" "$work/a \"b\\ é"
report stats=json "$work/a \"b\\ é" /dev/null 2>"$work/json"
python3 -m json.tool "$work/json" >/dev/null || fail "escapes: $(cat "$work/json")"

# Without the option there is no report.
report decay_ms=500 sort /dev/null 2>"$work/text"
[ ! -s "$work/text" ] || fail "a report that nobody asked for"
