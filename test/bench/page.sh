#!/bin/sh
# The page of the results in a headless Chromium, with keys only: it shows what the text shows, sorts and filters; the
# console is silent, and nothing is requested but the page itself. PAGES_FOLDER keeps a screenshot.
set -eu
. "${0%/*}/lib.sh"
command -v chromium-headless-shell >/dev/null || exit 77
cp "$LIBMEMS" "$scratch/libx.so"
run --rounds 3 --workloads pairs/fixed,pairs/mixed,churn/tail --peers "glibc,mems=$LIBMEMS,other=$scratch/libx.so" \
    --output "$scratch/results" >/dev/null
folder=${PAGES_FOLDER:-$scratch}
HOME=$scratch PYTHONPATH=$SOURCE_DIR/test/insight PYTHONDONTWRITEBYTECODE=1 python3 "${0%/*}/page.py" \
    "$scratch/results" "$folder" || fail "the page"
