#!/bin/sh
# The heap's PAGE_SIZE is 4096, or what the program defines before it includes mems.h, if that is possible.
. "$SOURCE_DIR/test/support/script.sh"
program=$SOURCE_DIR/test/api/page_size_program.c

# says EXPECTED OPTION...: what the program, compiled with these options, prints on both outputs.
says() {
    expected=$1
    shift
    "$CC" -std=c17 -Wall -Wextra -Werror -I"$SOURCE_DIR/include" "$@" -o "$work/program" "$program" \
        "$LIBMEMS" -Wl,-rpath,"$(dirname "$LIBMEMS")"
    said=$("$work/program" 2>&1)
    [ "$said" = "$expected" ] || {
        printf '%s:\n%s\ninstead of:\n%s\n' "$*" "$said" "$expected"
        exit 1
    }
}

of_4096="pages of 4096: 4
----- MeMS SYSTEM STATS -----
MAIN[1000:9191]-> P[1000:5999] <-> H[6000:9191] <-> NULL
MAIN[9192:17383]-> P[9192:15191] <-> H[15192:17383] <-> NULL
Pages used:	4
Space unused:	5384
Main Chain Length:	2
Sub-chain Length array: [2, 2, ]
-----------------------------"

of_8192=$(echo "$of_4096" | sed 's/of 4096: 4/of 8192: 2/; s/^Pages used:	4/Pages used:	2/')

refusal="a PAGE_SIZE of 5000 is not a multiple of the system's page size, $(getconf PAGESIZE)"

says "$of_4096"
says "$of_4096" -DPAGE_SIZE=4096
says "$of_8192" -DPAGE_SIZE=8192
says "mems_init: 0
$of_4096" -DINIT
says "mems_init: 0
$of_8192" -DINIT -DPAGE_SIZE=8192
says "mems_malloc: $refusal
no memory" -DPAGE_SIZE=5000
says "mems_init: $refusal
mems_malloc: $refusal
mems_init: 22
no memory" -DINIT -DPAGE_SIZE=5000
says "mems_malloc: a PAGE_SIZE of 0 is not a multiple of the system's page size, $(getconf PAGESIZE)
no memory" -DPAGE_SIZE=0
