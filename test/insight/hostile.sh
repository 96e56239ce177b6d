#!/bin/sh
# Whatever a core or a process contains, the command ends by itself within seconds, with one of its exit statuses: mutated
# and truncated cores, other files, cores of other machines, a process whose metadata are nonsense.
. "${0%/*}/lib.sh"
need python3 gdb timeout prlimit
: "${LIBMEMS:?}" "${LIBHMM:?}"
compile blocks
compile spaces -I"$SOURCE_DIR/include" -L"${LIBMEMS%/*}" -lmems -Wl,-rpath,"${LIBMEMS%/*}"
rounds=$((${STRESS_SCALE:-100} / 10))

for heap in mems hmm spaces; do
    case $heap in
    mems) PRELOAD=$LIBMEMS launch "$work/list" "$work/blocks" ;;
    hmm) PRELOAD=$LIBHMM launch "$work/list" "$work/blocks" ;;
    spaces) PRELOAD='' launch "$work/list" "$work/spaces" ;;
    esac
    "$INSIGHT" save "$process" "$work/saved" || fail "mems save"
    # Saved heaps have no pointers: leaks are only searched for in cores.
    gdb_core "$work/core" "$process"
    kill -9 "$process"
    # shellcheck disable=SC2046 # a list
    python3 "$SOURCE_DIR/test/insight/hostile.py" "$INSIGHT" "${TEST_SEED:-$heap}" $rounds "$work/saved" \
        $(awk '$1 != "nothing" { print $2 }' "$work/list") || fail "mutants of $heap"
    # shellcheck disable=SC2046 # a list
    python3 "$SOURCE_DIR/test/insight/hostile.py" "$INSIGHT" "${TEST_SEED:-$heap}" $(((rounds + 2) / 3)) "$work/core" \
        $(awk '$1 != "nothing" { print $2 }' "$work/list") || fail "mutants of a core of $heap"
done

# refuses FILE PATTERN - with status 2, and a reason.
refuses() {
    status=0
    timeout 100 "$INSIGHT" stats "$1" >"$work/output" 2>"$work/error" || status=$?
    [ $status -eq 2 ] || fail "$1: status $status"
    grep -q "$2" "$work/error" || fail "$1: it says $(cat "$work/error")"
}
: >"$work/empty"
refuses "$work/empty" 'not a core'
head -c 100000 /dev/urandom >"$work/noise"
refuses "$work/noise" 'not a core'
refuses "$INSIGHT" 'a program or a library, not a core'
refuses "$work" 'a core must be a regular file'
head -c 60 "$work/saved" >"$work/short"
refuses "$work/short" 'not a core'
printf '\267' | dd of="$work/saved" bs=1 seek=18 conv=notrunc 2>/dev/null
[ "$(uname -m)" != x86_64 ] || refuses "$work/saved" 'a core of aarch64; this mems reads those of x86-64'

"$CC" -std=c17 -D_GNU_SOURCE -O1 -g -fno-builtin -w -I"$SOURCE_DIR/src" -I"$SOURCE_DIR/include" -o "$work/hostile" \
    "$SOURCE_DIR/test/insight/hostile.c" -L"${LIBMEMS%/*}" -lmems -Wl,-rpath,"${LIBMEMS%/*}"
for seed in 1 2 3; do
    MEMS_OPTIONS=sample=4k PRELOAD='' launch "$work/list" "$work/hostile" $seed
    for _ in $(seq $rounds); do
        for verb in stats map check 'stats --json' 'map --json' leaks 'leaks --json' 'profile --class' \
            'profile --lifetime --class --json' 'profile --format pprof' 'top --batch -n 1 -i 0.05' \
            "whatis $(address "$work/list" live)"; do
            status=0
            # shellcheck disable=SC2086 # words
            timeout 100 prlimit --as=8000000000 "$INSIGHT" $verb "$process" >"$work/output" 2>"$work/error" ||
                status=$?
            [ $status -le 2 ] || fail "seed $seed, mems $verb: status $status: $(tail -c 500 "$work/error")"
        done
    done
    kill -9 "$process"
done
