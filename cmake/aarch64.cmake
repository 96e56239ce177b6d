# Builds for aarch64 and glibc with Debian's cross compiler, and runs the programs in QEMU's user mode. QEMU before 8
# needs seconds to reserve a window of full size, for it goes through every page: the limit makes for a smaller one.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CROSSCOMPILING_EMULATOR prlimit --as=17179869184 qemu-aarch64 -L /usr/aarch64-linux-gnu)
set(MEMS_CMOCKA_FROM_SOURCE ON)
