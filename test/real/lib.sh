# shellcheck shell=sh
# lib.sh - shared by the tests of real programs, each of which begins with: . "${0%/*}/lib.sh"
#
# A test runs a program under the C library's malloc and then under the library in each of its modes, and wants the same
# output, the same messages and the same exit status every time. That the library served it is proved as well: each
# process that exits leaves a record of what it had from the library (witness.c), and enough of them must.
#
# Environment: LIBMEMS and LIBHMM, the libraries; MODES, in which to test them: options for libmems.so, or hmm for
# libhmm.so; WITNESS; SOURCE_DIR; CC and CXX.
set -eu
: "${LIBMEMS:?is a library to test}" "${LIBHMM:?is a library to test}" "${MODES:?are the modes to test}"
: "${WITNESS:?is witness.c, compiled}" "${SOURCE_DIR:?is the root of the sources}" "${CC:=cc}" "${CXX:=c++}"
export SOURCE_DIR CC CXX LC_ALL=C
mode='the C library'

test_name=${0##*/}
directory=$(mktemp -d "${TMPDIR:-/tmp}/mems-real.XXXXXX")
# A process that outlives its parent for a moment may still leave its record.
trap 'rm -rf "$directory" 2>/dev/null || { sleep 2; rm -rf "$directory"; }' EXIT
trap 'exit 1' HUP INT TERM

fail() {
    echo "$test_name ($mode): $*" >&2
    exit 1
}

# need PROGRAM... - skips the test if one of them is missing.
need() {
    for program; do
        if ! command -v "$program" >/dev/null; then
            echo "$test_name: skipped: there is no $program"
            exit 77
        fi
    done
}

# enter MODE - from here on, with_library tests the library in this mode.
enter() {
    mode=$1
    case $mode in
    hmm)
        LIBRARY=$LIBHMM
        MEMS_OPTIONS=
        ;;
    *)
        LIBRARY=$LIBMEMS
        MEMS_OPTIONS=$mode
        ;;
    esac
    export MEMS_OPTIONS
}

# served - how many processes of the last run have allocated from the library and exited.
served() {
    find "$records" -type f -exec grep -l '[1-9]' {} + | wc -l
}

# with_libc, with_library COMMAND... - run it under the one malloc or the other, for a quarter of an hour at most: a test
# takes seconds, but others may keep the machine busy.
with_libc() {
    timeout 900 "$@"
}

with_library() {
    timeout 900 env LD_PRELOAD="$LIBRARY $WITNESS" WITNESS_LIBRARY="$LIBRARY" WITNESS_RECORDS="$records" "$@"
}

# run HEAP COMMAND... - with_HEAP COMMAND in an empty directory, always the same; leaves HEAP.output, .messages, .status.
run() {
    heap=$1
    shift
    rm -rf "$directory/work"
    mkdir "$directory/work"
    records=$(mktemp -d "$directory/records.XXXXXX")
    status=0
    (cd "$directory/work" && "with_$heap" "$@") >"$directory/$heap.output" 2>"$directory/$heap.messages" </dev/null ||
        status=$?
    echo "$status" >"$directory/$heap.status"
}

# also - what a test wants of each run under the library besides; a test that wants more defines it anew.
also() {
    :
}

# compare NAME COUNT COMMAND... - runs it under the C library's malloc, and in each mode under the library, where COUNT
# processes or more must exit.
compare() {
    name=$1
    count=$2
    shift 2
    mode='the C library'
    run libc "$@"
    status=$(cat "$directory/libc.status")
    [ "$status" -eq 0 ] || fail "$name: status $status: $(tail -n 5 "$directory/libc.messages")"
    for tested in $MODES; do
        enter "$tested"
        run library "$@"
        for what in messages status output; do
            if ! cmp -s "$directory/libc.$what" "$directory/library.$what"; then
                diff "$directory/libc.$what" "$directory/library.$what" | head -n 20 >&2 || :
                fail "$name: its $what under libc's malloc (<) and under the library (>) differ"
            fi
        done
        [ "$(served)" -ge "$count" ] || fail "$name: the library served $(served) processes, not $count or more"
        also
    done
}
