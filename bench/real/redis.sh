#!/bin/sh
# redis.sh - redis-server under the load of redis-benchmark; a fixed number of requests.
#
# The server has the malloc of $BENCH_PRELOAD, the client the C library's. Wall time is the client's; CPU time, page
# faults and peak memory are the server's. Afterwards the server gets known data, whose digest shows whether it is
# intact. Debian's redis-server takes malloc from libjemalloc.so, which precedes the C library; so if nothing else is
# preloaded, the C library itself is, to put its malloc first.
#
# environment: BENCH_PRELOAD. Works in the directory in which it is started.
set -eu
[ -n "${BENCH_PRELOAD-}" ] ||
    BENCH_PRELOAD=$(ldd "$(command -v redis-server)" | awk '$1 ~ /^libc\.so/ { print $3 }')

# Page faults so far, and user and system time in seconds.
used() {
    awk -v ticks="$(getconf CLK_TCK)" '{ print $10, $14 / ticks, $15 / ticks }' /proc/$server/stat
}

cli() {
    redis-cli -s socket "$@"
}

LD_PRELOAD=$BENCH_PRELOAD redis-server --port 0 --unixsocket socket --save '' --enable-debug-command local >log &
server=$!
trap 'kill $server 2>/dev/null || :' EXIT
tries=0
until cli ping >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 200 ] || { cat log >&2; exit 1; }
    sleep 0.05
done

before=$(used)
start=$(date +%s%N)
redis-benchmark -s socket -q -n 30000 -c 20 -P 16 -r 50000 -d 200 \
    -t set,incr,lpush,rpop,sadd,hset,spop,zadd,lrange_100,mset >/dev/null
end=$(date +%s%N)
took=$(echo "$before $(used)" |
    awk '{ printf "minor_faults=%d user=%.2f system=%.2f", $4 - $1, $5 - $2, $6 - $3 }')
peak=$(awk '$1 == "VmHWM:" { print $2 }' /proc/$server/status)

cli FLUSHALL >/dev/null
awk 'BEGIN {
    x = 1
    for (i = 0; i < 5000; i++) {
        x = x * 16807 % 2147483647
        print "APPEND string:" x % 500, "more-" x
        print "RPUSH list:" x % 100, "item-" i
        print "HSET hash:" x % 100, "field" x % 300, x
        print "ZADD scores:" x % 50, x % 100000, "member" x % 2000
    }
}' | cli --pipe >/dev/null
seconds=$(echo "$start $end" | awk '{ printf "%.6f", ($2 - $1) / 1e9 }')
echo "seconds=$seconds $took peak_rss_kib=$peak output=$(cli DEBUG DIGEST)"
cli SHUTDOWN NOSAVE
wait $server
