#!/bin/sh
# Pairs of malloc and free write nothing that another thread uses, a remote free is one locked instruction, and bigger
# batches take fewer locks: counts of an engine that reports each memory access. Of frees and hand, these are the
# batches for which 8 threads have a limit.
set -eu
command -v addr2line >/dev/null || exit 77
exec "$SOURCE_DIR/bench/scale" --check --build "$BUILD_DIR/scale" --threads 8 \
    --workloads pairs,unsampled,batches,frees:4096,hand:1,hand:256
