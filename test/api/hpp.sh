#!/bin/sh
# The C++ header, in programs that are linked with the library, and static, with each standard from C++17 on that the
# compilers have; and the example of arenas.
. "$SOURCE_DIR/test/support/script.sh"
: "${CXX:=c++}"
need "$CXX"

# compile COMPILER STANDARD - the test into test.o, optimised by one of the compilers, because that takes long.
compile() {
    optimisation=-O1
    [ "$1" = "$CXX" ] || optimisation=-O0
    "$1" -std="$2" "$optimisation" -Wall -Wextra -Wconversion -Werror -pthread -I"$SOURCE_DIR/include" -c -o "$work/test.o" \
        "$SOURCE_DIR/test/api/hpp_test.cpp"
}

for compiler in "$CXX" clang++; do
    command -v "$compiler" >/dev/null || continue
    for standard in c++17 c++20 c++23; do
        "$compiler" -std=$standard -x c++ -fsyntax-only - </dev/null 2>/dev/null || continue
        compile "$compiler" $standard
        "$compiler" -pthread -o "$work/linked" "$work/test.o" "$LIBRARY" -Wl,-rpath,"$(dirname "$LIBRARY")"
        "$work/linked" || fail "$compiler $standard, linked: hpp_test"
        [ "$compiler $standard" = "$CXX c++17" ] || continue
        "$compiler" -pthread -static -o "$work/static" "$work/test.o" -Wl,--undefined=malloc "$LIBRARY_STATIC"
        "$work/static" || fail "static: hpp_test"
    done
done
[ -e "$work/static" ] || fail "$CXX has no C++17"

"$CC" -std=c17 -Wall -Wextra -Werror -I"$SOURCE_DIR/include" -o "$work/example" "$SOURCE_DIR/examples/mems_arena.c" \
    "$LIBRARY" -Wl,-rpath,"$(dirname "$LIBRARY")"
"$work/example" >"$work/told" || fail "the example ended with $?"
grep -q '^request 3: 1000 lines' "$work/told" || fail "the example says: $(cat "$work/told")"
