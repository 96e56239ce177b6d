#!/bin/sh
# Every C and C++ file is formatted according to .clang-format.
set -eu
cd "$SOURCE_DIR"
find . -path ./build -prune -o \( -name '*.[ch]' -o -name '*.[ch]pp' \) -exec clang-format-16 --dry-run -Werror {} +
