#!/bin/sh
# Small programs with one mistake each, in all modes of harden: what is caught, and what is not.
set -eu
for command in python3 c++; do
    command -v $command >/dev/null || {
        echo "skipped: there is no $command"
        exit 77
    }
done
exec "$SOURCE_DIR"/bench/misuse --check --library "$LIBMEMS"
