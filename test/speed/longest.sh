#!/bin/sh
# No malloc or free takes long, whatever is due: on a fresh heap, when a thread starts or has ended, beside idle threads
# and after a peak. A million instructions are some 100 microseconds and more.
set -eu
test "$(uname -m)" = x86_64 || exit 77
exec "$SOURCE_DIR/bench/longest" --library "$LIBRARY" --count 30 --most 1000000 --calls 256
