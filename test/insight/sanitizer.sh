#!/bin/sh
# `mems run --leaks` finds the blocks that LeakSanitizer finds in the same programs.
. "${0%/*}/lib.sh"
: "${LIBMEMS:?}" "${LIBHMM:?}"
unset LD_PRELOAD MEMS_OPTIONS || true
compile leaky
mv "$work/leaky" "$work/plain"
if ! compile leaky -fsanitize=leak >"$work/error" 2>&1 || "$work/leaky" cycle 2>"$work/error" ||
    ! grep -q 'SUMMARY: LeakSanitizer' "$work/error"; then
    echo "LeakSanitizer does not work here: $(cat "$work/error")"
    exit 77
fi

for how in nothing small large half tree pruned cycle inner realloc thread; do
    "$work/leaky" $how 2>"$work/error" || true
    wanted=$(awk '/leak of/ { sum += $7 } END { print sum + 0 }' "$work/error")
    for heap in '' --hmm; do
        status=0
        # shellcheck disable=SC2086 # none or one
        "$INSIGHT" run $heap --leaks -- "$work/plain" $how 2>"$work/output" || status=$?
        found=$(awk '/ leaks?, / { split($0, part, "below them "); split(part[2], below, " "); print $1 + below[1] }
            /^no leaks/ { print 0 }' "$work/output")
        [ "$found" = "$wanted" ] || fail "$how $heap: $found blocks, and LeakSanitizer $wanted: $(cat "$work/output")"
        [ $status -eq $((wanted != 0)) ] || fail "$how $heap: status $status"
    done
    echo "$how: $wanted blocks"
done
