#!/bin/sh
# MEMS_OPTIONS: what it sets, how mistakes in it are reported, and that setuid and setgid programs ignore it.
. "$SOURCE_DIR/test/support/script.sh"
unset MEMS_OPTIONS

"$CC" -std=c17 -O2 -Wall -Wextra -I"$SOURCE_DIR/include" -o "$work/program" "$SOURCE_DIR/test/api/options_program.c" \
    "$LIBMEMS" -Wl,-rpath,"$(dirname "$LIBMEMS")"

# expect OPTIONS OUTPUT ERRORS NAMES: what the program prints for these names with these options, and what it complains
# about.
expect() {
    # shellcheck disable=SC2086 # names are words
    MEMS_OPTIONS=$1 "$work/program" $4 >"$work/out" 2>"$work/err" || {
        echo "MEMS_OPTIONS=$1: exit status $?"
        exit 1
    }
    printf '%s' "$2" | diff -u - "$work/out"
    printf '%s' "$3" | diff -u - "$work/err"
}

expect "" "check=every
stats=0
stats_file=
decay_ms=500
window=auto
" "" "check stats stats_file decay_ms window"
expect "check=deferred,window=64m,decay_ms=0" "check=deferred
window=64m
decay_ms=0
" "" "check window decay_ms"
expect "colour=blue,decay_ms=soon,check=deferred" "check=deferred
decay_ms=500
" "mems: MEMS_OPTIONS: colour=blue: no such option; there are check, harden, kinds, on_fault, stats, stats_file, decay_ms, background, window, limit, limit_soft, huge_pages, confine, deepbind, advice, sample, profile_file, guard_report
mems: MEMS_OPTIONS: decay_ms=soon: decay_ms takes MILLISECONDS
" "check decay_ms"
expect "window=nothing" "window=auto
" "mems: MEMS_OPTIONS: window=nothing: window takes auto|SIZE[k|m|g|t], 4m to 64t
" "window"
expect "limit_soft=2g,limit=1g" "limit=1g
limit_soft=auto
" "mems: MEMS_OPTIONS: limit_soft=2g is above limit=1g: it stays auto
" "limit limit_soft"
expect "limit_soft=1g,limit=1g" "limit=1g
limit_soft=1g
" "" "limit limit_soft"

# Help goes to standard error, and the program continues.
MEMS_OPTIONS=help "$work/program" check >"$work/out" 2>"$work/err"
[ "$(cat "$work/out")" = "check=every" ]
for name in check harden kinds on_fault stats stats_file decay_ms background window limit limit_soft huge_pages confine deepbind advice; do
    grep -q "^mems:   $name=" "$work/err" || {
        echo "help does not name $name"
        exit 1
    }
done

# A program with more rights than its caller ignores the environment. The setgid bit needs a second group and a file
# system that honours it.
for group in $(id -G) 65534; do
    if [ "$group" != "$(id -g)" ] && chgrp "$group" "$work/program" 2>/dev/null; then
        chmod g+s "$work/program"
        chmod 755 "$work"
        if "$work/program" && [ -g "$work/program" ] && ! findmnt -no OPTIONS -T "$work" | grep -q nosuid; then
            expect "decay_ms=7,colour=blue" "decay_ms=500
" "" "decay_ms"
        fi
        break
    fi
done
