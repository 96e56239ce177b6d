#!/bin/sh
# clang-tidy reports nothing about the sources; .clang-tidy chooses its checks.
set -eu
cd "$SOURCE_DIR"
find src insight -name '*.c' -print0 | xargs -0 -P "$(nproc)" -n 16 clang-tidy --quiet -p "$BUILD_DIR" --warnings-as-errors='*'
