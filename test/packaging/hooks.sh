#!/bin/sh
# After `make hooks` git refuses a commit that clang-format would change, that breaks the layers of src/, or whose
# subject is too long. It accepts all others, and checks what is committed rather than the work tree.
. "$SOURCE_DIR/test/support/script.sh"
need git clang-format-16
(cd "$SOURCE_DIR" && tar -c --exclude=./build --exclude=./.git .) | tar -x -C "$work"
cd "$work" || exit
export HOME="$work" GIT_CONFIG_NOSYSTEM=1
unset LIBMEMS LIBHMM
git init -q .
git config user.name tester
git config user.email tester@localhost
make -s hooks
git add .

# refused TEXT MESSAGE - git refuses to commit the changes, and says TEXT.
refused() {
    ! git commit -qam "$2" >.git/output 2>&1 || fail "committed: $2"
    grep -q "$1" .git/output || fail "refused without '$1': $(cat .git/output)"
    git reset -q --hard
}

git commit -qm 'All of it' --no-verify
echo 'int  f ( void );' >>src/base/bits.h
refused clang-format 'Form'
sed -i 's,^#include "fmt.h",&\n\n#include "engine/engine.h",' src/base/fault.h
refused layers 'Layers'
echo 'More.' >>README.md
refused 'more than 72' "$(printf '%073d' 0)"
echo 'More.' >>README.md
refused 'not empty' "$(printf 'Subject\nbody')"
echo 'More.' >>README.md
git add README.md
echo 'int  f ( void );' >>src/base/bits.h # not to be committed
git commit -qm "$(printf '%072d\n\nbody' 0)" || fail "a good commit is refused"
