#!/bin/sh
# git: commits, branches, a merge, packing with threads, a clone through the transport, search, and fsck at the end.
# Dates and names are fixed, so every object has the same name under either malloc.
. "${0%/*}/lib.sh"
need git awk

cat >"$directory/repository.sh" <<'END'
set -eu
export HOME="$PWD" GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@localhost GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@localhost
export GIT_AUTHOR_DATE='1000000000 +0000' GIT_COMMITTER_DATE='1000000000 +0000'
git config --global init.defaultBranch main
git config --global gc.auto 0
git config --global pack.threads 2

git init --quiet first
cd first
for i in 1 2 3 4 5 6 7 8; do
    awk -v n="$i" 'BEGIN {
        x = n
        for (file = 0; file < 100; file++) {
            name = "file" file ".txt"
            for (line = 0; line < 100; line++) {
                x = x * 16807 % 2147483647
                print "line", line, (line % 8 < n ? x : "unchanged") >name
            }
            close(name)
        }
    }'
    git add .
    git commit --quiet --message="commit $i"
done
git checkout --quiet -b side HEAD~3
echo aside >aside.txt
git add aside.txt
git commit --quiet --message=aside
git checkout --quiet main
git merge --quiet --message=merged side
git rev-parse HEAD 'HEAD^{tree}'
git log --stat --patch | git hash-object --stdin
git blame --line-porcelain file7.txt | git hash-object --stdin
git diff --histogram --word-diff HEAD~4 | git hash-object --stdin
git grep --threads=2 --count 'line 7 .*99' | tail -n 3
git repack -q -a -d -f --threads=2
git count-objects -v | grep in-pack
cd ..

git clone --quiet --no-local first second
git -C second fsck --full --strict --no-progress
git -C second log --oneline | tail -n 2
git clone --quiet --bare --depth=2 "file://$PWD/first" shallow
git -C shallow rev-list --count HEAD
git -C second archive --format=tar HEAD | git hash-object --stdin
git -C first bundle create --quiet ../all.bundle --all
git -C second bundle verify --quiet ../all.bundle
END

compare "git" 60 sh "$directory/repository.sh"
