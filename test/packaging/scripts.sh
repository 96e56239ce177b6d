#!/bin/sh
# The scripts, which are the files whose first line names a shell, pass shellcheck. Not asked about: text in single
# quotes that a shell would expand (SC2016), which is a program for another shell; and files that are read in (SC1091,
# SC2154), whose variables `set -u` misses if they are not there.
set -eu
cd "$SOURCE_DIR"
find . \( -path ./build -o -path ./.git \) -prune -o -type f -exec awk 'FNR == 1 && /^#!.*sh$/ { print FILENAME }
    { nextfile }' {} + | xargs shellcheck --exclude=SC2016,SC1091,SC2154
