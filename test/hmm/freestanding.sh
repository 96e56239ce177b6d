#!/bin/sh
# The core of HMM needs neither a C library nor an operating system, with 64 and with 32 bits: in every configuration it
# compiles with the compiler's own headers alone and needs only memcpy, memmove, memset and memcmp. It keeps the
# contents of its blocks, and reports each kind of damage. All its global names have a prefix, because a device links
# its objects with others.
#
# For one compiler and machine the usual configuration is compiled from its sources; everything else from the one file
# that is made of them (hmm.one_file), which takes half the time.
. "$SOURCE_DIR/test/support/script.sh"
cd "$SOURCE_DIR" || exit
core=$(cat test/hmm/device/core_sources.txt)

fail() {
    echo "$compiler $optimisation $machine $options: $*"
    exit 1
}

# compile OBJECT SOURCE... - without anything from a system.
compile() {
    object=$1
    shift
    # shellcheck disable=SC2086 # lists of options
    "$compiler" -std=c17 $optimisation $machine $options -ffreestanding -fno-stack-protector -fno-pie -nostdinc \
        -isystem "$own" -Iinclude -Isrc -Wall -Wextra -Wconversion -Wcast-qual -Wmissing-prototypes -Werror \
        -c "$@" -o "$object"
}

# compile_platform - what the core and the program need: memory.o and linux.o
compile_platform() {
    for source in memory linux; do
        compile "$work/$source.o" test/hmm/device/$source.c
    done
}

# compile_core SOURCE... - into core.o
compile_core() {
    rm -f "$work"/core_*.o
    for source; do
        compile "$work/core_$(basename "$source" .c).o" "$source"
    done
    emulation=elf_x86_64
    [ -z "$machine" ] || emulation=elf_i386
    [ "$(uname -m)" = x86_64 ] || emulation=
    ld ${emulation:+-m "$emulation"} -r "$work"/core_*.o -o "$work/core.o"
    asked=$(nm -u "$work/core.o" | awk '{ print $2 }' | grep -vxE 'memcpy|memmove|memset|memcmp' || true)
    [ -z "$asked" ] || fail "the core asks for $asked"
    named=$(nm -g --defined-only "$work/core.o" | awk '$3 !~ /^(Hmm|hmm_|mems_)/ { print $3 }')
    [ -z "$named" ] || fail "global names without a prefix: $named"
}

# run MISTAKE - the program that ends with it.
run() {
    compile "$work/work.o" "-DMISTAKE=$1" test/hmm/device/work.c
    # shellcheck disable=SC2086 # a list of options
    "$compiler" $machine -nostdlib -static "$work/work.o" "$work/memory.o" "$work/linux.o" "$work/core.o" \
        -o "$work/program"
    status=0
    "$work/program" || status=$?
    [ $status -eq 0 ] || fail "the program with mistake $1 ended with $status"
}

one_file=$BUILD_DIR/hmm.c
[ -e "$one_file" ] || need python3 # which makes it
machines=''
optimisation=-O2
[ "$(uname -m)" != x86_64 ] || machines=-m32
options=
for compiler in $(printf '%s\n' "${CC##*/}" gcc clang | sort -u); do
    command -v "$compiler" >/dev/null || continue
    own=$("$compiler" -print-file-name=include)
    for machine in '' $machines; do
        compile_platform
        # shellcheck disable=SC2086 # a list of files
        compile_core $core
        core="$one_file test/valid/hmm_valid.c"
        for mistake in 0 1 2 3 4; do
            run $mistake
        done
    done
done

# Other configurations, with the last of these compilers. Without optimisation, which takes most of the time, the core
# asks for no less.
optimisation=-O0
for machine in '' $machines; do
    options=
    compile_platform
    for options in -DHMM_QUICK_BYTES=1024 -DHMM_TAGS '-DHMM_QUICK_BYTES=4096 -DHMM_REGIONS=32 -DHMM_SIZE_BITS=24'; do
        compile_core "$one_file" test/valid/hmm_valid.c
        run 2
    done
    options='-DHMM_REPORTS=0 -DHMM_BREAK=0'
    compile_core "$one_file" test/valid/hmm_valid.c
done
