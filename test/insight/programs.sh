#!/bin/sh
# The verbs on real programs: redis-server, python3 with extension modules, a C++ program with threads, node, ruby, static
# and stripped programs, one with another C library, one in a container; on each one's process, on its core by gdb and on
# its core by the kernel.
. "${0%/*}/lib.sh"
need python3 gdb prlimit
: "${LIBMEMS:?}" "${LIBMEMS_STATIC:?}" "${CXX:=c++}"
case $(cat /proc/sys/kernel/core_pattern) in
core) cores=yes ;;
*) cores= && echo "$test_name: cores of the kernel go elsewhere here: only those of gdb are looked at" ;;
esac

# answers WHAT TARGET - each verb answers, and nothing is damaged.
answers() {
    "$INSIGHT" stats --json "$2" >"$work/stats.json" 2>"$work/error" || fail "$1: stats: $(cat "$work/error")"
    holds "$work/stats.json" "sum(r['resident'] for r in it['rows']) == it['rss'] > 100_000"
    holds "$work/stats.json" "sum(c['live'] for c in it['classes']) >= ${least:=100}"
    holds "$work/stats.json" "all(not h['lacks'] and len(h['build_id']) >= 16 for h in it['target']['heaps'])"
    "$INSIGHT" stats "$2" >"$work/text" 2>&1 || fail "$1: stats: $(cat "$work/text")"
    "$INSIGHT" map "$2" >"$work/text" 2>&1 || fail "$1: map: $(cat "$work/text")"
    "$INSIGHT" map --json "$2" >"$work/map.json" || fail "$1: map --json"
    slab=$(python3 -c 'import json, sys
print(next(s["start"] for s in json.load(open(sys.argv[1]))["spans"] if s["kind"] == "slab" and s["live"]))' "$work/map.json")
    "$INSIGHT" map "$2" "$slab" >"$work/text" 2>&1 || fail "$1: map of a slab: $(cat "$work/text")"
    "$INSIGHT" whatis --json "$slab" $((slab + 5)) 16 "$2" >"$work/answers.json" 2>"$work/error" ||
        fail "$1: whatis: $(cat "$work/error")"
    holds "$work/answers.json" "it['answers'][0]['kind'] == 'slot' and it['answers'][1]['offset'] == 5"
    # A core may show a moment in which a thread holds a lock.
    "$INSIGHT" check --json "$2" >"$work/check.json" 2>"$work/error" || [ $? -eq 2 ] ||
        fail "$1 is damaged: $(cat "$work/check.json" "$work/error")"
    holds "$work/check.json" "it['slabs'] > 0 and (it['found'] == 0 or it['lock_held'])"
}

# look NAME PROCESS - at a process, its saved heap and its cores; then ends it.
look() {
    name=$1 process=$2
    processes="$processes $process"
    answers "$name" "$process"
    "$INSIGHT" list >"$work/text" || fail "$name: list"
    grep -q "^ *$process .*libmems" "$work/text" || fail "$name: not in the list: $(cat "$work/text")"
    halt "$process"
    "$INSIGHT" save "$process" "$work/saved" || fail "$name: save"
    answers "$name, saved" "$work/saved"
    "$INSIGHT" diff "$work/saved" "$process" >"$work/text" || fail "$name: diff"
    "$INSIGHT" stats --json "$process" >"$work/stats.json" || fail "$name: stats"
    holds "$work/stats.json" "sum(r['resident'] for r in it['rows']) == it['rss'] == $(
        awk '$1 == "Rss:" { sum += $2 } END { print sum * 1024 }' "/proc/$process/smaps"
    )"
    holds "$work/stats.json" "next(r for r in it['rows'] if r['name'] == 'changed')['resident'] == 0"
    gdb_core "$work/core" "$process"
    answers "$name, gdb's core" "$work/core"
    rm "$work/core" "$work/saved"
    folder=$(readlink "/proc/$process/cwd")
    kill -ABRT "$process"
    kill -CONT "$process"
    while [ -e "/proc/$process/maps" ] && ! grep -q '^State:.*Z' "/proc/$process/status"; do
        sleep 0.1
    done
    if [ -n "$cores" ]; then
        [ -n "$(find "$folder" -maxdepth 1 -name 'core*' -type f)" ] || fail "$name has left no core"
        mv "$folder"/core* "$work/core"
        answers "$name, the kernel's core" "$work/core"
        rm "$work/core"
    fi
    echo "$name: looked at"
}

