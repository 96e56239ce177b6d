#!/bin/sh
# The C++ operators in programs that are linked with the library, preloaded with it, and static; in programs that replace
# some of them; and in C programs that load C++ plug-ins.
. "$SOURCE_DIR/test/support/script.sh"
: "${CXX:=c++}"
need "$CXX"
sources=$SOURCE_DIR/test/api

# Not optimised, because a compiler may drop a new together with its delete.
cxx() {
    "$CXX" -std=c++17 -O0 -Wall -fsized-deallocation -fno-builtin "$@"
}

cxx -o "$work/plain" "$sources/new_test.cpp"
cxx -o "$work/linked" "$sources/new_test.cpp" "$LIBRARY" -Wl,-rpath,"$(dirname "$LIBRARY")"
cxx -static -o "$work/static" "$sources/new_test.cpp" -Wl,--undefined=malloc "$LIBRARY_STATIC"
LD_PRELOAD=$LIBRARY "$work/plain" unaligned || fail "preloaded: new_test"
MEMS_OPTIONS=harden=full LD_PRELOAD=$LIBRARY "$work/plain" unaligned || fail "harden=full: new_test"
"$work/linked" || fail "linked: new_test"
"$work/static" || fail "static: new_test"

# A delete with the wrong size is detected if the library has the operators. The shell's own line about the signal is
# irrelevant.
status=0
(LD_PRELOAD=$LIBRARY "$work/plain" mismatch) 2>"$work/err" || status=$?
[ $status -eq 134 ] || fail "mismatch: status $status"
case $LIBRARY in
*libmems*) state='slot [0-9]+ of a 128-byte slab, live, freed as 104857600 bytes' ;;
*) state='a block of 104 bytes is not one of size 104857600' ;;
esac
grep -Eq "^mems: operator delete\(0x[0-9a-f]+\): size mismatch: $state \[thread [0-9]+\]\$" "$work/err" || fail "mismatch: $(cat "$work/err")"

cxx -o "$work/replaced" "$sources/new_replaced.cpp"
cxx -static -o "$work/replaced_static" "$sources/new_replaced.cpp" -Wl,--undefined=malloc "$LIBRARY_STATIC"
LD_PRELOAD=$LIBRARY "$work/replaced" || fail "preloaded: new_replaced"
"$work/replaced_static" || fail "static: new_replaced"

# The library needs no C++ runtime itself, and finds that of a plug-in.
cxx -shared -fPIC -o "$work/plugin.so" "$sources/new_plugin.cpp"
"$CC" -o "$work/host" "$sources/new_host.c" -ldl
LD_PRELOAD=$LIBRARY "$work/host" "$work/plugin.so" || fail "plug-in: bad_alloc was not thrown"
status=0
(LD_PRELOAD=$LIBRARY "$work/host") 2>"$work/err" || status=$?
[ $status -eq 134 ] || fail "no runtime: status $status"
grep -q '^mems: operator new(18446744073709551515): out of memory, and no C++ runtime to throw std::bad_alloc$' \
    "$work/err" || fail "no runtime: $(cat "$work/err")"
