#!/bin/sh
# A process that does little holds few pages of the library; one with samples not many more of its code, and of unwind
# tables only what it has read; and one whose threads work beside each other none of the code that small programs do not
# need.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Resident KiB of the library in a process that starts, prints and ends.
held=$(LD_PRELOAD=$LIBMEMS grep . /proc/self/smaps | awk '
    /^[0-9a-f]+-/ { ours = /libmems/ || (ours && $5 == 0 && NF == 5) }
    ours && $1 == "Rss:" { kib += $2 }
    END { print kib }')
echo "$held KiB of the library are resident"
[ "$held" -gt 80 ] # with fewer it was not the library
[ "$held" -le 160 ] || {
    echo "more than 160: does cmake/first_functions.txt lack names? tools/first_functions writes it again"
    exit 1
}

cat >"$scratch/samples.c" <<'END'
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    static char *blocks[1000];
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        blocks[i] = malloc(1000 + 30 * i);
        *blocks[i] = 1;
        free(blocks[i / 2]);
        blocks[i / 2] = NULL;
    }
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[1024];
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        fputs(line, stdout);
    }
    return 0;
}
END
"$CC" -std=c17 -D_GNU_SOURCE -O2 -fno-builtin -o "$scratch/samples" "$scratch/samples.c"

# Resident KiB of the code that small programs do not need, and of the segment with the unwind tables. Addresses decide
# what the kernel maps around a page, and two pages may have one number in os/single_page.c, so there are five chances.
for _ in 1 2 3 4 5; do
    LD_PRELOAD=$LIBMEMS MEMS_OPTIONS=sample=64k "$scratch/samples" >"$scratch/smaps"
    later=$(awk '
        /^[0-9a-f]+-/ { ours = /libmems/; code = $2 == "r-xp"; constants = $2 == "r--p" }
        ours && $1 == "Rss:" && code { codes[++code_count] = $2 }
        ours && $1 == "Rss:" && constants { tables[++table_count] = $2 }
        END { print codes[2], tables[2] }' "$scratch/smaps")
    echo "with samples, KiB of other code and of unwind tables: $later"
    [ "${later% *}" -gt 0 ] # or there was no sample
    [ "${later% *}" -gt 96 ] || [ "${later#* }" -gt 48 ] || break
done
[ "${later% *}" -le 96 ] || {
    echo "more than 96 of code: does cmake/later_functions.txt lack names? tools/first_functions writes it again"
    exit 1
}
[ "${later#* }" -le 48 ] || {
    echo "more than 48 of tables: os/single_page.h should map each page alone"
    exit 1
}

cat >"$scratch/threads.c" <<'END'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void *shared[1024];

/* Replaces blocks of many sizes, most of them other threads'. */
static void *work(void *seed) {
    unsigned random = (unsigned)(size_t)seed;
    for (int i = 0; i < 4000; i++) {
        random = random * 1664525u + 1013904223u;
        char *block = malloc(random >> 20);
        *block = 1;
        free(__atomic_exchange_n(&shared[random >> 8 & 1023], block, __ATOMIC_ACQ_REL));
    }
    return NULL;
}

static long long milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int main(void) {
    const long long start = milliseconds();
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++) {
        if (pthread_create(&threads[i], NULL, work, (void *)i) != 0) {
            return 1;
        }
    }
    for (size_t i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
    }
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[1024];
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        fputs(line, stdout);
    }
    return milliseconds() - start < 200 ? 0 : 2; /* later, memory decays */
}
END
"$CC" -std=c17 -D_GNU_SOURCE -O2 -pthread -fno-builtin -o "$scratch/threads" "$scratch/threads.c"

# Resident KiB of each executable segment. Something rare may happen once, so there are five chances. A machine on which
# even one run takes long cannot tell.
slow=
for _ in 1 2 3 4 5; do
    LD_PRELOAD=$LIBMEMS MEMS_OPTIONS=sample=0 "$scratch/threads" >"$scratch/smaps" || { # a sample runs much code
        [ $? = 2 ]
        slow=77
        continue
    }
    code=$(awk '
        /^[0-9a-f]+-/ { code = /libmems/ && $2 == "r-xp" }
        code && $1 == "Rss:" { print $2 }' "$scratch/smaps" | tr '\n' ' ')
    echo "KiB of the library's code that are resident, by segment: $code"
    [ "${code#* }" != "0 " ] || exit 0
done
echo "that is code which small programs do not need: does cmake/first_functions.txt lack names?"
exit "${slow:-1}"
