#!/bin/sh
# Python's own tests of what leans on malloc: threads, processes that fork and share memory, calls into C, JSON.
. "${0%/*}/lib.sh"
python=/usr/bin/python3
need "$python"
"$python" -c 'import test.test_threading, test.test_ctypes' 2>/dev/null || {
    echo "$test_name: skipped, for $python has no test suite"
    exit 77
}

# suite NAME... - passes under the C library's malloc, and then under the library. The messages have times in them.
suite() {
    for heap in libc library; do
        run "$heap" "$python" -m test -j2 "$@"
        [ "$(cat "$directory/$heap.status")" -eq 0 ] || {
            tail -n 30 "$directory/$heap.output" >&2
            [ "$heap" = library ] && fail "$*: status $(cat "$directory/$heap.status")"
            echo "$test_name: $* fail under the C library's malloc too: not tried"
            return 0
        }
    done
    [ "$(served)" -ge 1 ] || fail "$*: the library served no process"
}
suite test_threading test_thread test_queue test_json
suite test_ctypes test_mmap test_gc
suite test_multiprocessing_main_handling
