#!/bin/sh
# `mems check` finds a working heap intact at any moment, and so is its core. It finds each kind of damage, with status 1,
# and the process continues afterwards.
. "${0%/*}/lib.sh"
need python3 gdb
: "${LIBHMM:?}" "${LIBMEMS:?}"
compile busy
compile confined
compile regions -I"$SOURCE_DIR/include" -L"${LIBHMM%/*}" -lhmm -Wl,-rpath,"${LIBHMM%/*}"
compile spaces -I"$SOURCE_DIR/include" -L"${LIBMEMS%/*}" -lmems -Wl,-rpath,"${LIBMEMS%/*}"
compile blocks
compile shapes

# sound TARGET - status 0, and something was checked.
sound() {
    "$INSIGHT" check --json "$1" >"$work/check.json" || fail "$1 is damaged: $(cat "$work/check.json")"
    holds "$work/check.json" 'it["found"] == 0 and it["slabs"] + it["blocks"] > 30'
}

# damaged PATTERN TARGET
damaged() {
    status=0
    "$INSIGHT" check "$2" >"$work/check" || status=$?
    [ $status -eq 1 ] || fail "status $status where \"$1\" is expected: $(cat "$work/check")"
    grep -q "$1" "$work/check" || fail "not \"$1\", but: $(cat "$work/check")"
}

for options in check=every check=deferred; do
    MEMS_OPTIONS=$options launch "$work/list" nice "$work/busy" 4 # other tests go first
    for _ in 1 2 3 4 5; do
        sound "$process"
    done
    holds "$work/check.json" 'it["lock_held"] is None and it["pause_ms"] > 0 and it["cached"] > 0'
    grep -q '^State:.*[RS] ' "/proc/$process/status" || fail "the process does not go on"
    ticks=$(awk '{ print $14 }' "/proc/$process/stat")
    for _ in $(seq 1000); do # it is nicer than all else
        [ "$(awk '{ print $14 }' "/proc/$process/stat")" -eq "$ticks" ] || break
        sleep 0.02
    done
    [ "$(awk '{ print $14 }' "/proc/$process/stat")" -gt "$ticks" ] || fail "the process does not go on"
    kill -9 "$process"
done

# One debugger makes all changes, because starting one takes longer than a change. It keeps its index of the symbols.
mkfifo "$work/commands" "$work/changed"
gdb -q -nx <"$work/commands" >"$work/gdb" 2>&1 &
exec 9>"$work/commands"
printf 'set confirm off\nset debug-file-directory\nset index-cache directory %s\nset index-cache enabled on\n' "$work/index" >&9

# change EXPRESSION... - in the process, with the debugger.
change() {
    {
        echo "attach $process"
        for expression; do
            echo "set var $expression"
        done
        echo "detach"
        echo "file"
        echo "shell echo >$work/changed"
    } >&9
    timeout 300 cat "$work/changed" >/dev/null || fail "gdb does not answer: $(tail "$work/gdb")"
    ! grep 'No symbol "\|Cannot\|syntax error' "$work/gdb" || fail "gdb: $(tail "$work/gdb")"
}

# each_damaged - reads lines of a change, what undoes it, and the finding; the process is sound after the last. A change is
# undone when the next is made.
each_damaged() {
    cure=
    while IFS='|' read -r harm undo finding; do
        change ${cure:+"$cure"} "$harm"
        damaged "$finding" "$process"
        cure=$undo
    done
    change "$cure"
    sound "$process"
}

launch "$work/list" "$work/blocks"
live=$(address "$work/list" live)
sound "$process"
gdb_core "$work/core" "$process"
sound "$work/core"

slab='((struct slab *)((char *)window.spans['$live' - window.base >> 16]))'
word="window.live_map[($live - window.base) / 1024]"
bit="(1ul << ($live - window.base) / 16 % 64)"
each_damaged <<END
spans.live_units = spans.live_units + 1|spans.live_units = spans.live_units - 1|units of slabs and large blocks
$slab->free = $slab->free + 1|$slab->free = $slab->free - 1|count of free slots is not that of its bitmap
$slab->span.first = $slab->span.first + 1|$slab->span.first = $slab->span.first - 1|is invalid
$word.live = $word.live ^ $bit << 1|$word.live = $word.live ^ $bit << 1|bits of the live map belong to no slot
$word.remote = $word.remote ^ $bit << 7|$word.remote = $word.remote ^ $bit << 7|freed remotely and not live
heaps.in_use = heaps.in_use + 1|heaps.in_use = heaps.in_use - 1|heaps in use
huge_table.live.count = 7|huge_table.live.count = 1|huge blocks: counted 1, but the heap says 7
END

