#!/bin/sh
# The pages of `mems map --html` and `mems serve` in a headless Chromium, with keys only where keys are enough: something
# is drawn, with the descriptions of `mems whatis`; texts have contrast, light and dark; the console is silent, and
# nothing is requested but the page itself. PAGES_FOLDER keeps the screenshots.
. "${0%/*}/lib.sh"
need python3 chromium-headless-shell curl
compile blocks
own_user # so the server does not look at processes of other tests
# shellcheck disable=SC2086 # words
launch "$work/list" $user "$work/blocks"
"$INSIGHT" map --html "$work/map.html" "$process" || fail "mems map --html"
: >"$work/server"
# shellcheck disable=SC2086 # words
$user "$INSIGHT" serve --listen 127.0.0.1:0 >"$work/server" 2>&1 &
processes="$processes $!"
for _ in $(seq 3000); do
    server=$(sed -n 's/^serving at \(.*\)\/$/\1/p' "$work/server")
    [ -z "$server" ] || break
    ! grep -q 'without libmicrohttpd' "$work/server" || {
        echo "skipped: there is no libmicrohttpd"
        exit 77
    }
    sleep 0.1
done
folder=${PAGES_FOLDER:-$work/pages}
mkdir -p "$folder"
HOME=$work PYTHONPATH=${0%/*} PYTHONDONTWRITEBYTECODE=1 python3 "${0%/*}/pages.py" "$folder" "$work/map.html" "$server" \
    "$process" "$(address "$work/list" live)" || fail "the pages"
