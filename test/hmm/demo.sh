#!/bin/sh
# The example runs as it expects, and docs/hmm.md is right: everything shown as printed is printed by its first program
# or by the example; its program for a device builds with its own command and runs; and each of its mistakes produces
# the line beside it. Of addresses in the example's buffer only the last three digits count.
. "$SOURCE_DIR/test/support/script.sh"
need python3
unset HMM_OPTIONS

# The text between ```KIND and ``` of the page, the Nth of this kind, into a file.
# block KIND N FILE
block() {
    awk -v kind="\`\`\`$1" -v wanted="$2" '
        /^```$/ { inside = 0 }
        inside
        $0 == kind { inside = ++n == wanted }' "$SOURCE_DIR/docs/hmm.md" >"$work/$3"
    [ -s "$work/$3" ] || {
        echo "the page has no block $2 of $1"
        exit 1
    }
}

# build NAME SOURCE [OPTION...] - with libhmm
build() {
    name=$1
    source=$2
    shift 2
    $CC -std=c17 -fno-builtin "$@" -I"$SOURCE_DIR/include" "$source" "$LIBHMM" -Wl,-rpath,"$(dirname "$LIBHMM")" \
        -o "$work/$name"
}

# run NAME
run() {
    status=0
    (cd "$work" && "./$1" >"$1.out" 2>"$1.err") || status=$?
    if [ $status -ne 0 ] || [ -s "$work/$1.err" ]; then
        echo "$1: exit status $status, and on standard error:"
        cat "$work/$1.err"
        exit 1
    fi
}

build demo "$SOURCE_DIR/examples/hmm_demo.c" -Wall -Wextra -Wconversion -Werror
run demo
block c 1 first.c
build first "$work/first.c" -Wall -Wextra -Wconversion -Werror
run first

block c 2 pool.c
sed -i '1i #include <hmm.h>' "$work/pool.c"
$CC -Wall -Wextra -Wno-missing-prototypes -Werror -I"$SOURCE_DIR/include" -c "$work/pool.c" -o "$work/pool.o"

block c 3 device.c
block sh 2 device.sh
ln -s "$SOURCE_DIR/include" "$SOURCE_DIR/src" "$work"
sed "s|^cc |$CC -Wall -Wextra -Werror |" "$work/device.sh" >"$work/device_here.sh"
(cd "$work" && sh -eu device_here.sh)
run device

# The mistakes as cases of one program, and the lines that they must produce.
block c 4 preamble.c
python3 - "$SOURCE_DIR/docs/hmm.md" "$work" <<'END_OF_PROGRAM'
import pathlib
import re
import sys

page, work = (pathlib.Path(argument) for argument in sys.argv[1:])
rows = re.findall(r"^\| `([^`]*;)` \| `([^`]*)` \|$", page.read_text(), re.MULTILINE)
assert len(rows) >= 12, f"{len(rows)} mistakes"
cases = "".join(f"    case {number}: {{ {code} }} break;\n" for number, (code, _) in enumerate(rows))
(work / "mistakes.c").write_text(f"""#include <hmm.h>
#include <stdlib.h>
#include <string.h>
void free_sized(void *, size_t);
static int allocate(const struct HmmBlock *block, void *context) {{
    return HmmAlloc(1) == NULL || block == NULL || context != NULL;
}}
int main(int argc, char **argv) {{
{(work / "preamble.c").read_text()}
    switch (argc > 1 ? atoi(argv[1]) : -1) {{
{cases}    default: HmmFree(b); HmmFree(z);
    }}
    return 0;
}}
""")
(work / "lines").write_text("".join(f"mems: {line} [thread 1]\n" for _, line in rows))
END_OF_PROGRAM
build mistakes "$work/mistakes.c"

python3 - "$SOURCE_DIR/docs/hmm.md" "$work" <<'END_OF_PROGRAM'
import pathlib
import re
import signal
import subprocess
import sys


def page_offsets(text):
    return re.sub("0x[0-9a-f]*([0-9a-f]{3})", r"0x\1", text)


def without_numbers(line):
    return re.sub("thread [0-9]+", "thread", re.sub("0x[0-9a-f]+", "0x", line))


page, work = (pathlib.Path(argument) for argument in sys.argv[1:])
printed = page_offsets((work / "first.out").read_text() + (work / "demo.out").read_text())
blocks = re.findall("^```text\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
assert len(blocks) >= 4, f"{len(blocks)} blocks of text"
for block in blocks:
    assert page_offsets(block) in printed, f"nothing has printed this:\n{block}"

for number, line in enumerate((work / "lines").read_text().splitlines(keepends=True)):
    done = subprocess.run([work / "mistakes", str(number)], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == -signal.SIGABRT, f"mistake {number}: exit status {done.returncode}"
    assert without_numbers(done.stderr) == without_numbers(line), f"expected: {line}received: {done.stderr}"
END_OF_PROGRAM
