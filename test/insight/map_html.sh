#!/bin/sh
# The page of `mems map --html` is self-contained and shows the whole heap: every span as in `mems map --json`, every slot
# as in `mems whatis`. Looking changes nothing, and no text of the target becomes part of the page's code. Saved heaps and
# cores have such pages as well.
. "${0%/*}/lib.sh"
need python3
compile blocks
launch "$work/list" "$work/blocks"
halt "$process"

# page TARGET NAME - $work/NAME.html, and its data as $work/NAME.json.
page() {
    "$INSIGHT" map --html "$work/$2.html" "$1" || fail "mems map --html of $1"
    python3 - "$work/$2.html" "$work/$2.json" <<'END' || fail "the page of $1"
import html.parser
import json
import re
import sys


class Page(html.parser.HTMLParser):
    """The addresses that it would load from, and the contents of its elements."""

    def __init__(self):
        super().__init__()
        self.loads, self.data, self.inside, self.scripts, self.policy = [], '', None, 0, ''

    def handle_starttag(self, name, attributes):
        attributes = dict(attributes)
        self.inside = name if 'id' not in attributes else attributes['id']
        self.scripts += name == 'script' and 'type' not in attributes
        self.loads += [attributes[key] for key in ('src', 'href') if not attributes.get(key, 'data:').startswith('data:')]
        self.policy += attributes.get('content', '') if 'http-equiv' in attributes else ''

    def handle_data(self, text):
        self.data += text if self.inside == 'data' else ''


page = Page()
page.feed(open(sys.argv[1], encoding='utf-8').read())
assert page.loads == [], page.loads
assert page.policy.startswith("default-src 'none'"), page.policy
assert page.scripts == 5, page.scripts
assert '<' not in page.data
json.dump(json.loads(page.data), open(sys.argv[2], 'w'))
END
}

rss() {
    awk '/^(Rss|Referenced):/ { sum += $2 } END { print sum }' "/proc/$1/smaps"
}
"$INSIGHT" stats --json "$process" >"$work/before.json"
before=$(rss "$process")
page "$process" page
[ "$before" = "$(rss "$process")" ] || fail "looking has changed the pages of the process"
"$INSIGHT" stats --json "$process" >"$work/after.json"
holds "$work/after.json" "it['zero_pages'] == __import__('json').load(open('$work/before.json'))['zero_pages']"

"$INSIGHT" map --json "$process" >"$work/map.json"
holds "$work/page.json" "[{k: s[k] for k in s if k not in ('pages', 'slots', 'first')} for s in it['spans']] ==
    __import__('json').load(open('$work/map.json'))['spans'] != []"
holds "$work/page.json" "it['heaps'][0]['thread'] == $process and [h['bytes'] >= 65 << 20 for h in it['huge']] == [True]"

# Each slot has the state that the program gave its block, and the counts are those of the slots and pages.
cat >"$work/slots.py" <<'END'
import json
import re
import sys

page = json.load(open(sys.argv[1]))


def letters(text):
    return ''.join(letter * int(count or 1) for letter, count in re.findall(r'([a-z])(\d*)', text))


for span in page['spans']:
    if span['kind'] == 'slab':
        slots = letters(span['slots'])
        assert len(slots) == span['live'] + span['cached'] + span['remote'] + span['free'], span
        assert slots.count('l') == span['live'] and slots.count('f') == span['free'], span
        assert slots.count('r') == span['remote'], span
    pages = letters(span['pages'])
    assert len(pages) * page['page'] == span['bytes'] and pages.count('r') * page['page'] == span['resident'], span


def letter(address):
    span = next(s for s in page['spans'] if s['start'] <= address < s['start'] + s['bytes'])
    return letters(span['slots'])[(address - span['start']) // span['size']]


for name, wanted in (pair.split('=') for pair in sys.argv[3:]):
    address = next(int(line.split()[1], 16) for line in open(sys.argv[2]) if line.split()[0] == name)
    assert letter(address) in wanted, (name, letter(address))
END
python3 "$work/slots.py" "$work/page.json" "$work/list" live=l inside=l cached=md remote=r || fail "the slots"

# A core and a saved heap, without the first bytes of blocks.
"$INSIGHT" save "$process" "$work/saved"
page "$work/saved" saved
python3 "$work/slots.py" "$work/saved.json" "$work/list" live=l inside=l cached=md remote=r || fail "the saved slots"

# The other heaps have separate areas; a file that cannot be written is an error.
HMM_OPTIONS=break=simulated PRELOAD=${LIBHMM:?} launch "$work/hmm" "$work/blocks"
page "$process" hmm
holds "$work/hmm.json" "sum(b['state'] == 'live' for b in it['blocks']) > 1300"
! "$INSIGHT" map --html /nowhere/page.html "$process" 2>"$work/error" || fail "a page was written nowhere"
grep -q '/nowhere/page.html: No such file' "$work/error" || fail "$(cat "$work/error")"

# A program with a hostile name.
cp "$work/blocks" "$work/<script>"
launch "$work/list" "$work/<script>"
page "$process" hostile
holds "$work/hostile.json" "it['target']['program'] == '<script>'"

# One place as JSON.
"$INSIGHT" map --json "$process" "$(address "$work/list" live)" >"$work/place.json" || fail "one place"
holds "$work/place.json" "it['span']['size'] == 112 and len(it['span']['slots']) > 1"
