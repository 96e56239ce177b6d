#!/bin/sh
# The example runs as it expects, and everything that docs/mems.md shows as printed is printed: text by its first
# program or by the example, JSON by the example, except for physical addresses.
. "$SOURCE_DIR/test/support/script.sh"
need python3

# build NAME SOURCE
build() {
    $CC -std=c17 -Wall -Wextra -Wconversion -Werror -I"$SOURCE_DIR/include" "$2" "$LIBMEMS" \
        -Wl,-rpath,"$(dirname "$LIBMEMS")" -o "$work/$1"
}

build demo "$SOURCE_DIR/examples/mems_demo.c"
sed -n '/^```c$/,/^```$/{ /^```$/q; /^```c$/!p; }' "$SOURCE_DIR/docs/mems.md" >"$work/first.c"
build first "$work/first.c"
for call in first demo 'demo json'; do
    status=0
    # shellcheck disable=SC2086 # a program and its argument
    (cd "$work" && ./$call >"$call.out" 2>"$call.err") || status=$?
    if [ $status -ne 0 ] || [ -s "$work/$call.err" ]; then
        echo "$call: exit status $status, and on standard error:"
        cat "$work/$call.err"
        exit 1
    fi
done

python3 - "$SOURCE_DIR/docs/mems.md" "$work" <<'END_OF_PROGRAM'
import json
import pathlib
import re
import sys


def without_addresses(text):
    return re.sub("0x[0-9a-f]+", "0x", text)


page, work = (pathlib.Path(argument) for argument in sys.argv[1:])
heap = (work / "demo json.out").read_text()
json.loads(heap)
printed = {"text": (work / "first.out").read_text() + (work / "demo.out").read_text(), "json": without_addresses(heap)}
for kind, count in (("text", 4), ("json", 2)):
    blocks = re.findall(f"^```{kind}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= count, f"{len(blocks)} blocks of {kind}"
    for block in blocks:
        assert without_addresses(block) in printed[kind], f"nothing has printed this:\n{block}"
END_OF_PROGRAM
