#!/bin/sh
# A file of src/ includes only from its own folder and those below: include, base, os, then ranks.h, then engine,
# mems_heap and hmm, which do not know each other, then api. And each library has one heap behind its malloc: libmems
# has nothing of hmm, libhmm nothing of engine and mems_heap.
set -eu
cd "$SOURCE_DIR"
find src -name '*.[ch]' -exec awk '
    BEGIN {
        below["include"] = ""
        below["base"] = "include"
        below["os"] = "include base"
        below["ranks.h"] = ""
        below["engine"] = below["mems_heap"] = below["hmm"] = "include base os ranks.h"
        below["api"] = "include base os ranks.h engine mems_heap hmm"
    }
    FNR == 1 {
        split(FILENAME, folders, "/")
        layer = folders[2]
        if (!(layer in below)) {
            print FILENAME ": " layer " is not a layer that this test knows"
            failed = 1
        }
    }
    # A name with a folder belongs to another layer or to the system; ranks.h is in no folder.
    /^[ \t]*#[ \t]*include/ && split($0, parts, /[<">]/) > 1 {
        gsub(/\.\.?\//, "", parts[2])
        named = split(parts[2], folders, "/") > 1 || parts[2] == "ranks.h"
        if (named && folders[1] in below && folders[1] != layer &&
            index(" " below[layer] " ", " " folders[1] " ") == 0) {
            print FILENAME ":" FNR ": " layer " must not include " parts[2] ": it may use " layer " " below[layer]
            failed = 1
        }
    }
    END { exit failed }' {} +

[ -n "${LIBMEMS:-}" ] || exit 0 # before a commit there is none

# consists_of LIBRARY FOLDER... - according to the names of its sources in its debugging information.
consists_of() {
    library=$1
    shift
    for folder in engine mems_heap hmm; do
        expected=no
        case " $* " in *" $folder "*) expected=yes ;; esac
        found=no
        ! grep -qa "/src/$folder\b" "$library" || found=yes
        [ $found = $expected ] || {
            echo "${library##*/}: sources of src/$folder: $found, expected: $expected"
            exit 1
        }
    done
}
consists_of "$LIBMEMS" engine mems_heap
consists_of "$LIBHMM" hmm
