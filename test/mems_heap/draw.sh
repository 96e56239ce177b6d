#!/bin/sh
# tools/draw_mems makes well-formed SVG of a heap, with a tile for each segment, to scale and without gaps.
# docs/mems.svg is its drawing of the example's heap, except for physical addresses, and the pictures of a compaction
# are those of store_picture.c.
. "$SOURCE_DIR/test/support/script.sh"
need python3
draw=$SOURCE_DIR/tools/draw_mems

for source in examples/mems_demo examples/mems_store test/mems_heap/store_picture; do
    $CC -std=c17 -I"$SOURCE_DIR/include" "$SOURCE_DIR/$source.c" "$LIBMEMS" -Wl,-rpath,"$(dirname "$LIBMEMS")" \
        -o "$work/${source##*_}"
done
"$work/demo" json >"$work/heap.json"
"$draw" <"$work/heap.json" >"$work/heap.svg"

python3 - "$work/heap.json" "$work/heap.svg" <<'END_OF_PROGRAM'
import json
import sys
import xml.etree.ElementTree as tree

SVG = "{http://www.w3.org/2000/svg}"
with open(sys.argv[1], encoding="utf-8") as stream:
    heap = json.load(stream)
drawing = tree.parse(sys.argv[2]).getroot()
groups = [group for group in drawing.iter(SVG + "g") if "segment" in group.get("class").split()]
segments = [segment for node in heap["main_chain"] for segment in node["sub_chain"]]
assert len(groups) == len(segments) == heap["processes"] + heap["holes"] > 0, f"{len(groups)} of {len(segments)}"

scales = set()
ends = {}  # of the rows: where the next tile begins
for group, segment in zip(groups, segments):
    assert segment["kind"].lower() in group.get("class").split(), segment
    title, tile = group.find(SVG + "title").text, group.find(SVG + "rect")
    assert f'{segment["start"]}:{segment["last"]}' in title, title
    x, y, width = (float(tile.get(name)) for name in ("x", "y", "width"))
    assert abs(ends.get(y, x) - x) < 0.05, f"a gap before {title}"
    ends[y] = x + width
    scales.add(width / (segment["last"] - segment["start"] + 1))
assert len(ends) == heap["main_nodes"], f"{len(ends)} rows"
assert max(scales) - min(scales) < 0.01 * min(scales), f"not to scale: {scales}"
END_OF_PROGRAM

# The same heap gives the same drawing, and the page's.
"$draw" <"$work/heap.json" | cmp - "$work/heap.svg"
for drawing in "$SOURCE_DIR/docs/mems.svg" "$work/heap.svg"; do
    sed 's/0x[0-9a-f]*/0x/g' "$drawing" >"$work/$(basename "$drawing").plain"
done
cmp "$work/mems.svg.plain" "$work/heap.svg.plain" || fail "docs/mems.svg is to be drawn again (docs/mems.md says how)"

# A movable space with its store, before and after compaction, as on the page.
"$work/picture" | "$draw" >"$work/gaps.svg"
"$work/picture" compacted | "$draw" >"$work/compacted.svg"
for drawing in gaps compacted; do
    sed 's/0x[0-9a-f]*/0x/g' "$SOURCE_DIR/docs/mems-$drawing.svg" >"$work/page.plain"
    sed 's/0x[0-9a-f]*/0x/g' "$work/$drawing.svg" >"$work/own.plain"
    cmp "$work/page.plain" "$work/own.plain" || fail "docs/mems-$drawing.svg is to be drawn again"
done
"$work/store" >"$work/story" || fail "mems_store: $(cat "$work/story")"
grep -q '^movable space: ' "$work/story"

# The arrow starts at the given address, if something is there.
"$draw" --get 3500 <"$work/heap.json" >"$work/other.svg"
grep -q '>mems_get(3500)<' "$work/other.svg" || fail "no arrow from 3500"
! "$draw" --get 2500 <"$work/heap.json" 2>"$work/error" || fail "a HOLE has a physical address"
[ "$(cat "$work/error")" = "draw_mems: 2500 is in no PROCESS of this heap" ] || fail "$(cat "$work/error")"

! echo '{"pages": 1}' | "$draw" 2>"$work/error" || fail "not a heap, and drawn"
[ "$(cat "$work/error")" = "draw_mems: standard input is not what mems_stats_json prints" ] || fail "$(cat "$work/error")"
