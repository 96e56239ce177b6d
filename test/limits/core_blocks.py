"""core_blocks.py CORE < LIST - checks that a core file has the contents of each block that core_blocks listed."""
import struct
import sys

PT_LOAD = 1


def segments(core):
    """(address, offset in the file, bytes in the file) of each segment."""
    header = core.read(64)
    assert header[:6] == b"\x7fELF\x02\x01", "not a 64-bit little-endian ELF file"
    table, = struct.unpack_from("<Q", header, 32)
    size, count = struct.unpack_from("<HH", header, 54)
    assert count < 0xffff, "too many segments"
    core.seek(table)
    for entry in (core.read(size) for _ in range(count)):
        kind, _, offset, address, _, in_file = struct.unpack_from("<IIQQQQ", entry)
        if kind == PT_LOAD:
            yield address, offset, in_file


def read(core, loads, address, size):
    """What the core has of address..address+size, which may span segments."""
    found = b""
    for start, offset, in_file in loads:
        at = address + len(found)
        if start <= at < start + in_file and len(found) < size:
            core.seek(offset + at - start)
            found += core.read(min(size - len(found), start + in_file - at))
    return found


def main():
    period = bytes(at * 7 % 256 for at in range(256))
    blocks = 0
    with open(sys.argv[1], "rb") as core:
        loads = sorted(segments(core))
        for line in sys.stdin:
            if line == "ready\n":
                break
            address, size, first = line.split()
            size = int(size)
            expected = (bytes((byte + int(first)) % 256 for byte in period) * (size // 256 + 1))[:size]
            if read(core, loads, int(address, 16), size) != expected:
                sys.exit(f"{sys.argv[1]}: no block of {size} bytes at {address}")
            blocks += 1
    if blocks == 0:
        sys.exit("no block was listed")


main()
