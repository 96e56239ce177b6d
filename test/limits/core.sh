#!/bin/sh
# A core, made by the kernel or by gdb, contains every block of a heap that has grown, and little besides what is in
# use; that of a small process is made at once.
set -u
command -v python3 >/dev/null || {
    echo "skipped: there is no python3"
    exit 77
}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
"$CC" -std=c17 -D_GNU_SOURCE -O1 -fno-builtin -o "$work/core_blocks" "$SOURCE_DIR/test/limits/core_blocks.c" || exit 1
failed=0 seen=0

# How much the grown process has in blocks, and how much more may be accessible: a step of growth.
GROWN=120000000 STEP=80000000

fail() {
    echo "$*"
    failed=1
}

# make_core MAKER NAME BYTES PRELOAD - a core of core_blocks BYTES with the library PRELOAD, made by the kernel when the
# program aborts or by gdb while it waits; NAME.list is what the program printed.
make_core() {
    maker=$1 name=$2 bytes=$3 preload=$4
    mkdir "$work/$name.folder"
    mkfifo "$work/$name.input"
    (cd "$work/$name.folder" && LD_PRELOAD=$preload exec "$work/core_blocks" "$bytes") \
        < "$work/$name.input" > "$work/$name.list" 2> /dev/null &
    process=$!
    exec 3> "$work/$name.input"
    until grep -q ready "$work/$name.list"; do
        kill -0 "$process" || break
        sleep 0.1
    done
    if [ "$maker" = gdb ]; then
        timeout 600 gcore -o "$work/$name.gdb" "$process" > "$work/$name.log" 2>&1
        mv "$work/$name.gdb.$process" "$work/$name" 2> /dev/null
    fi
    exec 3>&-
    wait "$process" 2> /dev/null
    if [ "$maker" = kernel ]; then
        mv "$work/$name.folder/"core* "$work/$name" 2> /dev/null
    fi
    rm -rf "$work/$name.folder" "$work/$name.input"
}

# check MAKER - cores of a small and of a grown process, beside that of a small process on the C library's malloc. Holes
# count: they are zeros if a core goes through a pipe.
check() {
    maker=$1
    make_core "$maker" libc 100000 ""
    if [ ! -s "$work/libc" ]; then
        echo "$maker makes no core here"
        return
    fi
    seen=1
    make_core "$maker" small 100000 "$LIBRARY"
    make_core "$maker" grown $GROWN "$LIBRARY"
    for name in small grown; do
        python3 "$SOURCE_DIR/test/limits/core_blocks.py" "$work/$name" < "$work/$name.list" ||
            fail "$maker: $name: the core is not whole: $(cat "$work/$name.log" 2> /dev/null)"
    done
    libc=$(stat -c %s "$work/libc") small=$(stat -c %s "$work/small") grown=$(stat -c %s "$work/grown")
    echo "$maker: small $small bytes, on the C library's malloc $libc, grown $grown"
    [ "$small" -le $((libc + 8000000)) ] || fail "$maker: a core of $small bytes, on the C library's malloc $libc"
    [ "$grown" -le $((libc + GROWN + STEP)) ] || fail "$maker: a core of $grown bytes for $GROWN in blocks"
    rm -f "$work/libc" "$work/small" "$work/grown"
}

case $(cat /proc/sys/kernel/core_pattern) in
'|'* | */*) echo "the kernel's cores go elsewhere here" ;;
*) check kernel ;;
esac
if command -v gcore > /dev/null; then
    check gdb
fi
[ $seen = 1 ] || {
    echo "skipped: the kernel writes no cores here, and there is no gcore"
    exit 77
}
exit $failed
