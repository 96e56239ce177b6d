# shellcheck shell=sh
# lib.sh - shared by the tests of the command mems, each of which begins with: . "${0%/*}/lib.sh"
#
# Environment: INSIGHT, the command; LIBRARY and the like; SOURCE_DIR; CC.
export LC_ALL=C
: "${INSIGHT=}" "${LIBRARY:?is the library to test}" "${SOURCE_DIR:?is the root of the sources}" "${CC:=cc}"
[ -n "$INSIGHT" ] || {
    echo "the command mems is not built here"
    exit 77
}
. "$SOURCE_DIR/test/support/script.sh"
test_name=${0##*/}
processes=
# shellcheck disable=SC2086 # a list of processes
trap '[ -z "$processes" ] || kill -9 $processes 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# compile NAME OPTION... - $work/NAME from NAME.c.
compile() {
    name=$1
    shift
    "$CC" -std=c17 -D_GNU_SOURCE -O1 -g -fno-builtin -pthread -o "$work/$name" "$SOURCE_DIR/test/insight/$name.c" "$@"
}

# own_user - $user runs a command as a user who has no other processes; "" if that is impossible.
own_user() {
    user=
    if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
        user="setpriv --reuid $((61000 + $$ % 4000)) --clear-groups"
        chmod 755 "$work"
        if ! $user test -x "$INSIGHT" || ! $user test -r "$LIBRARY"; then
            user=
        fi
    fi
}

# launch LIST COMMAND... - starts a command on $LIBRARY and waits until it has printed its last block, "nothing". $process
# is its number, and the file LIST has its output. Samples are at random: it has some only if MEMS_OPTIONS asks for them.
launch() {
    list=$1
    shift
    : >"$list"
    launch_options=${MEMS_OPTIONS-}
    case $launch_options in
    *sample=*) ;;
    *) launch_options=sample=0${launch_options:+,$launch_options} ;;
    esac
    LD_PRELOAD=${PRELOAD-$LIBRARY} MEMS_OPTIONS=$launch_options "$@" >"$list" 2>"$list.errors" &
    process=$!
    processes="$processes $process"
    for _ in $(seq 3000); do # it may take minutes on a busy machine
        ! grep -q '^nothing' "$list" || return 0
        kill -0 "$process" || break
        sleep 0.1
    done
    ! grep -q '^nothing' "$list" || return 0 # just before it ended
    fail "$* has told nothing: $(cat "$list.errors")"
}

# halt PROCESS - stops it, and waits until all of its threads have stopped.
halt() {
    kill -STOP "$1"
    while grep -h '^State:' "/proc/$1/task/"*/status | grep -qv 'stopped'; do
        sleep 0.05
    done
}

# address LIST NAME - the address that it printed for a block.
address() {
    awk -v name="$2" '$1 == name { print $2 }' "$1"
}

# gdb_core FILE PROCESS - a core by gdb.
gdb_core() {
    timeout 600 gcore -o "$1" "$2" >"$1.log" 2>&1 || fail "gcore: $(cat "$1.log")"
    mv "$1.$2" "$1"
}

# kernel_core FILE LIST COMMAND... - a core by the kernel, of a command that aborts on $LIBRARY; false if this machine
# puts cores elsewhere.
kernel_core() {
    core=$1 list=$2
    shift 2
    [ "$(cat /proc/sys/kernel/core_pattern)" = core ] || return 1
    mkdir "$core.folder"
    (cd "$core.folder" && LD_PRELOAD=$LIBRARY prlimit --core=unlimited "$@" >"$list" 2>/dev/null) || true
    mv "$core.folder/core"* "$core" 2>/dev/null
}

# holds FILE EXPRESSION - whether a Python expression is true of the JSON in the file, which it calls `it`.
holds() {
    python3 -S -c '
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
