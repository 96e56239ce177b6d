#!/bin/sh
# A profile as a page with a flame graph, and as a file for speedscope, agrees with `mems profile --json`; the map has the
# sampled blocks and their call sites; `mems serve` has the same for a running process.
. "${0%/*}/lib.sh"
need python3 curl
compile blocks
own_user # so the server does not look at processes of other tests
# shellcheck disable=SC2086 # words
MEMS_OPTIONS=sample=1 launch "$work/list" $user "$work/blocks"
"$INSIGHT" profile --json --rows 0 "$process" >"$work/profile.json" || fail "mems profile --json"
"$INSIGHT" profile --format html "$process" >"$work/page.html" || fail "mems profile --format html"
"$INSIGHT" profile --format speedscope "$process" >"$work/speedscope.json" || fail "mems profile --format speedscope"
"$INSIGHT" map --json "$process" >"$work/map.json" || fail "mems map --json"
sed -n 's/.*<script type="application\/json" id="data">\(.*\)<\/script>.*/\1/p' "$work/page.html" >"$work/page.json"
[ "$(grep -c '<script' "$work/page.html")" -eq 5 ] || fail "the page has other scripts"
! grep -q '<link rel="stylesheet"\|<script src' "$work/page.html" || fail "the page needs other files"

holds "$work/page.json" "len(it['stacks']) == len(__import__('json').load(open('$work/profile.json'))['sites']) > 3"
holds "$work/page.json" "[m['unit'] for m in it['measures']] == ['bytes', 'none']"
holds "$work/page.json" "abs(sum(s['values'][0] for s in it['stacks']) -
    __import__('json').load(open('$work/profile.json'))['total']['bytes']) < 1"
holds "$work/page.json" "all(len(s['frames']) >= 1 and len(s['errors']) == 2 for s in it['stacks'])"
holds "$work/page.json" "any('main' in s['frames'][:-1] or s['frames'][-1] == 'main' for s in it['stacks'])"

holds "$work/speedscope.json" "it['\$schema'] == 'https://www.speedscope.app/file-format-schema.json'"
holds "$work/speedscope.json" "all(p['type'] == 'sampled' and p['unit'] in ('bytes', 'none') and
    len(p['samples']) == len(p['weights']) and abs(p['endValue'] - sum(p['weights'])) < 1 and
    all(0 <= f < len(it['shared']['frames']) for s in p['samples'] for f in s) for p in it['profiles'])"
holds "$work/speedscope.json" "it['profiles'][0]['weights'] ==
    [s['values'][0] for s in __import__('json').load(open('$work/page.json'))['stacks']]"
holds "$work/speedscope.json" "[[it['shared']['frames'][f]['name'] for f in s] for s in it['profiles'][0]['samples']] ==
    [s['frames'] for s in __import__('json').load(open('$work/page.json'))['stacks']]"

# With sample=1 every block is a sample: the one of 100 bytes is, and its site is a line of main's.
live=$(($(address "$work/list" live)))
holds "$work/map.json" "[(s['size'], s['class'], it['sites'][s['site']].startswith('main blocks.c:')) for s in it['samples']
    if s['start'] == $live] == [(100, 112, True)]"
holds "$work/map.json" "sum(s['kind'] == 'samples' for s in it['spans']) > 10"

: >"$work/server"
# shellcheck disable=SC2086 # words
$user "$INSIGHT" serve --listen 127.0.0.1:0 >"$work/server" 2>&1 &
processes="$processes $!"
for _ in $(seq 900); do
    server=$(sed -n 's/^serving at \(.*\)\/$/\1/p' "$work/server")
    ! grep -q 'without libmicrohttpd' "$work/server" || exit 0
    if [ -n "$server" ] && curl -sf "$server/api/processes/$process/sites" >"$work/sites.json"; then
        break
    fi
    sleep 0.2
done
holds "$work/sites.json" "it['stacks'] == __import__('json').load(open('$work/page.json'))['stacks']"

# Without samples it says how to get some.
# shellcheck disable=SC2086 # words
launch "$work/list" $user "$work/blocks"
for _ in $(seq 900); do
    status=$(curl -s -o "$work/sites" -w '%{http_code}' "$server/api/processes/$process/sites")
    [ "$status" != 409 ] || break
    sleep 0.2
done
grep -q 'mems set PID sample=2m' "$work/sites" || fail "without samples it says $status: $(cat "$work/sites")"
