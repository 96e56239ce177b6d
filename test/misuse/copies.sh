#!/bin/sh
# libmems-copy.so: each of its functions copies what it must, and is stopped before it writes beyond a block of libmems.
. "$SOURCE_DIR/test/support/script.sh"
copy=$BUILD_DIR/libmems-copy.so
names="memcpy mempcpy memmove memset strcpy stpcpy strncpy stpncpy strcat strncat"
functions=$(for name in $names; do echo "$name __${name}_chk"; done)
"$CC" -std=gnu17 -D_GNU_SOURCE -O1 -fno-builtin -U_FORTIFY_SOURCE -w -o "$work/program" \
    "$SOURCE_DIR/test/misuse/copy_program.c" "$copy" -Wl,-rpath,"$BUILD_DIR"

fail() {
    echo "$*: status $status" >&2
    cat "$work/err" >&2
    exit 1
}

# run LIBRARIES OPTIONS ARGUMENT... - sets status.
run() {
    libraries=$1 options=$2
    shift 2
    status=0
    env LD_PRELOAD="$libraries" MEMS_OPTIONS="$options" "$work/program" "$@" >"$work/out" 2>"$work/err" || status=$?
}

works() {
    run "$@"
    if [ "$status" != 0 ] || [ -s "$work/err" ]; then
        fail "$@"
    fi
}

# is_stopped OPTIONS FUNCTION SIZE OFFSET COUNT LEFT - by a report that names the function, before anything is written.
is_stopped() {
    run "$copy:$LIBMEMS" "$1" "$2" "$3" "$4" "$5"
    name=${2#__}
    [ "$status" = 134 ] || fail "$@"
    grep -Eq "^mems: ${name%_chk}\(0x[0-9a-f]+\): overflow: $5 bytes to be written, $6 left in the block \[" \
        "$work/err" || fail "$@"
}

# One process tries the correct calls of all functions.
small=
huge=
for function in $functions; do
    for size in 24 1000 100000; do
        small="$small $function $size 2 $((size - 2)) $function $size 5 7"
        is_stopped harden=full "$function" "$size" 2 $((size - 1)) $((size - 2))
        is_stopped harden=full "$function" "$size" 9 $((size - 8)) $((size - 9))
    done
    is_stopped harden=off "$function" 32 2 31 30
    is_stopped harden=light "$function" 100000 2 99999 99998
    works "$copy" "" "$function" 100 3 97
    huge="$huge $function 73400320 5 7"
done
for size in 24 1000 100000; do
    small="$small up $size 0 0 down $size 0 0"
done
for options in harden=off harden=light harden=full; do
    # shellcheck disable=SC2086 # a list of calls
    works "$copy:$LIBMEMS" "$options" $small
done
# shellcheck disable=SC2086
works "$copy:$LIBMEMS" harden=full $huge

# The _chk forms end the program if the compiler knows that there is less room, which for appending includes the text
# before.
for name in $names; do
    case $name in
        *cat) before=2 ;;
        *) before=0 ;;
    esac
    export ROOM=$((94 + before))
    run "$copy:$LIBMEMS" "" "__${name}_chk" 100 5 95
    [ "$status" = 132 ] || [ "$status" = 133 ] || fail "__${name}_chk in too little room"
    export ROOM=$((95 + before))
    works "$copy:$LIBMEMS" "" "__${name}_chk" 100 5 95
done
