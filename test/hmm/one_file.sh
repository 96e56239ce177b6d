#!/bin/sh
# HMM as one file: it is made from the current sources, compiles without a warning by the commands at its top, and is
# the library, with the same exported names (except dlopen), for any program. As the core of a device it does the
# device's work. If a file of its lists is missing, it fails.
. "$SOURCE_DIR/test/support/script.sh"
cd "$SOURCE_DIR" || exit
need python3

tools/hmm_file "$work/hmm.c"
if [ -e "$BUILD_DIR/hmm.c" ]; then
    cmp "$work/hmm.c" "$BUILD_DIR/hmm.c"
fi
grep -q '^#include <' "$work/hmm.c"
if grep '^ *# *include "' "$work/hmm.c"; then
    echo "it includes a file of the project"
    exit 1
fi

# A file that it lists and that is not there is not left out.
mkdir -p "$work/tree/test/hmm"
cp -r include src tools "$work/tree"
cp -r test/hmm/device "$work/tree/test/hmm"
cp -r test/valid "$work/tree/test"
for missing in src/hmm/print.c src/hmm/region.c src/os/stack.c; do
    mv "$work/tree/$missing" "$work/missing.c"
    if "$work/tree/tools/hmm_file" "$work/tree/hmm.c" 2>"$work/err"; then
        echo "it is made without $missing"
        exit 1
    fi
    grep -qx "hmm_file: $missing is in its lists and not in the sources" "$work/err"
    mv "$work/missing.c" "$work/tree/$missing"
done

(cd "$work" && "$CC" -Wall -Wextra -Werror -O2 -shared -fPIC -o libhmm.so hmm.c)
exported() {
    nm -D --defined-only "$1" | awk '$2 ~ /[A-Z]/ { print $3 }' | sort
}
exported "$LIBHMM" | grep -vx dlopen >"$work/expected"
exported "$work/libhmm.so" >"$work/received"
diff -u "$work/expected" "$work/received"
lines=$(LD_PRELOAD=$work/libhmm.so python3 -c 'print(sum(len(str(i)) for i in range(100000)))')
[ "$lines" = 488890 ]
LD_PRELOAD=$work/libhmm.so "$CC" -O2 -ffreestanding -fno-stack-protector -fno-pie -c "$work/hmm.c" -o "$work/core.o"

# The heap is really behind malloc.
cat >"$work/mistake.c" <<'END_OF_PROGRAM'
#include <stdlib.h>
int main(void) {
    char *volatile block = malloc(5000);
    free(block);
    free(block);
    return 0;
}
END_OF_PROGRAM
"$CC" -w -fno-builtin "$work/mistake.c" -o "$work/mistake"
(LD_PRELOAD=$work/libhmm.so "$work/mistake" 2>"$work/err") || true
grep -q '^mems: free(0x[0-9a-f]*): double free: a free block of ' "$work/err"

if [ "$(uname -m)" = x86_64 ]; then
    device=test/hmm/device
    for source in test/valid/hmm_valid.c $device/work.c $device/memory.c $device/linux.c; do
        "$CC" -std=c17 -O2 -ffreestanding -fno-stack-protector -fno-pie -Iinclude -Isrc -c "$source" \
            -o "$work/$(basename "$source" .c).o"
    done
    "$CC" -nostdlib -static "$work/core.o" "$work/hmm_valid.o" "$work/work.o" "$work/memory.o" "$work/linux.o" \
        -o "$work/device"
    "$work/device"
fi
