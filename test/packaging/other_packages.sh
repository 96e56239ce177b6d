#!/bin/sh
# Packages for other systems, as far as they can be made here, from the archive of `make dist`: rpmbuild builds the
# spec, and every installed file belongs to one of its packages; the functions of the APKBUILD build and install the
# libraries with musl, and a program runs with one preloaded.
. "$SOURCE_DIR/test/support/script.sh"
need xz
cd "$SOURCE_DIR"
archive=$(tools/dist "$work")
version=$(basename "$archive" .tar.xz | sed 's/mems-//')
tried=

fail() {
    echo "$*" >&2
    [ ! -e "$work/log" ] || tail -n 50 "$work/log" >&2
    exit 1
}

if command -v rpmbuild >/dev/null; then
    tried=yes
    rpmbuild --nodeps --define "_topdir $work/rpm" --define "debug_package %{nil}" -tb "$archive" >"$work/log" 2>&1 ||
        fail "rpmbuild failed"
    for package in mems libmems1 libhmm1 libmems-devel; do
        rpm -qlp "$work"/rpm/RPMS/*/"$package-$version"-*.rpm >"$work/$package.files" 2>/dev/null
    done
    grep -q '/libmems\.so\.1$' "$work/libmems1.files" || fail "libmems1 has no library"
    grep -q '/hmm\.h$' "$work/libmems-devel.files" || fail "libmems-devel has no header"
fi

if command -v musl-gcc >/dev/null; then
    tried=yes
    (
        set -eu
        export CC=musl-gcc
        export srcdir="$work/alpine"
        mkdir "$srcdir"
        tar -x -C "$srcdir" -f "$archive"
        . "$SOURCE_DIR/packaging/APKBUILD"
        export pkgdir="$work/root"
        cd "$builddir"
        build
        package
        [ "$pkgver" = "$version" ] || fail "the APKBUILD is for version $pkgver"
    ) >"$work/log" 2>&1 || fail "the APKBUILD failed"
    for file in lib/libmems.so.1 lib/libhmm.so.1 lib/libmems.a include/mems.h share/man/man7/libmems.7; do
        [ -e "$work/root/usr/$file" ] || fail "the APKBUILD has not installed $file"
    done
    echo 'int main(void) { return 0; }' >"$work/program.c"
    musl-gcc "$work/program.c" -o "$work/program"
    LD_PRELOAD=$work/root/usr/lib/libmems.so.1 MEMS_OPTIONS=stats=text "$work/program" 2>"$work/stats" ||
        fail "a program with the library for musl failed"
    grep -q '^MeMS ' "$work/stats" || fail "the library for musl was not preloaded"
fi
[ -n "$tried" ] || {
    echo "skipped: there is neither rpmbuild nor musl-gcc"
    exit 77
}
