#!/bin/sh
# Each header can be included alone; public ones with gcc and clang, and in C++ too. That a private one can, the build has
# shown if the source of its name includes it before anything else.
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

# comes_first HEADER - whether the source of its name says nothing to the preprocessor before it includes the header.
comes_first() {
    line=$(grep -m 1 '^[[:space:]]*#' "${1%.h}.c" 2>/dev/null) || return
    [ "$line" = "#include \"${1#*/}\"" ] || [ "$line" = "#include \"${1##*/}\"" ]
}

for header in include/*.h src/*.h src/*/*.h src/*/*/*.h; do
    case $header in
    *_"$(uname -m)".h) ;;
    *_x86_64.h | *_aarch64.h) continue ;; # of the other processor
    esac
    comes_first "$header" || compiles "$header" gcc -std=c17 -x c
done
for header in insight/*.h insight/*/*.h; do
    comes_first "$header" || compiles "$header" gcc -std=c17 -Iinsight -x c
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
