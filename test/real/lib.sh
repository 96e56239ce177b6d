# shellcheck shell=sh
# lib.sh - shared by the tests of real programs, each of which begins with: . "${0%/*}/lib.sh"
#
# A test runs a program twice, under the C library's malloc and under the library, and wants the same output, the same
# messages and the same exit status. That the library served it is proved as well: each process that exits leaves a
# record of what it had from the library (witness.c), and enough of them must.
#
# Environment: LIBRARY, the library; MEMS_OPTIONS, the mode to test it in; WITNESS; SOURCE_DIR; CC and CXX.
set -eu
: "${LIBRARY:?is the library to test}" "${WITNESS:?is witness.c, compiled}" "${SOURCE_DIR:?is the root of the sources}"
: "${MEMS_OPTIONS=}" "${CC:=cc}" "${CXX:=c++}"
export SOURCE_DIR CC CXX LC_ALL=C

test_name=${0##*/}
directory=$(mktemp -d "${TMPDIR:-/tmp}/mems-real.XXXXXX")
# A process that outlives its parent for a moment may still leave its record.
trap 'rm -rf "$directory" 2>/dev/null || { sleep 2; rm -rf "$directory"; }' EXIT
trap 'exit 1' HUP INT TERM

fail() {
    echo "$test_name (${LIBRARY##*/} $MEMS_OPTIONS): $*" >&2
    exit 1
}

# need PROGRAM... - skips the test where one of them is missing.
need() {
    for program; do
        if ! command -v "$program" >/dev/null; then
            echo "$test_name: skipped, for there is no $program"
            exit 77
        fi
    done
}

# served - how many processes of the last run have allocated from the library and exited.
served() {
    find "$records" -type f -exec grep -l '[1-9]' {} + | wc -l
}

# with_libc, with_library COMMAND... - run it under the one malloc or the other, for four minutes at most: a test takes
# seconds, but others may keep the machine busy.
with_libc() {
    timeout 240 "$@"
}

with_library() {
    timeout 240 env LD_PRELOAD="$LIBRARY $WITNESS" WITNESS_LIBRARY="$LIBRARY" WITNESS_RECORDS="$records" "$@"
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

# compare NAME COUNT COMMAND... - runs it both ways, under the library in COUNT processes or more that exit.
compare() {
    name=$1
    count=$2
    shift 2
    run libc "$@"
    run library "$@"
    for what in messages status output; do
        if ! cmp -s "$directory/libc.$what" "$directory/library.$what"; then
            diff "$directory/libc.$what" "$directory/library.$what" | head -n 20 >&2 || :
            fail "$name: its $what under libc's malloc (<) and under the library (>) differ"
        fi
    done
    status=$(cat "$directory/libc.status")
    [ "$status" -eq 0 ] || fail "$name: status $status under either malloc: $(tail -n 5 "$directory/libc.messages")"
    [ "$(served)" -ge "$count" ] || fail "$name: the library served $(served) processes, not $count or more"
}
