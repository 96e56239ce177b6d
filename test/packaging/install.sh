#!/bin/sh
# What `make install` puts into a folder suffices to build C and C++ programs with find_package and with pkg-config,
# against the shared and the static library, and also completely static ones.
set -eu
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
consumer=$SOURCE_DIR/test/packaging/consumer

cmake --install "$BUILD_DIR" --prefix "$prefix/mems" >/dev/null
version=$(sed -n 's/#define MEMS_VERSION_[MP][A-Z]* \([0-9]*\)$/\1/p' "$SOURCE_DIR/include/mems.h" | xargs | tr ' ' .)

cmake -S "$consumer" -B "$prefix/build" -G Ninja -DCMAKE_PREFIX_PATH="$prefix/mems" -DVERSION="$version" >/dev/null
cmake --build "$prefix/build" -- --quiet
for program in c_shared c_static hmm_shared hmm_static cpp_shared cpp_static; do
    "$prefix/build/$program" || { echo "$program, built with find_package, failed" && exit 1; }
done

# with_pkg_config PACKAGE SOURCE
with_pkg_config() {
    pc() {
        PKG_CONFIG_PATH=$(dirname "$(find "$prefix/mems" -name "$package.pc")") pkg-config "$@" "$package"
    }
    package=$1
    [ "$(pc --modversion)" = "$version" ]
    # shellcheck disable=SC2046 # lists of options
    {
        $CC "$consumer/$2" -o "$prefix/shared" $(pc --cflags --libs) -Wl,-rpath,"$(pc --variable=libdir)"
        $CC "$consumer/$2" -o "$prefix/static" -static $(pc --static --cflags --libs)
    }
    for program in shared static; do
        "$prefix/$program" || { echo "$program $2, built with pkg-config, failed" && exit 1; }
    done
}
with_pkg_config mems consumer.c
with_pkg_config hmm hmm.c
