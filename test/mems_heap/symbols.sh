#!/bin/sh
# A list has what the MeMS heap needs from the C library. malloc, calloc, realloc and free are not in it, neither for
# the heap's objects nor for what they use of base and os. And of the system calls that change mappings it makes two:
# mmap and munmap.
#
# We link a shared library of the heap alone, with its functions as roots, from which the linker drops what they do not
# reach. Debugging asserts are on; they only need more.
. "$SOURCE_DIR/test/support/script.sh"

compile() {
    folder=$1
    shift
    for source in "$SOURCE_DIR/src/$folder"/*.c; do
        "$CC" -std=c17 -D_GNU_SOURCE -DMEMS_DEBUG -O2 -fPIC -ffunction-sections -fdata-sections -ftls-model=initial-exec \
            -fno-builtin-malloc -fno-stack-protector -U_FORTIFY_SOURCE -I"$SOURCE_DIR/include" -I"$SOURCE_DIR/src" "$@" -c "$source" \
            -o "$work/${folder}_$(basename "$source").o"
    done
}
compile mems_heap
compile base -fvisibility=hidden
compile os -fvisibility=hidden
"$CC" -shared -Wl,--gc-sections -o "$work/heap.so" "$work"/*.o -lpthread

# The page size; fork; reports, and what makes them safe to cancel; the vDSO's names; the end of a program whose heap is
# damaged; and what the compiler's start-up files bring.
for symbol in getauxval __errno_location memcpy memmove memset strlen \
    __libc_single_threaded __register_atfork _IO_list_lock _IO_list_unlock _IO_list_resetlock \
    fprintf fputs fputc fwrite flockfile funlockfile \
    __pthread_register_cancel __pthread_unregister_cancel __pthread_unwind_next __sigsetjmp \
    strcmp \
    abort \
    __cxa_finalize __gmon_start__ _ITM_deregisterTMCloneTable _ITM_registerTMCloneTable; do
    echo $symbol
done | sort >"$work/allowed"
nm -D --undefined-only "$work/heap.so" | awk '{ sub(/@.*/, "", $2); print $2 }' | sort >"$work/needed"

unknown=$(comm -13 "$work/allowed" "$work/needed")
[ -z "$unknown" ] || {
    echo "the heap needs what is not in the list:" "$unknown"
    exit 1
}
# Checks that we are looking at the heap.
nm -D --defined-only "$work/heap.so" | grep -q ' space_alloc$'

calls=$(nm --defined-only "$work/heap.so" | awk '$3 ~ /^sys_/ || $3 == "os_move_break" { print $3 }' | sort | xargs)
[ "$calls" = "sys_mmap sys_munmap" ] || {
    echo "the heap's system calls for memory are: $calls"
    exit 1
}