# begin FILE COMMAND... - starts it in a separate folder, where it may leave a core, until FILE has "ready".
begin() {
    file=$1
    shift
    folder=$(mktemp -d "$work/run.XXXXXX")
    : >"$file"
    (cd "$folder" && exec prlimit --core=unlimited "$@" >"$file" 2>"$file.errors" </dev/null) &
    process=$!
    processes="$processes $process"
    for _ in $(seq 3000); do
        ! grep -qi 'ready\|^nothing' "$file" || return 0
        sleep 0.1
    done
    fail "$* is not ready: $(cat "$file" "$file.errors")"
}

least=1000
if command -v redis-server >/dev/null && command -v redis-benchmark >/dev/null; then
    begin "$work/redis" env LD_PRELOAD="$LIBMEMS" redis-server --port 0 --unixsocket "$work/socket" --save '' \
        --crash-log-enabled no
    redis-benchmark -s "$work/socket" -q -n 20000 -c 20 -P 8 -r 5000 -d 200 -t set,lpush,hset,zadd >/dev/null
    look redis-server "$process"
fi

cat >"$work/modules.py" <<'END'
import ctypes, decimal, hashlib, json, re, sqlite3, ssl, threading, time, unicodedata, zlib
try:
    import cryptography.hazmat.bindings._rust, yaml
except ImportError:
    pass
base = sqlite3.connect(":memory:")
base.execute("create table numbers (n integer, text text)")
base.executemany("insert into numbers values (?, ?)", ((n, str(n) * 3) for n in range(20000)))
kept = [json.loads(json.dumps({"n": n, "l": [str(n)] * 5})) for n in range(5000)], ssl.create_default_context()
threads = [threading.Thread(target=time.sleep, args=(1000,), daemon=True) for _ in range(3)]
[thread.start() for thread in threads]
print("ready", flush=True)
time.sleep(1000)
END
python=$(command -v /usr/bin/python3 || command -v python3)
begin "$work/python" env LD_PRELOAD="$LIBMEMS" "$python" "$work/modules.py"
look "python3" "$process"

cat >"$work/threads.cpp" <<'END'
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>
struct session {
    virtual ~session() = default;
    std::map<int, std::string> values;
};
static void work(int which, int rounds) {
    std::vector<std::unique_ptr<session>> sessions;
    for (int round = 0; round != rounds; round++) {
        sessions.push_back(std::make_unique<session>());
        for (int i = 0; i < 50; i++)
            sessions.back()->values[i] = std::string(static_cast<size_t>(i * 3 + which), 'x');
        if (sessions.size() > 200)
            sessions.erase(sessions.begin(), sessions.begin() + 150);
    }
    std::this_thread::sleep_for(std::chrono::seconds(1000));
}
int main() {
    std::vector<std::thread> threads;
    for (int i = 0; i < 6; i++)
        threads.emplace_back(work, i, i < 2 ? 300 : -1); // four go on working
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    std::puts("ready");
    std::fflush(stdout);
    threads[0].join();
}
END
"$CXX" -std=c++17 -O1 -pthread -o "$work/threads" "$work/threads.cpp"
begin "$work/threads.list" env LD_PRELOAD="$LIBMEMS" "$work/threads"
look "a C++ program with threads" "$process"

if command -v node >/dev/null; then
    begin "$work/node" env LD_PRELOAD="$LIBMEMS" node -e 'globalThis.kept = [];
        for (let i = 0; i < 20000; i++) kept.push(Buffer.alloc(100 + i % 5000, i % 256), new Map([[i, "x".repeat(i % 300)]]));
        console.log("ready"); setInterval(() => {}, 1000)'
    look node "$process"
