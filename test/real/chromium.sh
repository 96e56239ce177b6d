#!/bin/sh
# Chromium beside the library. Its executable has its own malloc with nearly all names of the family, which go
# before those of a preloaded library, so its blocks are not the library's: this test shows that the two do not disturb
# each other, in a browser of several processes and many threads. (webengine.sh has the same engine on the heap.)
#
# It loads a page of charts, draws it, asks for nothing but these files, and says nothing on the console.
. "${0%/*}/charts.sh"
need chromium-headless-shell awk

cat >"$directory/session.sh" <<'END'
set -eu
export HOME="$PWD"

# browse URL OPTION... - what it says is shown, but for the notes that begin with a time; without a daemon for messages
# it has many of these.
browse() {
    url=$1
    shift
    chromium-headless-shell --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$PWD/profile" \
        --window-size=1000,3000 "$@" "$url" 2>log || { status=$?; cat log; exit $status; }
    awk '/CONSOLE|crash|unexpectedly/ || !/^\[[0-9\/.:]*:[A-Z]*:/' log | sed 's/^\[[0-9/.:]*://' >&2
}

browse "file://$1" --dump-dom --screenshot=page.png --log-net-log="$PWD/network.json" >page.html
sed -n '/<pre id="found">/,/<\/pre>/p' page.html | sed 's/<[^>]*>//g'
browse about:blank --screenshot=blank.png
cksum blank.png page.png
END

# Of the two browsers: they ended with the library in them, and nothing from it.
also() {
    [ "$(grep -lx 0 "$records"/* | wc -l)" -ge 2 ] || fail "no browser was there, or its blocks are the library's after all"
}

charts_page
compare "chromium" 1 sh "$directory/session.sh" "$directory/charts.html"
check_found "$directory/libc.output"

# Its console output goes to its messages.
! grep CONSOLE "$directory/libc.messages" || fail "the page said something on the console"
network=$directory/work/network.json
grep -q '"constants"' "$network" || fail "there is no record of the network"
! grep -o '"\(url\|host\|address\)":"[^"]*"' "$network" || fail "it asked for more than the files"
[ "$(wc -c <"$directory/work/page.png")" -gt "$((10 * $(wc -c <"$directory/work/blank.png")))" ] ||
    fail "what it drew is empty: $(cd "$directory/work" && ls -l blank.png page.png)"