# The same with everything that a heap can have: free spans of both kinds, depots, aging slabs, units in an inbox.
kill -9 "$process"
MEMS_OPTIONS=decay_ms=600000 launch "$work/list" "$work/shapes"
sound "$process"
dirty='((struct free_span *)((char *)spans.dirty.tree.root - (long)&((struct free_span *)0)->node))'
clean='((struct free_span *)((char *)spans.fresh.tree.root - (long)&((struct free_span *)0)->node))'
left=$(gdb -batch -nx -p "$process" -ex 'print/x (long)spans.fresh.tree.root->left' 2>"$work/gdb" | sed -n 's/^\$1 = //p')
word='window.live_map['$clean'->span.first * 64]'
heap='window.heaps[1]'
class=12 # of 200 bytes
each_damaged <<END
$dirty->dirty_units = $dirty->dirty_units + 1|$dirty->dirty_units = $dirty->dirty_units - 1|dirty units are not those of the page map
$clean->span.units = $clean->span.units + 1|$clean->span.units = $clean->span.units - 1|free span's ends do not point at it
$word.live = 1|$word.live = 0|live map is set in a free span
spans.dirty.tree.root->left = spans.dirty.tree.root->left->left|spans.dirty.tree.root->left = spans.dirty.tree.root->left->parent|a free span is in no tree
spans.fresh.tree.root->left = spans.fresh.tree.root|spans.fresh.tree.root->left = (void *)$left|is broken, or has other spans
spans.aging.prev = spans.aging.prev->prev|spans.aging.prev = spans.aging.prev->next|list of dirty spans is broken
$heap->aging.prev = $heap->aging.prev->prev|$heap->aging.prev = $heap->aging.prev->next|list of aging slabs is broken
$heap->depot.stored_count = $heap->depot.stored_count + 1|$heap->depot.stored_count = $heap->depot.stored_count - 1|stored magazines of a heap
$heap->depot.stored_credit = $heap->depot.stored_credit + 1|$heap->depot.stored_credit = $heap->depot.stored_credit - 1|bytes of all depots
$heap->classes[$class].stock.count = $heap->classes[$class].stock.count + 1|$heap->classes[$class].stock.count = $heap->classes[$class].stock.count - 1|stored magazines of a class
$heap->slab_bytes = $heap->slab_bytes + 16|$heap->slab_bytes = $heap->slab_bytes - 16|bytes in slots of a heap
$heap->backlog = spans.top + 1|$heap->backlog = 0|inbox leads out of the window
window.heaps[2]->inbox = 0|window.heaps[2]->inbox = 0xffffffff|in use, and in the list of unused ones
heaps.in_use = (heaps.unused.next = heaps.unused.prev = &heaps.unused, heaps.in_use + 1)|heaps.in_use = (heaps.unused.next = heaps.unused.prev = &window.heaps[2]->link, heaps.in_use - 1)|heaps are neither in use nor in the list of unused ones
window.inbox_links[spans.top - 1] = 0x80000000|window.inbox_links[spans.top - 1] = 0|units are marked as in an inbox
END

# A live block without its live bit is not damage but a leak; a live block that is in a magazine is damage.
kill -9 "$process"
launch "$work/list" "$work/blocks"
cached=$(address "$work/list" cached)
word="window.live_map[($cached - window.base) / 1024]"
change "$word.live = $word.live | (1ul << ($cached - window.base) / 16 % 64)"
damaged '1 cached blocks are live' "$process"

HMM_OPTIONS=break=simulated PRELOAD=$LIBHMM launch "$work/list" "$work/blocks"
sound "$process"
gdb_core "$work/core" "$process"
sound "$work/core"
change "*(char *)($(address "$work/list" live) - 8) ^= 64"
damaged "header is damaged" "$process"

# HMM's lists and counters, of the process's heap and of one that the program made.
PRELOAD='' launch "$work/list" "$work/regions"
sound "$process"
cp "$work/check.json" "$work/before.json"
made='((struct HmmHeap *)hmm_root.made[0])'
each_damaged <<END
hmm_heap.free_blocks = hmm_heap.free_blocks + 1|hmm_heap.free_blocks = hmm_heap.free_blocks - 1|HmmHeap.free_blocks: counted .*, but the heap says
$made->room = $made->room + 16|$made->room = $made->room - 16|HmmHeap.room: counted .*, but the heap says
$made->free_list.levels = $made->free_list.levels ^ 0x80000|$made->free_list.levels = $made->free_list.levels ^ 0x80000|whether the bin is empty
$made->quick[10].waiting = $made->quick[10].waiting + 16|$made->quick[10].waiting = $made->quick[10].waiting - 16|recorded length is wrong
$made->cut->header = $made->cut->header ^ 64|$made->cut->header = $made->cut->header ^ 64|header is damaged
END

# Two cached blocks of a size, whose links have checks. An older library does not rotate the link in the check, and tells
# of no rotation.
# shellcheck disable=SC2016 # the debugger's variables
change '$first = (unsigned long)HmmHeapAlloc('"$made"', 24)' '$second = (unsigned long)HmmHeapAlloc('"$made"', 24)' \
    'HmmHeapFree('"$made"', $first)' 'HmmHeapFree('"$made"', $second)'
