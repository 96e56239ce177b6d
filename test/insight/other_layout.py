"""Makes another version of the libraries' sources: structures with other offsets, rows in another order, and unknown ones.

usage: other_layout.py SOURCE_DIR TO
"""
import os
import random
import re
import shutil
import sys

# By room: structures whose size nothing else depends on, and the member before which another is inserted; None: the first.
PLACES = {
    "engine": {
        "slab": "uint16_t slots;",
        "large": "struct span span;",
        "size_class": None,
        "spans": "struct free_span_index fresh;",
        "heap": "struct heap_class classes[",
        "heap_class": "struct stock stock;",
        "heaps": "_Atomic uint32_t made;",
        "area": None,
        "window": None,
        "huge_table": None,
        "abandoned": "struct list slabs;",
        "metadata": None,
        "mems_root": "_Atomic uint32_t state;",
    },
    "mems_heap": {
        "mems_space": "struct list link;",
        "main_node": "struct range_node range;",
        "region": "char *memory;",
        "pool": None,
        "space_root": "struct mems_space *first;",
    },
    "hmm": {"HmmHeap": None, "region": None, "hmm_root": "const struct HmmHeap *heap;"},
    "base": {"root_head": "};"},  # grows at its end
}


def find(room, structure):
    """The header that defines a structure, and its text."""
    for folder, _, names in sorted(os.walk(room)):
        for name in sorted(names):
            path = os.path.join(folder, name)
            text = open(path).read() if name.endswith(".h") else ""
            if re.search(r"^struct %s \{$" % structure, text, re.M):
                return path, text
    sys.exit("%s: no struct %s" % (room, structure))


def insert(text, structure, member):
    start = re.search(r"^struct %s \{$" % structure, text, re.M)
    assert start, structure
    at = start.end() if member is None else text.index(member, start.end())
    assert member is None or at < text.index("\n};", start.end()) + 2, (structure, member)
    at = at if member is None else text.rindex("\n", 0, at) + 1
    return text[:at] + "\n    uint64_t inserted_in_%s[3];\n" % structure + text[at:]


def shuffle(text):
    """Rows, each of a structure and its members or of a constant, in another order; and unknown rows."""
    head, rows, tail = re.fullmatch(
        r"(.*#define \w+\(STRUCTURE, CONSTANT\)\s*\\\n)(.*?)(\n/\* clang-format on \*/\n\nLAYOUT_DEFINE.*)", text,
        re.S).groups()
    rows = re.findall(r"(\w+)\(([^()]*)\)", rows.replace("\\\n", " "))
    chance = random.Random(7)
    changed = [("CONSTANT", "__LINE__"), ("STRUCTURE", "root_head, magic, rows")]
    for kind, names in rows:
        first, *others = [name.strip() for name in names.split(",")]
        if kind == "STRUCTURE":
            chance.shuffle(others)
        changed.append((kind, ", ".join([first, *others])))
    chance.shuffle(changed)
    return head + " \\\n".join("    %s(%s)" % row for row in changed) + tail


def main():
    source, to = sys.argv[1:]
    shutil.copytree(os.path.join(source, "src"), to)
    for room, places in PLACES.items():
        for structure, member in places.items():
            path, text = find(os.path.join(to, room), structure)
            text = insert(text, structure, member)
            if "#include <stdint.h>" not in text:
                text = re.sub(r"^(#define \w+\n)", r"\1#include <stdint.h>\n", text, count=1, flags=re.M)
            with open(path, "w") as file:
                file.write(text)
    for folder, _, names in os.walk(to):
        for name in names:
            path = os.path.join(folder, name)
            text = open(path).read()
            if "(STRUCTURE, CONSTANT)" in text and "LAYOUT_DEFINE(" in text and name.endswith(".c"):
                open(path, "w").write(shuffle(text))


if __name__ == "__main__":
    main()
