#!/bin/sh
# `mems map` shows every unit, and a slab slot by slot; its JSON has all spans, and they add up to the window.
. "${0%/*}/lib.sh"
need python3
: "${LIBHMM:?}"
compile blocks
launch "$work/list" "$work/blocks"
halt "$process"
"$INSIGHT" map "$process" >"$work/map" || fail "mems map"
units=$(sed -n "s/^the engine's window: \([0-9]*\) units.*/\1/p" "$work/map")
drawn=$(sed -n 's/^ *7[0-9a-f]* \([0-9LlHsod.]*\)$/\1/p' "$work/map" | tr -d '\n' | wc -m)
[ "$units" -gt 30 ] || fail "the map has $units units"
[ "$drawn" -eq "$units" ] || fail "$units units are drawn as $drawn cells: $(cat "$work/map")"
grep -q 'LLLLL' "$work/map" || fail "the large block of five units is not drawn"
grep -q 'huge block, 65.0 MiB' "$work/map" || fail "the huge block is not shown"

# As wide as the terminal allows, and not wider.
for shape in 40:16 80:64 200:128; do
    columns=${shape%:*}
    for verb in map stats; do
        python3 "$SOURCE_DIR/test/insight/terminal.py" "$columns" "$INSIGHT" $verb "$process" >"$work/$verb" ||
            fail "mems $verb on a terminal of $columns columns"
    done
    cells=$(sed -n 's/^ *7[0-9a-f]* \([0-9LlHsod.]*\)$/\1/p' "$work/map" | head -1 | tr -d '\n' | wc -m)
    [ "$cells" -eq "$((${shape#*:} < units ? ${shape#*:} : units))" ] || fail "$columns columns: $cells cells in a row"
    [ "$(grep -E '^ *[0-9.]+ (B|[KM]iB) +[0-9.]+ %' "$work/stats" | awk '{ if (length > n) n = length } END { print n }')" \
        -le "$columns" ] || fail "$columns columns: $(cat "$work/stats")"
done
grep -q 'allocated blocks, whole slots: when the program frees them' "$work/stats" || fail "200 columns: $(cat "$work/stats")"

"$INSIGHT" map "$process" "$(address "$work/list" live)" >"$work/slab" || fail "mems map with an address"
slots=$(sed -n 's/.*, \([0-9]*\) slots of 112 bytes: .*/\1/p' "$work/slab")
live=$(sed -n 's/.* bytes: \([0-9]*\) live.*/\1/p' "$work/slab")
[ "$(grep -o '[#cr.]*$' "$work/slab" | tr -d '\n' | wc -m)" -ge "$slots" ] || fail "not all of $slots slots are drawn"
[ "$(grep -E '^ *7[0-9a-f]+ (resident|absent)' "$work/slab" | tr -dc '#' | wc -m)" -eq "$live" ] || fail "live slots"

"$INSIGHT" map --json "$process" >"$work/map.json" || fail "mems map --json"
holds "$work/map.json" "sum(s['bytes'] for s in it['spans']) == $units * 65536"
holds "$work/map.json" "[s['size'] for s in it['spans'] if s['kind'] == 'large block' and s['live']] == [307200]"
"$INSIGHT" stats --json "$process" >"$work/stats.json"
holds "$work/map.json" "sum(s.get('live', 0) for s in it['spans'] if s['kind'] == 'slab') ==
    sum(c['live'] for c in __import__('json').load(open('$work/stats.json'))['classes']) > 1300"

HMM_OPTIONS=break=simulated PRELOAD=$LIBHMM launch "$work/list" "$work/blocks"
"$INSIGHT" map --json "$process" >"$work/hmm.json" || fail "mems map of HMM"
holds "$work/hmm.json" "sum(b['state'] == 'live' for b in it['blocks']) > 1300"
"$INSIGHT" map "$process" | grep -q 'HMM: [0-9]* live, [0-9]* cached' || fail "the text of HMM"

# Pages of sampled blocks are not free.
MEMS_OPTIONS=sample=1 launch "$work/list" "$work/blocks"
"$INSIGHT" map "$process" | grep -q '^ *7[0-9a-f]* .*sss' || fail "sampled blocks are not drawn"

# A huge block among unmapped units of the window is drawn as such, and no unit there counts as free and resident.
compile confined_huge
MEMS_OPTIONS=window=400m launch "$work/list" "$work/confined_huge"
"$INSIGHT" map "$process" >"$work/map" || fail "mems map of a confined process"
drawn=$(sed -n 's/^ *7[0-9a-f]* \([0-9LlHsod.]*\)$/\1/p' "$work/map" | tr -d '\n')
[ "$(echo "$drawn" | tr -dc H | wc -c)" -ge "$((64 * $(grep -c ^huge "$work/list")))" ] || fail "huge blocks: $drawn"
[ "$(echo "$drawn" | tr -dc o | wc -c)" -eq 0 ] || fail "units that hold a huge block are drawn as free: $drawn"
"$INSIGHT" map --json "$process" >"$work/map.json" || fail "mems map --json of a confined process"
holds "$work/map.json" "{s['resident'] for s in it['spans'] if s['kind'] == 'free, unmapped'} == {0}"
holds "$work/map.json" "sum(h['resident'] for h in it['huge']) == 16 << 20"
