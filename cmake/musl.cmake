# Builds against musl with the wrapper of Debian's musl-tools; the programs run as they are.
set(CMAKE_C_COMPILER musl-gcc)
set(MEMS_CMOCKA_FROM_SOURCE ON)
