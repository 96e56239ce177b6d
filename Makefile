# The entry point: calls CMake and the scripts in tools/.
#
#   make             build/libmems.so, build/libhmm.so, their archives and the command build/bin/mems; says what is missing,
#                    and installs nothing
#   make deps        install what building needs
#
# These install the packages that they need and this machine lacks (tools/setup):
#
#   make run         run a C compiler on the engine and show its statistics, then the examples of the other heaps;
#                    CMD="..." runs any other command instead
#   make test        build and test every variant: gcc, clang, musl, aarch64, ThreadSanitizer, UBSan;
#                    FULL=1 adds long fuzzing, longer stress, larger models, more real programs, browsers, firmware
#   make bench       measure against other allocators, and say at the start how long it takes; QUICK=1, about 2 minutes;
#                    PEERS="NAME=LIBRARY.so[,OPTION]... ..." adds others; BENCH="..." are arguments for bench/run,
#                    say --resume after a stop
#
#   make dist        pack the sources of a release, build/mems-VERSION.tar.xz: the same sources give the same bytes
#   make deb         make Debian's packages in build/deb
#   make install     install under PREFIX (/usr/local); DESTDIR is honoured
#   make uninstall   remove what was installed last; the same DESTDIR
#   make hooks       have git check the format, the layers and the subject of each commit in this checkout
#   make clean       remove what was compiled
#   make fclean      remove build/

PREFIX ?= /usr/local
export CMD FULL

all: build/build.ninja
	@cmake --build --preset release
	@tools/setup --check insight pages || echo "the libraries are built, but not all of the command mems, build/hmm.c and the manual pages"

build/build.ninja: | tools_to_build
	@cmake --preset release

# Installs what is missing for the goals that may, and otherwise says what it is.
tools_to_build:
	@tools/setup $(if $(filter deps run test bench,$(MAKECMDGOALS)),,--check) build

deps: tools_to_build
	@tools/setup insight pages
	@[ ! -e build/build.ninja ] || touch insight/CMakeLists.txt # looks for the libraries again
	@tools/setup --check build insight pages && echo "all that building needs is installed: run make"

run: all
	@tools/run

test:
	@tools/setup build insight test $(if $(FULL),full)
	@tools/check

bench: all
	@tools/setup bench
	@bench/run $(if $(QUICK),--quick) $(if $(PEERS),--peers "$(PEERS)") $(BENCH)

dist:
	@tools/dist

deb:
	@tools/setup build insight deb
	@tools/deb

hooks:
	@git config core.hooksPath tools/hooks

install: all
	@cmake --install build --prefix "$(PREFIX)"

uninstall:
	@DESTDIR="$(DESTDIR)" tools/uninstall

clean:
	@for tree in build build/*/; do [ ! -e $$tree/build.ninja ] || ninja -C $$tree --quiet clean; done

fclean:
	@rm -rf build

.PHONY: all tools_to_build deps run test bench dist deb hooks install uninstall clean fclean
