"""Mutates cores and saved heaps, and checks that every verb of mems ends by itself, soon, with one of its exit statuses.

usage: hostile.py MEMS SEED ROUNDS FILE ADDRESS...
"""
import os
import random
import resource
import struct
import subprocess
import sys

SECONDS = 100
MEMORY = 4 << 30


def interesting(random, data):
    """A word that is likely to mislead: a limit, a small number, or another word of the file."""
    choice = random.randrange(5)
    if choice == 0:
        return random.choice([0, 1, 2**16, 2**31 - 1, 2**32 - 1, 2**32, 2**47, 2**63 - 1, 2**63, 2**64 - 1])
    if choice == 1:
        return random.randrange(4096)
    if choice == 2:
        return random.getrandbits(64)
    place = random.randrange(0, len(data) - 8)
    word, = struct.unpack_from("<Q", data, place & ~7)
    return word if choice == 3 else (word + random.randrange(-64, 65)) % 2**64


def hot_places(data):
    """Where a reader looks first: headers, notes, the root and its rows, descriptors."""
    places = [0, 64, 128]
    at = data.find(b"MeMSroot")
    while at >= 0:
        places += [at] * 3
        at = data.find(b"MeMSroot", at + 1)
    for name in (b"mems_root\0", b"space_root\0", b"hmm_root\0", b"mapping "):
        at = data.find(name)
        if at >= 0:
            places += [at] * 2
    return places


def mutate(random, data, places):
    data = bytearray(data)
    for _ in range(random.randrange(1, 12)):
        if random.randrange(3):
            at = random.choice(places) + random.randrange(0, 12000)
        else:
            at = random.randrange(len(data))
        at = min(at, len(data) - 8)
        size = random.choice([1, 2, 4, 8])
        word = struct.pack("<Q", interesting(random, data))[:size]
        at -= at % size
        data[at:at + size] = word
    if random.randrange(10) == 0:
        del data[random.randrange(len(data)):]
    return bytes(data)


def limit():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def attempt(command):
    """What was wrong with the end of the command, or None."""
    try:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=SECONDS,
                              preexec_fn=limit)
    except subprocess.TimeoutExpired:
        return "it takes longer than %d s" % SECONDS
    if done.returncode not in (0, 1, 2):
        return "status %d: %s" % (done.returncode, done.stderr[-2000:].decode(errors="replace"))
    return None


def verbs(mems, target, addresses, random):
    addresses = addresses + [hex(random.getrandbits(47)), str(random.randrange(5000))]
    yield [mems, "stats", "--json", target]
    yield [mems, "stats", target]
    yield [mems, "check", target]
    yield [mems, "map", target]
    yield [mems, "map", "--json", target]
    yield [mems, "map", target, random.choice(addresses)]
    yield [mems, "whatis", *addresses, target]
    yield [mems, "leaks", target]
    yield [mems, "leaks", "--why", random.choice(addresses), target]
    yield [mems, "save", target, target + ".saved"]


def main():
    mems, seed, rounds, path, *addresses = sys.argv[1:]
    data = open(path, "rb").read()
    places = hot_places(data)
    target = path + ".mutant"
    for number in range(int(rounds)):
        chance = random.Random("%s %d" % (seed, number))
        with open(target, "wb") as file:
            file.write(mutate(chance, data, places))
        for command in verbs(mems, target, addresses, chance):
            wrong = attempt(command)
            if wrong:
                sys.exit("seed %s, round %d: %s: %s" % (seed, number, " ".join(command), wrong))
    os.remove(target)


if __name__ == "__main__":
    main()
