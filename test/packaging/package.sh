#!/bin/sh
# `make install` of a clean checkout into a scratch root for the prefix /usr, as when a package is made. It installs
# exactly what a package would list; programs find the libraries in that root, run with them preloaded, and build
# against them with the pkg-config files as they will be on the system. `make uninstall` leaves nothing.
. "$SOURCE_DIR/test/support/script.sh"
root=$work/root

mkdir "$work/tree"
(cd "$SOURCE_DIR" && tar -c --exclude=./build --exclude=./.git .) | tar -x -C "$work/tree"
make -C "$work/tree" install PREFIX=/usr DESTDIR="$root" >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
}

libdir=$(dirname "$(find "$root" -name libmems.so)")
listed=$(cd "$root" && find . ! -type d ! -path '*/man3/*' ! -path '*/share/mems/*' ! -path '*/doc/mems/*' | sed "s|.*/||" | sort | tr '\n' ' ')
version=$(sed -n 's/#define MEMS_VERSION_[MP][A-Z]* \([0-9]*\)$/\1/p' "$SOURCE_DIR/include/mems.h" | xargs | tr ' ' .)
major=${version%%.*}
command= # and what comes with it: its page, its completions, its service
page=
! command -v python3 >/dev/null || page=libmems.7
[ -z "$INSIGHT" ] || command='mems mems.1 mems _mems mems.fish mems-serve.service'
# shellcheck disable=SC2086 # a list of words
wanted=$(printf '%s\n' hmm.h mems.h mems.hpp hmm.pc mems.pc mems-config.cmake mems-config-relwithdebinfo.cmake \
    mems-config-version.cmake libhmm.a libmems.a libhmm.so "libhmm.so.$major" "libhmm.so.$version" libmems-copy.so \
    libmems.so "libmems.so.$major" "libmems.so.$version" $command $page | sort | tr '\n' ' ')
[ "$listed" = "$wanted" ] || fail "the package has $listed, not $wanted"
grep -oE '\]\((docs/)?[^):#/]+' "$SOURCE_DIR/README.md" | sed 's/.*(//' | while IFS= read -r link; do
    [ -e "$root/usr/share/doc/mems/$link" ] || fail "the installed README.md leads to $link, which is not there"
done
if grep -rIl "$work" "$root"; then
    fail "these name the folder that the package was built in"
fi

for library in libmems libhmm; do
    LD_PRELOAD=$libdir/$library.so.$major sh -c 'ls / | sort >/dev/null && cat /proc/self/maps' >"$work/maps"
    grep -q "$library" "$work/maps" || fail "$library.so.$major is not preloaded"
done

pc() {
    PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_LIBDIR=$libdir/pkgconfig pkg-config "$@"
}
for package in mems hmm; do
    source=$SOURCE_DIR/test/packaging/consumer/hmm.c
    [ $package = hmm ] || source=$SOURCE_DIR/test/packaging/consumer/consumer.c
    # shellcheck disable=SC2046 # lists of options
    $CC "$source" -o "$work/program" $(pc --cflags --libs $package)
    LD_LIBRARY_PATH=$libdir "$work/program" || fail "a program linked with $package failed"
done

make -C "$work/tree" uninstall DESTDIR="$root" || fail "make uninstall failed"
left=$(find "$root" ! -type d -o -name mems)
[ -z "$left" ] || fail "make uninstall leaves $left"
rm "$work/tree/build/install_manifest.txt"
make -C "$work/tree" uninstall DESTDIR="$root" 2>"$work/error" && fail "make uninstall succeeds with nothing to remove"
grep -q 'no build/install_manifest.txt' "$work/error" || fail "make uninstall says $(cat "$work/error")"
