#!/bin/sh
# clang-tidy has nothing to say about the sources; .clang-tidy tells what it is asked.
set -eu
cd "$SOURCE_DIR"
find src insight -name '*.c' -print0 | xargs -0 -P "$(nproc)" -n 4 clang-tidy --quiet -p "$BUILD_DIR" --warnings-as-errors='*'
