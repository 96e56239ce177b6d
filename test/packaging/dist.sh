#!/bin/sh
# A release contains exactly what git tracks; and the same sources give the same bytes in another place, at another
# time, with another umask, time zone and locale, and from an unpacked release.
. "$SOURCE_DIR/test/support/script.sh"
need xz

export XZ_LEVEL=0 # at any level xz is a function of what it packs

cd "$SOURCE_DIR" || exit
archive=$(tools/dist "$work/first")
name=$(basename "$archive" .tar.xz)
[ "$name" = "mems-$(sed -n 's/#define MEMS_VERSION_[MP][A-Z]* \([0-9]*\)$/\1/p' include/mems.h | paste -sd.)" ] ||
    fail "$name does not have the version of mems.h"
version=${name#mems-}
head -n 1 debian/changelog | grep -q "^mems ($version-" || fail "debian/changelog does not begin with $version"
grep -qx "Version: *$version" packaging/mems.spec || fail "packaging/mems.spec has another version than $version"
grep -qx "pkgver=$version" packaging/APKBUILD || fail "packaging/APKBUILD has another version than $version"
if [ -e .git ]; then
    git ls-files | LC_ALL=C sort >"$work/tracked"
    tar -t -f "$archive" | sed "s,^$name/,," | LC_ALL=C sort | diff "$work/tracked" - || fail "$archive has other files"
fi

tar -x -C "$work" -f "$archive"
find "$work/$name" -exec touch -d '2001-02-03 04:05:06' {} +
(cd "$work/$name" && umask 077 && TZ=Asia/Tokyo LC_ALL=C.UTF-8 tools/dist "$work/second" >/dev/null)
cmp "$archive" "$work/second/$name.tar.xz" || fail "the unpacked release packs into other bytes"