sound "$process"
# shellcheck disable=SC2016
change '((unsigned long *)$second)[1] = ((unsigned long *)$second)[0] ^ ($second - 8) ^ hmm_block_secret'
damaged 'the link of a cached block is damaged' "$process"
change '*(char *)((void *(*)(void *, long, char *, long))memmem)(&hmm_layout, sizeof hmm_layout, "BLOCK_CHECK_TURN", 16) ^= 32'
sound "$process"

change "$made->cut = 0"
damaged 'a free block is in no bin' "$process"
change "$made->own = 5" # its memory has another use: nobody looks at it any more
sound "$process"
holds "$work/check.json" "it['blocks'] < $(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["blocks"])' "$work/before.json")"

PRELOAD='' launch "$work/list" "$work/spaces"
# shellcheck disable=SC2016 # the debugger's variable
change '$block = mems_malloc(2500)' # so that the first frame has two PROCESSes
leaf='*(uintptr_t *)(space_default.dict.root & ~63ul) & ~63ul'
movable='((struct mems_space *)((char *)space_root.spaces.prev - (long)&((struct mems_space *)0)->link))'
region="((struct region *)((char *)$movable->store.regions.next - (long)&((struct region *)0)->link))"
slot="((struct sub_node **)($region->memory + $region->mapped))[-1 - (long)($region->slots - 1)]"
first='((struct sub_node *)((struct main_node *)space_default.chain.list.next)->sub_chain.next)'
while IFS='|' read -r harm cure finding; do
    change "$harm"
    damaged "$finding" "$process"
    change "$cure"
    "$INSIGHT" check "$process" >"$work/check" || fail "the spaces are damaged: $(cat "$work/check")"
done <<END
space_default.dict.count = space_default.dict.count + 1|space_default.dict.count = space_default.dict.count - 1|dictionary of a space has a wrong count
space_default.dict.root = space_default.dict.root ^ 64|space_default.dict.root = space_default.dict.root ^ 64|dictionary
((struct leaf *)($leaf))->lanes[0] = ((struct leaf *)($leaf))->lanes[0] + 65536|((struct leaf *)($leaf))->lanes[0] = ((struct leaf *)($leaf))->lanes[0] - 65536|out of order
((struct leaf *)($leaf))->lanes[1] = ((struct leaf *)($leaf))->lanes[1] - 65536|((struct leaf *)($leaf))->lanes[1] = ((struct leaf *)($leaf))->lanes[1] + 65536|does not lead to all
$first->last = $first->last + 8|$first->last = $first->last - 8|do not tile it
$first->physical = $first->physical + 8|$first->physical = $first->physical - 8|memory that is its own
$first->tag = $first->tag ^ 2|$first->tag = $first->tag ^ 2|no known kind
$region->blocks = $region->blocks + 1|$region->blocks = $region->blocks - 1|by its own count
$slot = (void *)((long)$slot ^ 64)|$slot = (void *)((long)$slot ^ 64)|leads to no block of the region
($slot)->slot = ($slot)->slot ^ 1|($slot)->slot = ($slot)->slot ^ 1|leads to no block of the region
$region->top = $region->size + 1|$region->top = $region->clean|is invalid
END

# shellcheck disable=SC2046,SC2016 # ten times; the debugger's variable
change $(yes '$block=mems_malloc(24)' | head -10) # and now a full leaf describes it
full="((struct full_leaf *)($leaf))"
for part in 'starts[0]' 'before[0]' 'before[3]'; do
    change "$full->$part = $full->$part ^ 1"
    damaged dictionary "$process"
    change "$full->$part = $full->$part ^ 1"
    "$INSIGHT" check "$process" >"$work/check" || fail "the spaces are damaged: $(cat "$work/check")"
done

# If address space is limited, free units are unmapped.
launch "$work/list" prlimit --as=1000000000 "$work/confined"
"$INSIGHT" check --json "$process" >"$work/check.json" || fail "what is unmapped is damaged: $(cat "$work/check.json")"
holds "$work/check.json" 'it["found"] == 0 and it["spans"] > 100'
"$INSIGHT" whatis --json "$(address "$work/list" unmapped)" "$(address "$work/list" last)" "$process" \
    >"$work/answers.json" || fail "mems whatis of unmapped units"
holds "$work/answers.json" '[a["state"] for a in it["answers"]] == ["unmapped: nothing is there", "live"]'
"$INSIGHT" map --json "$process" >"$work/map.json" || fail "mems map of unmapped units"
holds "$work/map.json" 'sum(s["bytes"] for s in it["spans"] if s["kind"] == "free, unmapped") > 16 << 20'

# Four million blocks are checked in less than three seconds of processor time.
PYTHONMALLOC=malloc launch "$work/list" python3 -c '
import time
blocks = [float(number) for number in range(4000000)]
print("nothing", flush=True)
time.sleep(600)'
prlimit --cpu=3 "$INSIGHT" check --json "$process" >"$work/check.json" || fail "a check that takes too long"
holds "$work/check.json" 'it["found"] == 0 and it["slots"] > 4000000'
