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
        "heap_class": "void **bottom;",
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


def find(folder, structure):
    """The header that defines a structure, and its text."""
    for name in sorted(os.listdir(folder)):
        text = open(os.path.join(folder, name)).read() if name.endswith(".h") else ""
        if re.search(r"^struct %s \{$" % structure, text, re.M):
            return os.path.join(folder, name), text
    sys.exit("%s: no struct %s" % (folder, structure))


def insert(text, structure, member):
    start = re.search(r"^struct %s \{$" % structure, text, re.M)
    assert start, structure
    at = start.end() if member is None else text.index(member, start.end())
    assert member is None or at < text.index("\n};", start.end()) + 2, (structure, member)
    at = at if member is None else text.rindex("\n", 0, at) + 1
    return text[:at] + "\n    uint64_t inserted_in_%s[3];\n" % structure + text[at:]


def shuffle(text):
    """Groups of rows, each of a structure and its members or of constants, in another order; and unknown rows."""
    head, rows, tail = re.fullmatch(
        r"(.*#define \w+\(STRUCTURE, MEMBER, CONSTANT\)\s*\\\n)(.*?)(\n\n(?:static )?LAYOUT_DEFINE.*)", text,
        re.S).groups()
    rows = [row.strip().rstrip("\\").strip() for row in rows.split("\n")]
    groups = []
    for row in rows:
        if row.startswith("MEMBER"):
            groups[-1].append(row)
        else:
            groups.append([row])
    chance = random.Random(7)
    for group in groups:
        members = group[1:]
        chance.shuffle(members)
        group[1:] = members
    groups.append(["CONSTANT(__LINE__)"])
    groups.append(["STRUCTURE(root_head)", "MEMBER(root_head, magic)", "MEMBER(root_head, rows)"])
    chance.shuffle(groups)
    return head + " \\\n".join("    " + row for group in groups for row in group) + tail


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
            if "(STRUCTURE, MEMBER, CONSTANT)" in text and "LAYOUT_DEFINE(" in text and name.endswith(".c"):
                open(path, "w").write(shuffle(text))


if __name__ == "__main__":
    main()
