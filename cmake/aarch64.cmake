# Builds for aarch64 and glibc with Debian's cross compiler, and runs the programs in QEMU's user mode. QEMU before 8
# goes through every page of what is reserved, which takes seconds for a window of full size: -R gives the programs an
# address space of 16 GiB, where a smaller window has to do.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -R 0x400000000 -L /usr/aarch64-linux-gnu)
set(MEMS_CMOCKA_FROM_SOURCE ON)