fi

if command -v ruby >/dev/null; then
    begin "$work/ruby" env LD_PRELOAD="$LIBMEMS" ruby -e 'require "json"; require "openssl"; require "zlib"
        $kept = (0...20000).map { |i| JSON.parse(JSON.generate({ n: i, s: "x" * (i % 500) })) }
        puts "ready"; STDOUT.flush; sleep 1000'
    look ruby "$process"
fi

least=100
compile blocks
program="$SOURCE_DIR/test/insight/blocks.c"
for kind in -static -static-pie; do
    "$CC" -std=c17 -D_GNU_SOURCE -O1 -g -fno-builtin -pthread $kind -o "$work/static" "$program" "$LIBMEMS_STATIC"
    begin "$work/list" "$work/static"
    look "a program linked by $kind" "$process"
    strip --strip-all "$work/static"
    begin "$work/list" "$work/static"
    look "a program linked by $kind, stripped" "$process"
done
cp "$LIBMEMS" "$work/stripped.so"
strip --strip-all "$work/stripped.so" "$work/blocks"
begin "$work/list" env LD_PRELOAD="$work/stripped.so" "$work/blocks"
look "a stripped program on a stripped library" "$process"

# From the sources of libmems.a.
if command -v musl-gcc >/dev/null; then
    (
        cd "$SOURCE_DIR/src"
        set -- base/*.c os/*.c engine/*/*.c mems_heap/*.c api/family/*.c api/libmems/*.c
        for file; do
            shift
            case $file in
            */new.c | */dlopen.c | */pthread_create.c) ;;
            *) set -- "$@" "$file" ;;
            esac
        done
        musl-gcc -std=c17 -D_GNU_SOURCE -O1 -g -fno-builtin -pthread -static -Wl,--build-id -I. -I../include \
            -ftls-model=initial-exec -fvisibility=hidden -o "$work/musl" "$program" "$@"
    ) || fail "it does not link with musl"
    begin "$work/list" "$work/musl"
    look "a static program of musl" "$process"
fi

# In a container, a process has another root, which contains its files, and another number.
root=$work/root
mkdir -p "$root/lib" "$root/proc"
compile blocks
cp "$work/blocks" "$root/blocks"
cp "$LIBMEMS" "$root/lib/libmems.so.1"
ldd "$work/blocks" "$LIBMEMS" | awk '/=> \// { print $3 } $1 ~ /^\// && $2 ~ /^\(/ { print $1 }' | sort -u |
    while read -r file; do
        mkdir -p "$root/${file%/*}"
        cp -L "$file" "$root/$file"
    done
if unshare -r -p -f -m true 2>/dev/null; then
    unshare -r -p -f -m sh -c "mount -t proc none '$root/proc' &&
        LD_PRELOAD=/lib/libmems.so.1 exec chroot '$root' /blocks" >"$work/list" 2>"$work/errors" &
    outer=$!
    processes="$processes $outer"
    for _ in $(seq 3000); do
        ! grep -q '^nothing' "$work/list" || break
        sleep 0.1
    done
    process=$(cat "/proc/$outer/task/$outer/children") && process=${process% }
    processes="$processes $process"
    grep -q '^NSpid:.*[[:space:]]1$' "/proc/$process/status" || fail "no container: $(cat "$work/errors")"
    answers "a process in a container" "$process"
    "$INSIGHT" whatis "$(address "$work/list" data)" "$process" >"$work/text" || fail "whatis in a container"
    grep -q in_data "$work/text" || fail "no name in a container: $(cat "$work/text")"
    "$INSIGHT" trim "$process" >"$work/text" 2>&1 || grep -q 'no answer' "$work/text" || fail "trim in a container"
    gdb_core "$work/core" "$process"
    answers "a process in a container, gdb's core" "$work/core"
    echo "a process in a container: looked at"
else
    echo "$test_name: no user namespaces here: containers are not looked at"
fi
