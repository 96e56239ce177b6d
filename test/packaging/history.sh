#!/bin/sh
# docs/history-NAME.txt lists the names that a library exports with the version that first had each, under its SONAME. A
# name must not disappear while the SONAME stays the same, and a new one must be entered with a version that is not
# later than the current one.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
version=$(sed -n 's/#define MEMS_VERSION_[A-Z]* //p' "$SOURCE_DIR/include/mems.h" | paste -sd.)
status=0

complain() {
    echo "$*"
    status=1
}

for library in "$LIBMEMS" "$LIBHMM"; do
    soname=$(readelf -dW "$library" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
    name=${soname%%.so*}
    kept=$SOURCE_DIR/docs/history-$name.txt
    grep -qx "# SONAME $soname" "$kept" || complain "$kept: not the history of $soname: begin a new one"
    sed -e '/^#/d' -e '/^$/d' "$kept" | LC_ALL=C sort >"$scratch/kept"
    nm -D --defined-only "$library" | awk '$2 ~ /[A-Z]/ { print $NF }' | LC_ALL=C sort >"$scratch/exported"
    awk '{ print $1 }' "$scratch/kept" >"$scratch/names"
    for gone in $(LC_ALL=C comm -23 "$scratch/names" "$scratch/exported"); do
        complain "$soname: $gone is gone; programs that need it would not start"
    done
    for new in $(LC_ALL=C comm -13 "$scratch/names" "$scratch/exported"); do
        complain "$soname: $new is not in $kept"
    done
    awk 'NF != 2 || $2 !~ /^[0-9]+\.[0-9]+\.[0-9]+$/' "$scratch/kept" >"$scratch/wrong"
    [ ! -s "$scratch/wrong" ] || complain "$kept: a line is no name and version: $(head -n 1 "$scratch/wrong")"
    latest=$({
        echo "$version"
        awk '{ print $2 }' "$scratch/kept"
    } | sort -V | tail -n 1)
    [ "$latest" = "$version" ] || complain "$kept: $latest is to come; this is $version"
done
exit $status
