# shellcheck shell=sh
# lib.sh - shared by the tests of the command mems, each of which begins with: . "${0%/*}/lib.sh"
#
# Environment: INSIGHT, the command; LIBRARY and the like; SOURCE_DIR; CC.
set -eu
export LC_ALL=C
: "${INSIGHT=}" "${LIBRARY:?is the library to test}" "${SOURCE_DIR:?is the root of the sources}" "${CC:=cc}"
[ -n "$INSIGHT" ] || {
    echo "the command mems is not built here"
    exit 77
}
test_name=${0##*/}
work=$(mktemp -d "${TMPDIR:-/tmp}/mems-insight.XXXXXX")
processes=
# shellcheck disable=SC2086 # a list of processes
trap '[ -z "$processes" ] || kill -9 $processes 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

fail() {
    echo "$test_name: $*" >&2
    exit 1
}

# need PROGRAM... - skips the test where one of them is missing.
need() {
    for program; do
        command -v "$program" >/dev/null || {
            echo "$test_name: skipped, for there is no $program"
            exit 77
        }
    done
}

# compile NAME OPTION... - $work/NAME from NAME.c.
compile() {
    name=$1
    shift
    "$CC" -std=c17 -D_GNU_SOURCE -O1 -g -fno-builtin -pthread -o "$work/$name" "$SOURCE_DIR/test/insight/$name.c" "$@"
}

# launch LIST COMMAND... - starts it on $LIBRARY and waits until it has told its last block, "nothing"; $process is its
# number, and LIST is a file that has what it told.
launch() {
    list=$1
    shift
    : >"$list"
    LD_PRELOAD=${PRELOAD-$LIBRARY} "$@" >"$list" 2>"$list.errors" &
    process=$!
    processes="$processes $process"
    for _ in $(seq 100); do
        ! grep -q '^nothing' "$list" || return 0
        sleep 0.1
    done
    fail "$* has told nothing: $(cat "$list.errors")"
}

# halt PROCESS - stops it, and waits until all of its threads are.
halt() {
    kill -STOP "$1"
    while grep -h '^State:' "/proc/$1/task/"*/status | grep -qv 'stopped'; do
        sleep 0.05
    done
}

# address LIST NAME - what it told of a block.
address() {
    awk -v name="$2" '$1 == name { print $2 }' "$1"
}

# gdb_core FILE PROCESS - a core by gdb.
gdb_core() {
    timeout 100 gcore -o "$1" "$2" >"$1.log" 2>&1 || fail "gcore: $(cat "$1.log")"
    mv "$1.$2" "$1"
}

# kernel_core FILE LIST COMMAND... - a core by the kernel, of a command that aborts on $LIBRARY; false where this
# machine's cores go elsewhere.
kernel_core() {
    core=$1 list=$2
    shift 2
    [ "$(cat /proc/sys/kernel/core_pattern)" = core ] || return 1
    mkdir "$core.folder"
    (cd "$core.folder" && LD_PRELOAD=$LIBRARY prlimit --core=unlimited "$@" >"$list" 2>/dev/null) || true
    mv "$core.folder/core"* "$core" 2>/dev/null
}

# holds FILE EXPRESSION - whether it is true of the JSON in the file, which Python calls `it`.
holds() {
    python3 -c '
import json, sys
it = json.load(open(sys.argv[1]))
try:
    true = eval("(" + sys.argv[2] + ")")
except (KeyError, IndexError, TypeError) as error:
    true = print(repr(error))
if not true:
    print("not so:", sys.argv[2])
    print(json.dumps(it, indent=1)[:4000])
    sys.exit(1)' "$1" "$2" || fail "$1: not as it should be"
}
