#!/bin/sh
# `mems serve` trusts no count in the answer of the child that looks at a process: a hostile process may have got the
# better of it.
. "${0%/*}/lib.sh"
# Of the command only this function is needed, and nothing that it would be linked with.
"$CC" -std=c17 -D_GNU_SOURCE -O1 -g -ffunction-sections -Wl,--gc-sections -I "$SOURCE_DIR/test" -I "$SOURCE_DIR/insight" \
    -I "$SOURCE_DIR/include" -I "$SOURCE_DIR/src" -o "$work/answer" "$SOURCE_DIR/test/insight/answer.c" \
    "$SOURCE_DIR/insight/verbs/stats.c"
"$work/answer" || fail "a forged answer: exit status $?"
