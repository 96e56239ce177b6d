#!/bin/sh
# The C++ header, in programs that are linked with the library, and static, with each standard from C++17 on that the
# compilers have; and the example of arenas.
. "$SOURCE_DIR/test/support/script.sh"
: "${CXX:=c++}"
command -v "$CXX" >/dev/null || {
    echo "there is no C++ compiler"
    exit 77
}

# build OUTPUT COMPILER STANDARD ARGUMENT... - optimised by one of the compilers, because that takes long.
build() {
    output=$work/$1
    compiler=$2
    standard=$3
    shift 3
    optimisation=-O1
    [ "$compiler" = "$CXX" ] || optimisation=-O0
    "$compiler" -std="$standard" "$optimisation" -Wall -Wextra -Wconversion -Werror -pthread -I"$SOURCE_DIR/include" -o "$output" "$@"
}

for compiler in "$CXX" clang++; do
    command -v "$compiler" >/dev/null || continue
    for standard in c++17 c++20 c++23; do
        "$compiler" -std=$standard -x c++ -fsyntax-only - </dev/null 2>/dev/null || continue
        build linked "$compiler" $standard "$SOURCE_DIR/test/api/hpp_test.cpp" "$LIBRARY" \
            -Wl,-rpath,"$(dirname "$LIBRARY")"
        "$work/linked" || fail "$compiler $standard, linked: hpp_test"
    done
done
build static "$CXX" c++17 -static "$SOURCE_DIR/test/api/hpp_test.cpp" -Wl,--undefined=malloc "$LIBRARY_STATIC"
"$work/static" || fail "static: hpp_test"

"$CC" -std=c17 -Wall -Wextra -Werror -I"$SOURCE_DIR/include" -o "$work/example" "$SOURCE_DIR/examples/mems_arena.c" \
    "$LIBRARY" -Wl,-rpath,"$(dirname "$LIBRARY")"
"$work/example" >"$work/told" || fail "the example ended with $?"
grep -q '^request 3: 1000 lines' "$work/told" || fail "the example says: $(cat "$work/told")"
