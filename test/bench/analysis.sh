#!/bin/sh
# The statistics of the benchmarks.
exec python3 -B "$SOURCE_DIR/test/bench/analysis_test.py" "$SOURCE_DIR/bench"
