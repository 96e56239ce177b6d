#!/bin/sh
# If a machine lacks what building needs, `make` says so and installs nothing, with status 2; `make deps`, `make run`,
# `make test` and `make bench` install it. The machine is a PATH without cmake and ninja, whose apt-get only takes
# notes.
. "$SOURCE_DIR/test/support/script.sh"
bin=$work/bin
mkdir "$bin" "$work/tree"
for command in awk basename cat cc dirname dpkg-query env grep id make mkdir printf rm sed sh; do
    ln -s "$(command -v "$command")" "$bin/"
done
printf '#!/bin/sh\necho "$@" >>"%s"\n' "$work/installed" >"$bin/apt-get"
printf '#!/bin/sh\nexec "$@"\n' >"$bin/sudo"
chmod +x "$bin/apt-get" "$bin/sudo"
cp -R "$SOURCE_DIR/Makefile" "$SOURCE_DIR/tools" "$work/tree/"
cd "$work/tree" || exit

fail() {
    echo "$1" >&2
    cat "$work/output" >&2
    exit 1
}

# knock GOAL... - runs make on that machine; sets its status, and writes what it prints to the file output.
knock() {
    rm -f "$work/installed"
    status=0
    env -i PATH="$bin" HOME="$work" make "$@" >"$work/output" 2>&1 || status=$?
}

for goal in all install; do
    knock $goal
    [ $status -eq 2 ] || fail "make $goal ended with $status"
    [ ! -e "$work/installed" ] || fail "make $goal has called apt-get $(cat "$work/installed")"
    for word in cmake ninja-build 'make deps'; do
        grep -q "$word" "$work/output" || fail "make $goal does not mention $word"
    done
done
for goal in deps run test bench; do
    knock $goal
    grep -q 'install .*cmake ninja-build' "$work/installed" || fail "make $goal has not installed cmake and ninja"
done

# Installed packages are not installed again.
for command in cmake ninja; do
    printf '#!/bin/sh\necho %s "$@"\n' $command >"$bin/$command"
    chmod +x "$bin/$command"
done
knock all
[ $status -eq 0 ] || fail "make with all that it needs ended with $status"
grep -q 'cmake --build --preset release' "$work/output" || fail "make with all that it needs has not built"
[ ! -e "$work/installed" ] || fail "make with all that it needs has called apt-get"
