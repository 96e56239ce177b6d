#!/bin/sh
# Under the library a program's blocks are HMM's and lie on the program break, in the mapping that /proc calls [heap].
set -eu
command -v python3 >/dev/null || {
    echo "skipped: there is no python3"
    exit 77
}

# With PYTHONMALLOC=malloc an object is a block of malloc, and its id is the block's address.
LD_PRELOAD=$LIBRARY PYTHONMALLOC=malloc python3 - <<'END_OF_PROGRAM'
import ctypes

blocks = [bytes(1000) for _ in range(50000)]
heaps = [line.split()[0].split("-") for line in open("/proc/self/maps") if line.endswith("[heap]\n")]
heaps = [(int(start, 16), int(end, 16)) for start, end in heaps]
held = sum(end - start for start, end in heaps)
assert held >= 50_000_000, f"[heap] has {held} bytes"
usable_size = ctypes.CDLL(None).HmmUsableSize
usable_size.argtypes, usable_size.restype = [ctypes.c_void_p], ctypes.c_size_t
for block in blocks:
    assert any(start <= id(block) < end for start, end in heaps), f"{id(block):#x} is not in [heap]"
    assert usable_size(id(block)) >= 1000
END_OF_PROGRAM
