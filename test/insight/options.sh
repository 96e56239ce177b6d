#!/bin/sh
# Options of which one would have no effect are refused, with status 2 and a line that names them: nothing is dropped
# silently.
. "${0%/*}/lib.sh"

# No target is read before the options are checked, so it need not exist.
while IFS='|' read -r words expected; do
    status=0
    # shellcheck disable=SC2086 # words
    "$INSIGHT" $words >"$work/output" 2>"$work/error" </dev/null || status=$?
    if [ $status -ne 2 ] || ! grep -qF -e "$expected" "$work/error" || [ -s "$work/output" ]; then
        fail "mems $words: status $status, $(cat "$work/error" "$work/output"); expected: $expected"
    fi
done <<'END'
profile --peak --resident 1|--peak and --resident exclude each other
profile --lifetime --allocated 1|--allocated and --lifetime exclude each other
profile --thread --class 1|--thread and --class exclude each other
profile --flat --inverted 1|--flat and --inverted exclude each other
profile --tree --flat 1|--tree and --flat exclude each other
profile --json --flat 1|--json and --flat exclude each other
profile --json --inverted 1|--json and --inverted exclude each other
profile --json --format pprof 1|--json and --format exclude each other
profile --format collapsed --inverted 1|--format and --inverted exclude each other
profile --lifetime --flat 1|--lifetime and --flat exclude each other
profile --lifetime --inverted 1|--lifetime and --inverted exclude each other
profile --lifetime --format html 1|this format has no lifetimes
profile --lifetime --format speedscope 1|this format has no lifetimes
profile --lifetime --format collapsed 1|this format has no lifetimes
profile --lifetime --format pprof 1|leave --lifetime out
profile --allocated --format heap_v2 1|leave --allocated out
profile --allocated --thread 1|--allocated is counted by call site and class, not by thread
profile --lifetime --thread --json 1|--lifetime is counted by call site and class, not by thread
profile --thread --format heap_v2 1|heap_v2 has no threads and classes
profile --rows 3 --format pprof 1|--rows shortens text and JSON
profile --rows 3 --format html 1|--rows shortens text and JSON
profile --format html --format json 1|--format is given twice
profile --rows=x 1|--rows x: not a number
profile --format=x 1|--format x: unknown
set --timeout=x 1 check=every|--timeout x: not a number of seconds
profile --rows 1 --rows 2 1|--rows is given twice
map --html - --json 1|--json and --html exclude each other
map --html - 1 0x10|--html shows the whole heap
map --html a --html b 1|--html is given twice
top --json --batch|--json and --batch exclude each other
top -n 3|--count has no effect without --batch or --json
top --batch -n 3 -n 4|--count is given twice
top --batch -i 3 -i 4|--interval is given twice
top --batch --sort pid --sort rss|--sort is given twice
top --batch --filter a --filter b|--filter is given twice
leaks --why 1 --why 2 1|--why is given twice
set --timeout 1 --timeout 2 1 check=all|--timeout is given twice
trim --timeout 1 --timeout 2 1|--timeout is given twice
serve --listen :1 --listen :2|--listen is given twice
serve --host a --host b|--host is given twice
run --detach --leaks -- true|--detach and --leaks exclude each other
run --detach --stats -- true|--detach and --stats exclude each other
run --detach --map -- true|--detach and --map exclude each other
run --detach --save x -- true|--detach and --save exclude each other
run --suppressions x -- true|--suppressions has no effect without --leaks
run --no-suppressions -- true|--no-suppressions has no effect without --leaks
run --save a --save b -- true|--save is given twice
run --library a --library b -- true|--library is given twice
END

# Those that may be repeated, or go together.
"$INSIGHT" run -o check=every -o decay_ms=5 --stats --map -- ls / >"$work/output" || fail "mems run"
grep -q Rss "$work/output" || fail "no statistics: $(cat "$work/output")"
grep -q 'a cell' "$work/output" || fail "no map: $(cat "$work/output")"
