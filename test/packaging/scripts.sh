#!/bin/sh
# The scripts, which are the files whose first line names a shell, pass shellcheck. Not asked about: text in single
# quotes that a shell would expand (SC2016) is a program for another shell; files that are read in (SC1091) are checked
# by themselves.
set -eu
cd "$SOURCE_DIR"
find . \( -path ./build -o -path ./.git \) -prune -o -type f -exec awk 'FNR == 1 && /^#!.*sh$/ { print FILENAME }
    { nextfile }' {} + | xargs shellcheck --exclude=SC2016,SC1091
