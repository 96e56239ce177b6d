#!/bin/sh
# The libraries make their system calls themselves: they use none of the C library's functions that a preloaded library
# may have taken over.
set -eu
calls='mmap mmap64 munmap mprotect mremap madvise posix_madvise mincore mlock munlock brk sbrk syscall clock_gettime
    clock_gettime64 gettimeofday time getrandom getentropy open open64 openat openat64 read pread write pwrite writev close
    fcntl fcntl64 fstat fstat64 dup dup2 getrusage getrlimit getrlimit64 prlimit sysinfo sysconf getpid gettid
    sched_yield nanosleep pthread_mutex_lock'
status=0
for library in "$LIBMEMS" "$LIBHMM"; do
    needed=$(nm -D --undefined-only "$library" | awk '{ sub(/@.*/, "", $2); print $2 }')
    echo "$needed" | grep -qx abort # the list is one
    for call in $calls; do
        ! echo "$needed" | grep -qx "$call" || {
            echo "${library##*/} needs the C library's $call"
            status=1
        }
    done
done
exit $status
