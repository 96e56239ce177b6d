#!/bin/sh
# python3: json, threads, multiprocessing (by fork and by spawn) and subprocesses; with Python's own small-object
# allocator in between, and with PYTHONMALLOC=malloc, where each of its objects is a block of the library.
. "${0%/*}/lib.sh"
need python3
python=$(python3 -c 'import sys; print(sys.executable)') # itself: a python3 in the PATH may be a script that finds it

cat >"$directory/program.py" <<'END'
import gc
import hashlib
import json
import multiprocessing
import random
import subprocess
import sys
import threading
import weakref


def digest(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def document(seed, size):
    source = random.Random(seed)
    return {
        f"key {i}": [source.random(), "x" * source.randrange(200), {"nested": list(range(source.randrange(30)))}, None]
        for i in range(size)
    }


def round_trips(seed):
    value = document(seed, 1000)
    for _ in range(3):
        value = json.loads(json.dumps(value))
    return digest(value)


class Node:
    def __init__(self, parent):
        self.parent, self.children = parent, []


def cycles():
    root = Node(None)
    for _ in range(20000):
        root.children.append(Node(root))
    watch = weakref.ref(root)
    del root
    gc.collect()
    return watch() is None


def strings():
    buffer = bytearray()
    for i in range(50000):
        buffer += b"%d," % i
    text = buffer.decode()
    parts = text.split(",")
    big = pow(7, 20000)
    return len(text), len("".join(reversed(parts))), hashlib.sha256(text.encode()).hexdigest()[:16], big % 1000003


def threads():
    results = [None] * 8

    def work(i):
        results[i] = round_trips(i)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(len(results))]
    for worker in workers:
        worker.start()
    forked = multiprocessing.get_context("fork").Process(target=round_trips, args=(99,))
    forked.start()  # in the middle of what the threads are doing
    for worker in workers:
        worker.join()
    forked.join()
    return results, forked.exitcode


def processes(method):
    with multiprocessing.get_context(method).Pool(2) as pool:
        return pool.map(round_trips, range(6))


def children():
    outputs = []
    for i in range(5):
        code = f"import sys; data = sys.stdin.read(); print(len(data) + {i})"
        done = subprocess.run([sys.executable, "-S", "-c", code], input="y" * 300000, text=True, capture_output=True)
        outputs.append((done.returncode, done.stdout, done.stderr))
    return outputs


if __name__ == "__main__":
    print(round_trips(0), cycles(), strings())
    print(threads())
    for method in "fork", "spawn":
        print(method, processes(method))
    print(children())
    try:
        bytearray(1 << 62)
    except MemoryError:
        print("MemoryError")
END

# A signal ends the pools' workers; the program, its five children and the resource tracker exit.
PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE
compare "python3, every object from malloc" 6 env PYTHONMALLOC=malloc "$python" "$directory/program.py"
# shellcheck disable=SC2034 # compare looks at it
MODES='check=every hmm' # its own allocator asks for little but arenas
compare "python3" 6 "$python" "$directory/program.py"
