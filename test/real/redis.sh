#!/bin/sh
# redis-server: loaded by redis-benchmark over a socket, filled with known data, saved by a forked child, reloaded and
# shut down. The digest of its data shows whether it is the same under either malloc.
#
# Debian's redis-server is built for jemalloc (INFO's mem_allocator), but as a shared library. A preloaded library
# precedes it, so malloc, free and malloc_usable_size are all this heap's; only functions unique to jemalloc (mallctl,
# malloc_stats_print) reach it, and find it almost empty. So this does test the heap, as the server's own record in the
# last lines proves. A redis with jemalloc linked in would bypass every preloaded library.
. "${0%/*}/lib.sh"
need redis-server redis-cli redis-benchmark ldd
case $(redis-server --version) in
*malloc=libc*) ;;
*)
    if ! ldd "$(command -v redis-server)" | grep -q malloc; then
        echo "$test_name: skipped: redis-server contains its own malloc"
        exit 77
    fi
    ;;
esac

cat >"$directory/session.sh" <<'END'
set -eu
cli() {
    redis-cli -s socket "$@"
}
redis-server --port 0 --unixsocket socket --dir "$PWD" --save '' --enable-debug-command local \
    --daemonize no --hz 100 >log 2>&1 &
server=$!
trap 'kill $server 2>/dev/null || :' EXIT
echo "$server" >"$1/server.pid"
tries=0
until cli ping >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 1200 ] || { cat log; exit 1; }
    sleep 0.05
done
cli INFO memory | sed -n 's/^mem_allocator:/allocator: /p'

redis-benchmark -s socket -q -n 10000 -c 20 -P 8 -r 5000 -d 200 \
    -t set,get,incr,lpush,rpop,sadd,hset,zadd,mset >/dev/null
cli FLUSHALL
awk 'BEGIN {
    x = 1
    for (i = 0; i < 40000; i++) {
        x = x * 16807 % 2147483647
        print "SET string:" x % 10000, x
        print "APPEND string:" x % 1000, "more-" x
        print "RPUSH list:" x % 100, "item-" i
        print "HSET hash:" x % 500, "field" x % 300, x
        print "ZADD scores:" x % 50, x % 100000, "member" x % 2000
        if (i % 3 == 0)
            print "DEL string:" x % 7000
    }
}' | cli --pipe | tail -n 1
cli DBSIZE
cli DEBUG DIGEST
cli SORT list:7 ALPHA LIMIT 0 3
cli EVAL 'local t = {} for i = 1, 20000 do t[i] = tostring(i) end return #table.concat(t)' 0
cli BGSAVE
while [ "$(cli INFO persistence | grep -c rdb_bgsave_in_progress:1)" -ne 0 ]; do
    sleep 0.05
done
cli INFO persistence | grep -o rdb_last_bgsave_status:ok
cli DEBUG RELOAD
cli DEBUG DIGEST
cli MEMORY PURGE
cli SHUTDOWN NOSAVE
wait $server
echo "server: $?"
END

also() {
    live=$(cat "$records/$(cat "$directory/server.pid")")
    [ "$live" -gt 3000000 ] || fail "the server's data cannot be in the $live bytes that it had from the library"
}
compare "redis" 10 sh "$directory/session.sh" "$directory"
