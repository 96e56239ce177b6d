#!/bin/sh
# Each header can be included alone; public ones with gcc and clang, and in C++ too.
set -eu
cd "$SOURCE_DIR"
status=0

compiles() {
    header=$1
    shift
    echo "#include \"$header\"" | "$@" -I. -Iinclude -Isrc -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only - || {
        echo "$header does not compile alone with $*"
        status=1
    }
}

for header in include/*.h src/*.h src/*/*.h src/*/*/*.h; do
    case $header in
    *_"$(uname -m)".h) ;;
    *_x86_64.h | *_aarch64.h) continue ;; # of the other processor
    esac
    compiles "$header" gcc -std=c17 -x c
done
for header in insight/*.h insight/*/*.h; do
    compiles "$header" gcc -std=c17 -Iinsight -x c
done
for header in include/*.h; do
    compiles "$header" clang -std=c17 -x c
done
compiles src/api/family/backend.h gcc -std=c17 -DBACKEND_HMM -x c
for header in include/*.h include/*.hpp; do
    compiles "$header" g++ -std=c++17 -x c++
    compiles "$header" clang++ -std=c++17 -x c++
done
exit $status
