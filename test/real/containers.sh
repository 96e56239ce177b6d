#!/bin/sh
# containers.cpp: C++ with threads, exceptions and containers.
. "${0%/*}/lib.sh"
need "${CXX%% *}"

# shellcheck disable=SC2086 # CXX may carry options
$CXX -std=c++17 -O2 -pthread -o "$directory/containers" "$SOURCE_DIR/test/real/containers.cpp"
compare "containers" 1 "$directory/containers"
