#!/bin/sh
# Processes that are not as usual: a child by fork, one whose first thread has ended, and one with 256 threads; and what is
# said of those that have no memory: a zombie, a thread of the kernel, a process that is not there, and any without
# /proc.
. "${0%/*}/lib.sh"
need python3

cat >"$work/unusual.c" <<'END'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void *stay(void *unused) {
    void *volatile block = memset(malloc(5000), 1, 5000);
    pause();
    free(block);
    return unused;
}
static void *volatile blocks[1000];
int main(int count, char **words) {
    pthread_t thread;
    pid_t child = 0;
    for (int i = 0; i < 1000; i++) {
        blocks[i] = memset(malloc(1000), 1, 1000);
    }
    if (strcmp(words[count - 1], "fork") == 0 && (child = fork()) == 0) {
        for (int i = 0; i < 400; i++) {
            free(blocks[i]);
            blocks[i] = NULL;
        }
    } else if (strcmp(words[count - 1], "zombie") == 0 && (child = fork()) == 0) {
        _exit(0);
    } else {
        for (int i = atoi(words[count - 1]); i > 0; i--) {
            pthread_create(&thread, NULL, stay, NULL);
        }
    }
    usleep(200000);
    if (child != 0 || strcmp(words[count - 1], "fork") != 0) {
        printf("child %d\nnothing\n", child);
        fflush(stdout);
    }
    if (strcmp(words[count - 1], "1") == 0) {
        pthread_exit(NULL);
    }
    pause();
}
END
"$CC" -O1 -fno-builtin -pthread -o "$work/unusual" "$work/unusual.c"

# says WORDS VERB... - the command ends with status 2 and says the words.
says() {
    words=$1
    shift
    status=0
    "$INSIGHT" "$@" >"$work/output" 2>"$work/error" || status=$?
    if [ $status -ne 2 ] || ! grep -q "$words" "$work/error"; then
        fail "mems $*: status $status, $(cat "$work/output" "$work/error")"
    fi
}

launch "$work/list" "$work/unusual" fork
child=$(address "$work/list" child)
processes="$processes $child"
"$INSIGHT" stats --json "$child" >"$work/stats.json" || fail "stats of a child by fork"
holds "$work/stats.json" 'sum(c["live"] for c in it["classes"] if c["size"] == 1024) == 600'
"$INSIGHT" leaks "$child" >/dev/null || fail "leaks of a child by fork"
"$INSIGHT" check "$child" >/dev/null || fail "check of a child by fork"

# The first thread has ended, and the others go on.
launch "$work/list" "$work/unusual" 1
for _ in $(seq 3000); do
    ! grep -q '^State:.Z' "/proc/$process/status" || break
    sleep 0.1
done
"$INSIGHT" stats --json "$process" >"$work/stats.json" 2>"$work/error" || fail "stats: $(cat "$work/error")"
grep -q "process $process: its first thread has ended; thread [0-9]* stands for it" "$work/error" ||
    fail "of a process without its first thread it says $(cat "$work/error")"
holds "$work/stats.json" 'sum(c["live"] for c in it["classes"] if c["size"] == 1024) == 1000'
holds "$work/stats.json" 'sum(r["resident"] for r in it["rows"]) == it["rss"] > 1000000'
for verb in leaks check map 'whatis 16' 'profile'; do
    # shellcheck disable=SC2086 # words
    "$INSIGHT" $verb "$process" >/dev/null 2>"$work/error" || [ "$verb" = profile ] || fail "$verb: $(cat "$work/error")"
done
"$INSIGHT" list | grep -q "^ *$process " || fail "the list lacks a process without its first thread"

launch "$work/list" "$work/unusual" 256
"$INSIGHT" stats --json "$process" >"$work/stats.json" || fail "stats of 256 threads"
holds "$work/stats.json" 'sum(h["in_use"] for h in it["heaps"]) == 257'
holds "$work/stats.json" 'sum(c["live"] for c in it["classes"] if 5000 <= c["size"] < 8000) >= 256'
"$INSIGHT" check "$process" >/dev/null || fail "check of 256 threads"

launch "$work/list" "$work/unusual" zombie
zombie=$(address "$work/list" child)
for verb in stats map leaks check save top; do
    case $verb in
    save) says 'it has ended; its parent has not waited for it yet' save "$zombie" "$work/none" ;;
    top) says 'it has ended; its parent has not waited for it yet' top --batch "$zombie" ;;
    *) says 'it has ended; its parent has not waited for it yet' "$verb" "$zombie" ;;
    esac
done
says 'it has ended; its parent has not waited' set "$zombie" decay_ms=1
says 'there is no such process' stats 4194305
says 'there is no such process' stats 0
kernel=$(awk '$4 == 2 { print $1; exit }' /proc/[0-9]*/stat 2>/dev/null) || true
[ -z "$kernel" ] || [ "$(id -u)" -ne 0 ] || says 'it is a thread of the kernel' stats "$kernel"

# Without /proc
if unshare -m sh -c 'mount -t tmpfs none /proc' 2>/dev/null; then
    for words in list "stats $process" "check $process" 'top --batch -n 1' 'serve --listen 127.0.0.1:0'; do
        status=0
        unshare -m sh -c "mount -t tmpfs none /proc && exec timeout 200 '$INSIGHT' $words" >"$work/output" 2>"$work/error" ||
            status=$?
        if [ "$words" = 'serve --listen 127.0.0.1:0' ] && grep -q 'without libmicrohttpd' "$work/error"; then
            continue
        fi
        if [ $status -ne 2 ] || ! grep -q '/proc must be mounted' "$work/error"; then
            fail "mems $words without /proc: status $status, $(cat "$work/output" "$work/error")"
        fi
    done
fi
