"""Makes one name after another unknown in what `mems save` has kept, and checks that what needs it is omitted, with a
note, and everything else is unchanged. A root of a later version, or a shorter one, is read or refused.

usage: names.py MEMS FILE ADDRESS
"""
import json
import re
import struct
import subprocess
import sys

ROOT = struct.Struct("<8sHHIIIQQ")  # magic, version, size, heap, library, -, rows, start


def segments(data):
    """For a core: the addresses that the file contains, and where."""
    headers, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for i in range(count):
        kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", data, headers + i * size)
        if kind == 1:
            yield address, offset, length


def rows(data, at):
    """Where each row's name is, and the name."""
    structure = ""
    while True:
        end = data.index(b"\0", at + 8)
        name = data[at + 8:end].decode()
        if name == "":
            return
        structure = structure if name.startswith(".") else name
        yield at + 8, structure + name if name.startswith(".") else name
        at += 8 + (end - at - 8 + 4) // 4 * 4


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=600)
    if done.returncode not in (0, 1, 2):
        sys.exit("%s: status %d: %s" % (command, done.returncode, done.stderr))
    return done


class Verbs:
    def __init__(self, mems, path, address):
        self.commands = {verb: [mems, verb, "--json", *([address] if verb == "whatis" else []), path]
                         for verb in ("stats", "map", "check", "whatis")}

    def answers(self):
        for verb, command in self.commands.items():
            done = run(command)
            answer = json.loads(done.stdout) if done.stdout else {}
            lacks = [lack["name"] for heap in answer.get("target", {}).get("heaps", []) for lack in heap.pop("lacks")]
            yield verb, answer, lacks, done.stderr.decode()


def main():
    mems, path, address = sys.argv[1:]
    data = bytearray(open(path, "rb").read())
    mutant = path + ".mutant"
    verbs = Verbs(mems, mutant, address)

    def write(changed):
        with open(mutant, "wb") as file:
            file.write(changed)

    write(data)
    before = {verb: answer for verb, answer, _, _ in verbs.answers()}
    told = 0
    for root in re.finditer(b"MeMSroot", data):
        _, version, size, heap, _, _, where, _ = ROOT.unpack_from(data, root.start())
        if heap not in (1, 2, 3):
            continue
        at = next(offset + where - start for start, offset, length in segments(data) if start <= where < start + length)
        for place, name in rows(data, at):
            changed = bytearray(data)
            dot = changed[place:place + 1] == b"."
            changed[place + dot] ^= 0x20 if chr(changed[place + dot]).isalpha() else 1
            write(changed)
            for verb, answer, lacks, errors in verbs.answers():
                if answer != before[verb] and name not in lacks and "not describe " + name not in errors:
                    sys.exit("%s without %s says something else and does not tell: %s" % (verb, name, errors))
                told += "not describe " + name in errors
                # Nothing is called damaged because a name is missing.
                if verb == "check" and answer.get("found", 0) != before[verb]["found"]:
                    sys.exit("check without %s finds %s" % (name, answer["findings"][:3]))
        # A root of another version is refused; one that is longer or shorter is read.
        changed = bytearray(data)
        struct.pack_into("<H", changed, root.start() + 8, version + 1)
        write(changed)
        if "version %d" % (version + 1) not in run(verbs.commands["stats"]).stderr.decode():
            sys.exit("a root of another version is not refused")
        for other in (size - 32, size + 100):
            changed = bytearray(data)
            struct.pack_into("<H", changed, root.start() + 10, other)
            write(changed)
            if any(answer != before[verb] for verb, answer, _, _ in verbs.answers()):
                sys.exit("a root of %d bytes is not read as one of %d" % (other, size))
    if told < 20:
        sys.exit("only %d names are missed" % told)


if __name__ == "__main__":
    main()
