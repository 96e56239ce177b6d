#!/bin/sh
# The rows of `mems stats` sum exactly to the Rss of a stopped process, as the kernel gives it, and include every block of
# the program; for a core they sum to what the core contains.
. "${0%/*}/lib.sh"
need python3 gdb
compile blocks

# rss PROCESS - by smaps, in bytes.
rss() {
    awk '$1 == "Rss:" { sum += $2 } END { print sum * 1024 }' "/proc/$1/smaps"
}

# row NAME - for an expression: the resident bytes of a row.
row() {
    echo "next(r for r in it['rows'] if r['name'] == '$1')['resident']"
}

for options in check=every check=deferred window=64m decay_ms=0; do
    MEMS_OPTIONS=$options launch "$work/list" "$work/blocks"
    halt "$process"
    # Looking does not bring back pages that the kernel has taken away.
    python3 "$SOURCE_DIR/test/insight/page_out.py" "$process" || [ $? -eq 77 ] || fail "page_out.py"
    before=$(rss "$process")
    "$INSIGHT" stats --json "$process" >"$work/stats.json" || fail "mems stats --json"
    after=$(rss "$process")
    [ "$before" -eq "$after" ] || fail "looking has changed Rss from $before to $after"
    holds "$work/stats.json" "it['rss'] == $before"
    holds "$work/stats.json" "sum(r['resident'] for r in it['rows']) == $before"
    holds "$work/stats.json" "$(row changed) == 0 and $(row fresh) == 0 and it['torn'] == 0"
    # 1333 blocks of up to 900 bytes, 450 on average; 300 KiB; a page.
    holds "$work/stats.json" "500_000 < $(row live) < 1_500_000 and $(row huge) == 4096"
    holds "$work/stats.json" "$(row 'free beside') > 5_000 and $(row tables) > 0 and $(row library) > 30_000"
    holds "$work/stats.json" "sum(c['live'] for c in it['classes']) >= 1333 and it['large']['blocks'] == 1"
    holds "$work/stats.json" "sum(c['cached'] for c in it['classes']) > 100"
    "$INSIGHT" stats "$process" >"$work/text" || fail "mems stats"
    grep -q ' Rss  *their sum' "$work/text" || fail "the text has no sum: $(cat "$work/text")"
    kill -9 "$process"
done

# The records that harden=full keeps of blocks are a table, too.
MEMS_OPTIONS=harden=full launch "$work/list" "$work/blocks"
halt "$process"
"$INSIGHT" stats --json "$process" >"$work/stats.json" || fail "mems stats --json of a hardened process"
holds "$work/stats.json" "$(row changed) == 0 and sum(r['resident'] for r in it['rows']) == it['rss']"
kill -9 "$process"

# Pages of zeros are not in Rss and are shown beside it; huge pages, and those shared with a forked child, are part of it.
compile pages
launch "$work/list" "$work/pages"
child=$(address "$work/list" child)
processes="$processes $child"
halt "$process"
halt "$child"
for who in "$process" "$child"; do
    "$INSIGHT" stats --json "$who" >"$work/pages.json" || fail "mems stats of $who"
    holds "$work/pages.json" "sum(r['resident'] for r in it['rows']) == it['rss'] == $(rss "$who")"
    holds "$work/pages.json" "$(row changed) == 0 and $(row live) >= 32 << 20 and it['shared'] > 24 << 20"
    holds "$work/pages.json" "not it['zeros_known'] or it['zero_pages'] >= 16 << 20"
    holds "$work/pages.json" "it['huge_pages'] == sum(int(l.split()[1]) << 10 for l in open('/proc/$who/smaps')
        if l.startswith('AnonHugePages:'))"
    # A look at one that is known counts its pages by the page map, and comes to the same.
    "$INSIGHT" top --json -n 3 -i 0.2 "$who" >"$work/looks" || fail "mems top of $who"
    tail -n 1 "$work/looks" >"$work/look.json"
    holds "$work/look.json" "it['rss'] == $(rss "$who")"
done
kill -9 "$process" "$child"

# The rows and roots, which only readers need, make a process at most 8 KiB larger.
for table in engine_layout space_layout mems_root space_root; do
    nm -S "$LIBRARY" | awk -v table=$table '$4 == table { print $2 }'
done | python3 -c 'import sys
sizes = [int(line, 16) for line in sys.stdin]
sys.exit(0 if len(sizes) == 4 and sum(sizes) <= 8192 else "rows and roots: %s bytes" % sizes)' || fail "the rows have grown"

# For a running process the sum is right within one percent.
launch "$work/list" "$work/blocks"
"$INSIGHT" stats --json "$process" >"$work/stats.json"
holds "$work/stats.json" "abs(sum(r['resident'] for r in it['rows']) - $(rss "$process")) <= it['rss'] / 100"

# For a core too.
gdb_core "$work/core" "$process"
"$INSIGHT" stats --json "$work/core" >"$work/core.json"
holds "$work/core.json" "sum(r['resident'] for r in it['rows']) == it['rss'] > 1_000_000"
holds "$work/core.json" "sum(c['live'] for c in it['classes']) ==
    sum(c['live'] for c in __import__('json').load(open('$work/stats.json'))['classes'])"

# A huge block that lies among unmapped units of the window is no free memory of it, and counts once.
compile confined_huge
MEMS_OPTIONS=window=400m launch "$work/list" "$work/confined_huge"
halt "$process"
"$INSIGHT" stats --json "$process" >"$work/huge.json" || fail "mems stats of a confined process"
holds "$work/huge.json" "sum(r['resident'] for r in it['rows']) == it['rss'] == $(rss "$process")"
holds "$work/huge.json" "$(row huge) == 16 << 20 and $(row fresh) == 0"
# shellcheck disable=SC2046 # a list of words
"$INSIGHT" whatis --json $(address "$work/list" huge) "$process" >"$work/huge.json" || fail "mems whatis of huge blocks"
holds "$work/huge.json" "{(a['kind'], a['state']) for a in it['answers']} == {('huge block', 'live')}"

# Without a heap of ours the kernel's numbers remain, and the status says that something is missing.
status=0
"$INSIGHT" stats --json $$ >"$work/other.json" 2>"$work/error" || status=$?
[ $status -eq 2 ] || fail "status $status for a process without a heap"
holds "$work/other.json" "sum(r['resident'] for r in it['rows']) == it['rss'] > 0"
