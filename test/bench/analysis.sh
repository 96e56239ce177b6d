#!/bin/sh
# The instrument's statistics.
exec python3 -B "$SOURCE_DIR/test/bench/analysis_test.py" "$SOURCE_DIR/bench"
