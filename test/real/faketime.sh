#!/bin/sh
# libfaketime, which takes over the names of clocks and more, preloaded before and behind the library.
. "${0%/*}/lib.sh"
need python3
faketime=$(find /usr/lib -name libfaketime.so.1 | head -n 1)
[ -n "$faketime" ] || {
    echo "$test_name: skipped: there is no libfaketime.so.1"
    exit 77
}

cat >"$directory/program.py" <<'END'
import datetime, threading, time

def work(number):
    words = {}
    for i in range(20000):
        words[f"{number} {i}"] = [i] * (i % 7)
        time.monotonic()
    sums[number] = sum(map(len, words.values()))

sums = {}
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(datetime.datetime.now().year, sorted(sums.items()))
END
# The variable sets their order; lib.sh puts the library first.
compare "faketime before the C library" 1 sh -c 'LD_PRELOAD="$LD_PRELOAD $0" FAKETIME="@2001-02-03 04:05:06" python3 "$1"' \
    "$faketime" "$directory/program.py"
compare "faketime before the library" 1 sh -c 'LD_PRELOAD="$0 $LD_PRELOAD" FAKETIME="@2001-02-03 04:05:06" python3 "$1"' \
    "$faketime" "$directory/program.py"
