#!/bin/sh
# One `mems` reads every version of a library: one whose structures have other offsets and whose rows are in another
# order, with unknown ones among them. If a library does not describe a name, what needs it is omitted, and says so.
. "${0%/*}/lib.sh"
need python3 readelf xargs
: "${LIBMEMS:?}" "${LIBHMM:?}"
compile blocks
compile regions -I"$SOURCE_DIR/include" -L"${LIBHMM%/*}" -lhmm -Wl,-rpath,"${LIBHMM%/*}"
compile spaces -I"$SOURCE_DIR/include" -L"${LIBMEMS%/*}" -lmems -Wl,-rpath,"${LIBMEMS%/*}"

# build LIBRARY OPTION FILE... - the library from the changed sources: these files and base's.
build() {
    name=$(readelf -d "$1" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
    option=$2
    shift 2
    mkdir -p "$work/$name.objects"
    # shellcheck disable=SC2016 # expanded by the inner shell
    (cd "$work/other" && ls base/*.c os/*.c "$@") | (cd "$work/other" &&
        CC=$CC OPTION=$option HERE=$SOURCE_DIR TO=$work/$name.objects xargs -P 2 -I FILE sh -c '"$CC" "$OPTION" -D_GNU_SOURCE -std=c17 -O0 -fPIC -pthread -I. -I"$HERE/include" \
            -fvisibility=hidden -ftls-model=initial-exec -fno-builtin -c "FILE" -o "$TO/$(echo FILE | tr / _).o"')
    mkdir -p "$work/lib"
    "$CC" -shared -pthread -Wl,-z,nodelete -Wl,--gc-sections -Wl,-soname,"$name" -o "$work/lib/$name" \
        "$work/$name.objects"/*.o
}
python3 "$SOURCE_DIR/test/insight/other_layout.py" "$SOURCE_DIR" "$work/other" || fail "other sources"
cd "$work/other" || exit 1
build "$LIBMEMS" -DBACKEND_ENGINE engine/*/*.c mems_heap/*.c api/family/*.c api/libmems/*.c
build "$LIBHMM" -DBACKEND_HMM hmm/*.c api/family/*.c api/libhmm/*.c
cd "$SOURCE_DIR" || exit 1

# some LIST - the address of some block.
some() {
    awk '$1 ~ /^(live|within|first)/ { print $2; exit }' "$1"
}

# shows WHAT LIST - writes the output of the verbs for $process to $work/WHAT.VERB.
shows() {
    for verb in stats map check; do
        "$INSIGHT" $verb --json "$process" >"$work/$1.$verb" 2>"$work/error" || fail "$1, $verb: $(cat "$work/error")"
        [ ! -s "$work/error" ] || fail "$1, $verb: $(cat "$work/error")"
    done
    "$INSIGHT" whatis --json "$(some "$2")" "$process" >"$work/$1.whatis" || fail "$1, whatis"
}

# For the same program the other library gives the same output, except for addresses and sizes of its own structures.
for heap in blocks regions spaces; do
    PRELOAD=''
    # shellcheck disable=SC2034 # launch has it
    [ $heap != blocks ] || PRELOAD=$LIBMEMS
    launch "$work/$heap.list" "$work/$heap"
    halt "$process"
    shows "this.$heap" "$work/$heap.list"
    kill -9 "$process"
    [ $heap != blocks ] || PRELOAD=$(echo "$work"/lib/libmems.so.*)
    (
        export LD_LIBRARY_PATH="$work/lib"
        launch "$work/$heap.other" env LD_LIBRARY_PATH="$work/lib" "$work/$heap"
        echo "$process" >"$work/process"
    )
    process=$(cat "$work/process")
    processes="$processes $process"
    halt "$process"
    grep -q "$work/lib/" "/proc/$process/maps" || fail "$heap is not on the other library"
    shows "other.$heap" "$work/$heap.other"
    kill -9 "$process"
    holds "$work/other.$heap.check" "all(not h['lacks'] for h in it['target']['heaps']) and it['found'] == 0"
    python3 - "$work/this.$heap" "$work/other.$heap" <<'END' || fail "$heap: the other library says something else"
import json, sys
def read(name, verb):
    return json.load(open("%s.%s" % (name, verb)))
def facts(name):
    stats, map_, check, whatis = (read(name, verb) for verb in ("stats", "map", "check", "whatis"))
    answer = whatis["answers"][0]
    yield [(c["size"], c["slabs"], c["live"], c["cached"], c["remote"], c["free"]) for c in stats.get("classes", [])]
    yield stats.get("huge"), stats.get("large")
    yield [r["bytes"] for r in stats["rows"] if r["name"] in ("live", "cached", "MeMS live", "HMM live", "HMM cached")]
    yield [check[count] for count in ("slabs", "slots", "cached", "segments", "blocks")]
    yield [b["size"] for b in map_.get("blocks", []) if b["state"] != "free"]
    yield [(s["start"], s["last"]) for s in map_.get("segments", [])]
    yield answer["kind"], answer.get("state"), answer["size"]
for this, other in zip(facts(sys.argv[1]), facts(sys.argv[2])):
    if this != other:
        sys.exit("%s\n%s" % (this, other))
END
done

# Each heap's saved form, with one name after another made unknown.
for heap in blocks regions spaces; do
    PRELOAD=''
    # shellcheck disable=SC2034 # launch has it
    [ $heap != blocks ] || PRELOAD=$LIBMEMS
    launch "$work/list" "$work/$heap"
    halt "$process"
    "$INSIGHT" save "$process" "$work/$heap.saved" || fail "mems save"
    python3 "$SOURCE_DIR/test/insight/names.py" "$INSIGHT" "$work/$heap.saved" "$(some "$work/list")" ||
        fail "$heap: names"
    kill -9 "$process"
done
