#!/bin/sh
# All scripts, that is, files whose first line names a shell, pass shellcheck. Excluded: text in single quotes that a
# shell would expand (SC2016), because it is a program for another shell; and included files (SC1091, SC2154), whose
# variables `set -u` would miss.
set -eu
cd "$SOURCE_DIR"
find . \( -path ./build -o -path ./.git \) -prune -o -type f -exec awk 'FNR == 1 && /^#!.*sh$/ { print FILENAME }
    { nextfile }' {} + | xargs shellcheck --exclude=SC2016,SC1091,SC2154
