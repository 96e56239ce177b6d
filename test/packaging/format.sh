#!/bin/sh
# Every C and C++ file has the form that .clang-format gives it.
set -eu
cd "$SOURCE_DIR"
find . -path ./build -prune -o \( -name '*.[ch]' -o -name '*.cpp' \) -exec clang-format-16 --dry-run -Werror {} +
