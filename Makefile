# The front door: each target installs what it lacks (tools/setup) and hands over to CMake.
#
#   make             build/libmems.so, build/libhmm.so and their archives
#   make run         run a C compiler on the engine and show its statistics, then the examples of the other heaps;
#                    CMD="..." runs any other command instead
#   make test        build and test every variant: gcc, clang, musl, aarch64, ThreadSanitizer, UBSan
#   make bench       measure against other allocators, and say at the start how long it takes; QUICK=1, about 2 minutes;
#                    PEERS="NAME=LIBRARY.so[,OPTION]... ..." adds others; BENCH="..." are arguments for bench/run,
#                    say --resume after a stop
#   make install     install under PREFIX (/usr/local); DESTDIR is honoured
#   make clean       remove what was compiled
#   make fclean      remove build/

PREFIX ?= /usr/local
export CMD

all: build/build.ninja
	@cmake --build --preset release

build/build.ninja:
	@tools/setup build
	@cmake --preset release

run: all
	@tools/run

test:
	@tools/setup build test
	@tools/check

bench: all
	@tools/setup bench
	@bench/run $(if $(QUICK),--quick) $(if $(PEERS),--peers "$(PEERS)") $(BENCH)

install: all
	@cmake --install build --prefix "$(PREFIX)"

clean:
	@for tree in build build/*/; do [ ! -e $$tree/build.ninja ] || ninja -C $$tree --quiet clean; done

fclean:
	@rm -rf build

.PHONY: all run test bench install clean fclean
