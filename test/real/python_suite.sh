#!/bin/sh
# Python's own tests of what depends on malloc: threads, processes that fork and share memory, calls into C, JSON.
. "${0%/*}/lib.sh"
python=/usr/bin/python3
need "$python"
"$python" -c 'import test.test_threading, test.test_ctypes' 2>/dev/null || {
    echo "$test_name: skipped: $python has no test suite"
    exit 77
}

# suite NAME... - passes under the library in each mode, or fails under the C library's malloc too. Its messages contain
# times, so nothing is compared. It runs in one process: workers would outlive a suite that is stopped.
suite() {
    for tested in $MODES; do
        enter "$tested"
        run library "$python" -m test "$@"
        if [ "$(cat "$directory/library.status")" -ne 0 ]; then
            tail -n 30 "$directory/library.output" >&2
            run libc "$python" -m test "$@"
            [ "$(cat "$directory/libc.status")" -ne 0 ] || fail "$*: status $(cat "$directory/library.status")"
            echo "$test_name: $* fail under the C library's malloc too: not tried"
            return 0
        fi
        [ "$(served)" -ge 1 ] || fail "$*: the library served no process"
    done
}
suite test_threading test_thread test_queue test_json
suite test_ctypes test_mmap test_gc
suite test_multiprocessing_main_handling
# This one waits for minutes: one mode of each library is enough.
MODES='check=every hmm'
suite test_concurrent_futures
