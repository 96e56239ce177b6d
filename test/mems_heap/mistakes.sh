#!/bin/sh
# Each mistake in the table of docs/mems.md is reported by the line beside it.
. "$SOURCE_DIR/test/support/script.sh"
need python3

# The mistakes in the order of the table; each in a process of its own.
cat >"$work/mistakes.c" <<'END_OF_PROGRAM'
#include <mems.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    int which = argc == 2 ? atoi(argv[1]) : -1;
    void *blocks[10] = {0};
    char bytes[100] = "";
    for (int i = 0; i < 10 && (which < 10 || which > 11); i++) {
        blocks[i] = mems_malloc(1000);
    }
    struct mems_space *space = mems_space_create(&(struct mems_space_options){.generations = 1});
    void *stale = mems_space_malloc(space, 40);
    mems_space_free(space, stale);
    void *handle = mems_space_malloc(space, 40);
    struct mems_space *other = mems_space_create(NULL);
    if (which == 1 || which == 3) {
        mems_free(blocks[3]);
    }
    switch (which) {
    case 0: mems_free((char *)blocks[3] + 8); break;
    case 1: mems_free(blocks[3]); break;
    case 2: mems_free((void *)99999); break;
    case 3: mems_get(blocks[3]); break;
    case 4: mems_write((char *)blocks[0] + 995, bytes, 10); break;
    case 5: mems_write(blocks[0], NULL, 5); break;
    case 6: mems_malloc(0); break;
    case 7: mems_malloc((size_t)-1); break;
    case 8: mems_calloc((size_t)-1, 3); break;
    case 9: mems_malloc(104857600); break;
    case 10: mems_set_page_size(1000); mems_init(); break;
    case 11: mems_malloc(1); mems_set_page_size(8192); mems_init(); break;
    case 12: mems_space_create(&(struct mems_space_options){.alignment = 32}); break;
    case 13: mems_space_malloc(NULL, 1); break;
    case 14: mems_fprint_stats(NULL); break;
    case 15: mems_space_get(space, stale); break;
    case 16: mems_space_free(other, handle); break;
    case 17: mems_pin(blocks[0]); mems_free(blocks[0]); break;
    case 18: mems_unpin(blocks[0]); break;
    case 19: mems_finish(); mems_free(blocks[3]); break;
    case 20: mems_space_malloc((struct mems_space *)8, 1); break;
    case 21: mems_space_get((struct mems_space *)8, blocks[0]); break;
    case 22: mems_read(blocks[0], (void *)1, 5); break;
    case 23: mems_stats((struct mems_stats *)8); break;
    default: return 1;
    }
    return 0;
}
END_OF_PROGRAM
$CC -std=c17 -I"$SOURCE_DIR/include" "$work/mistakes.c" "$LIBMEMS" -Wl,-rpath,"$(dirname "$LIBMEMS")" -o "$work/mistakes"

python3 - "$SOURCE_DIR/docs/mems.md" "$work/mistakes" <<'END_OF_PROGRAM'
import pathlib
import re
import resource
import subprocess
import sys

NO_MEMORY = 9 # for this one, address space is limited


def limit():
    resource.setrlimit(resource.RLIMIT_AS, (80 << 20, 80 << 20))


table = pathlib.Path(sys.argv[1]).read_text().split("## Mistakes")[1].split("\n## ")[0]
lines = re.findall(r"^\| [^|]* \| `([^`]*)` \| E", table, re.MULTILINE)
assert len(lines) == 24, f"{len(lines)} mistakes"
for number, line in enumerate(lines):
    done = subprocess.run([sys.argv[2], str(number)], capture_output=True, text=True, check=False,
                          preexec_fn=limit if number == NO_MEMORY else None)
    assert done.returncode == 0 and done.stderr == f"{line}\n", f"the page says: {line}\nreported: {done.stderr}"
END_OF_PROGRAM
