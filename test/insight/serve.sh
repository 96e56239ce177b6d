#!/bin/sh
# `mems serve` answers this user on this machine, by the names of the loopback device, and no page of another site. It
# changes nothing; its metrics are in Prometheus' format and sum to each process's Rss; its JSON is that of the verbs;
# many equal requests cost as much as one; and a container's seccomp profile allows all that.
. "${0%/*}/lib.sh"
need python3 curl
! "$INSIGHT" serve --listen nowhere >/dev/null 2>"$work/error" || fail "it listens nowhere"
! grep -q 'without libmicrohttpd' "$work/error" || { echo "serve is not built here" && exit 77; }
grep -q 'nowhere: not an address' "$work/error" || fail "$(cat "$work/error")"
compile blocks

own_user # so the server does not look at processes of other tests

# serve COMMAND... - starts a server; $server is its address, $server_process its number.
serve() {
    rm -f "$work/server"
    "$@" >"$work/server" 2>"$work/server.errors" &
    server_process=$!
    processes="$processes $server_process"
    for _ in $(seq 3000); do
        server=$(sed -n 's/^serving at \(.*\)\/$/\1/p' "$work/server" 2>/dev/null) || true
        [ -z "$server" ] || return 0
        sleep 0.1
    done
    fail "$* does not serve: $(cat "$work/server" "$work/server.errors")"
}

# expect STATUS OPTION... URL
expect() {
    wanted=$1
    shift
    got=$(curl -s --max-time 60 -o "$work/answer" -w '%{http_code}' "$@") || true
    [ "$got" = "$wanted" ] || fail "curl $*: $got, not $wanted: $(head -c 300 "$work/answer")"
}

# known SERVER PROCESS - waits until the heap of a process has been counted.
known() {
    for _ in $(seq 900); do
        ! curl -s "$1/metrics" | grep -q "^mems_live_bytes{pid=\"$2\"" || return 0
        sleep 0.2
    done
    fail "$1 does not find process $2: $(curl -s "$1/metrics" | grep "\"$2\"")"
}

# shellcheck disable=SC2086 # words
launch "$work/list" $user "$work/blocks"
halt "$process"
# shellcheck disable=SC2086 # words
serve $user "$INSIGHT" serve --listen 127.0.0.1:0
known "$server" "$process"
api=$server/api/processes/$process

# --- Who gets an answer
for host in evil.example evil.example:80 127.0.0.1.evil.example 10.0.0.1 '[::2]' '' 127.0.0.1x; do
    expect 403 -H "Host: $host" "$server/metrics"
done
for host in localhost LOCALHOST:80 127.0.0.1:1 127.1.2.3 '[::1]:6367'; do
    expect 200 -H "Host: $host" "$server/metrics"
done
for origin in http://evil.example null "http://localhost:1" "${server}1" file://; do
    expect 403 -H "Origin: $origin" "$api/map"
done
expect 200 -H "Origin: $server" "$api/map"
expect 403 -H 'Sec-Fetch-Site: cross-site' "$api/map"
expect 403 -H 'Sec-Fetch-Site: same-site' "$server/"
for method in POST PUT DELETE PATCH OPTIONS; do
    expect 405 -X $method -d 'x=1' "$api/map"
done
expect 200 -I "$server/"
for header in "Content-Security-Policy: default-src 'none'" 'X-Content-Type-Options: nosniff' \
    'Cross-Origin-Resource-Policy: same-origin'; do
    grep -q "^$header" "$work/answer" || fail "no header $header: $(cat "$work/answer")"
done
! grep -qi '^Access-Control' "$work/answer" || fail "others are let in: $(cat "$work/answer")"
for path in /nothing /../etc/passwd /%2e%2e/etc/passwd /api /api/processes/ /api/processes/1 /api/processes/1x/map \
    "/api/processes/$$/map" "/api/processes/$process/nothing" /api/processes/99999999999999999999/map; do
    expect 404 --path-as-is "$server$path"
done
expect 400 "$api/place"
expect 400 "$api/whatis?address=x"
expect 409 "$api/place?address=0x10"
grep -q '0x10: the heap has nothing there' "$work/answer" || fail "place: $(cat "$work/answer")"

# Other users of this machine, and other machines, get only metrics.
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
    as_nobody() {
        setpriv --reuid 65534 --regid 65534 --clear-groups curl -s -o /dev/null -w '%{http_code}' "$1"
    }
    [ "$(as_nobody "$server/")" = 403 ] || fail "another user may look at the pages"
    [ "$(as_nobody "$server/metrics")" = 200 ] || fail "another user must not scrape"
fi
first=$server
outside=$(hostname -I 2>/dev/null | awk '{ print $1 }')
if [ -n "$outside" ]; then
    # shellcheck disable=SC2086 # words
    serve $user "$INSIGHT" serve --listen 0.0.0.0:0 --host mems.example
    port=${server##*:}
    expect 403 "http://$outside:$port/api/processes"
    expect 200 "http://$outside:$port/metrics"
    expect 200 "http://$outside:$port/healthz"
    expect 200 -H 'Host: mems.example:80' "http://127.0.0.1:$port/"
    expect 403 -H 'Host: evil.example' "http://$outside:$port/metrics"
    kill "$server_process"
    # shellcheck disable=SC2086 # words
    serve $user "$INSIGHT" serve --listen 0.0.0.0:0 --open
    expect 200 "http://$outside:${server##*:}/api/processes"
    grep -q 'whoever reaches' "$work/server.errors" || fail "it does not warn: $(cat "$work/server.errors")"
    kill "$server_process"
fi
server=$first

# --- What it shows
before=$(awk '$1 == "Rss:" { sum += $2 } END { print sum * 1024 }' "/proc/$process/smaps")
curl -s "$server/metrics" >"$work/metrics"
python3 - "$work/metrics" "$process" "$before" <<'END' || fail "the metrics: $(cat "$work/metrics")"
import re
import sys

text = open(sys.argv[1]).read()
process, rss = sys.argv[2], int(sys.argv[3])
types, values = {}, {}
label = r'[a-z_]+="(?:[^"\\\n]|\\["\\n])*"'
for line in text.splitlines():
    head = re.fullmatch(r'# (HELP|TYPE) (mems_[a-z_]+) (.+)', line)
    if head:
        if head[1] == 'TYPE':
            assert head[2] not in types and head[3] in ('gauge', 'counter'), line
            types[head[2]] = head[3]
        continue
    sample = re.fullmatch(r'(mems_[a-z_]+)(?:\{(' + label + '(?:,' + label + r')*)\})? (-?[0-9.e+-]+)', line)
    assert sample and sample[1] in types, line
    assert (types[sample[1]] == 'counter') == sample[1].endswith('_total'), line
    labels = dict(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', sample[2] or ''))
    key = (sample[1], tuple(sorted(labels.items())))
    assert key not in values, line
    values[key] = float(sample[3])
mine = {key: value for key, value in values.items() if ('pid', process) in key[1]}
assert sum(value for (name, _), value in mine.items() if name == 'mems_resident_bytes') == rss, rss
assert all(('comm', 'blocks') in labels and any(k == 'cgroup' for k, _ in labels) for _, labels in mine)
live = next(value for (name, _), value in mine.items() if name == 'mems_live_bytes')
assert live > (65 << 20) + 500_000, live
assert next(value for (name, _), value in mine.items() if name == 'mems_process_readable') == 1
END
after=$(awk '$1 == "Rss:" { sum += $2 } END { print sum * 1024 }' "/proc/$process/smaps")
zeros=$("$INSIGHT" stats --json "$process" | python3 -c 'import json, sys; print(json.load(sys.stdin)["zero_pages"])')
expect 200 "$api/map"
cp "$work/answer" "$work/map"
"$INSIGHT" map --json "$process" >"$work/map.json"
holds "$work/map" "it['spans'] == __import__('json').load(open('$work/map.json'))['spans'] != []"
expect 200 "$api/place?address=$(address "$work/list" live)"
holds "$work/answer" "it['span']['kind'] == 'slab' and it['span']['size'] == 112 and it['span']['pages'] != ''"
holds "$work/answer" "sum(int(n or 1) for l, n in __import__('re').findall('(l)([0-9]*)', it['span']['slots'])) ==
    it['span']['live']"
expect 200 "$api/whatis?address=$(address "$work/list" remote)"
holds "$work/answer" "it['answers'][0]['state'].startswith('freed by another thread')"
expect 200 "$api/stats"
holds "$work/answer" "sum(row['resident'] for row in it['rows']) == $before == $after"
holds "$work/answer" "it['zero_pages'] == $zeros"
expect 200 "$api/history"
holds "$work/answer" "len(it['samples']['rss']) >= 1 and it['samples']['rss'][-1] > 1_000_000"
holds "$work/answer" "len(it['looks']['time']) >= 1 and it['looks']['rows']['live'][-1] > 500_000"
expect 200 "$server/api/processes"
holds "$work/answer" "[p['program'] for p in it['processes'] if p['pid'] == $process] == ['blocks']"
expect 200 "$server/map.js"
cmp -s "$work/answer" "$SOURCE_DIR/insight/pages/map.js" || fail "map.js is another"

# --- Load: a hundred requests at once are answered by few looks, or asked to wait; and the server keeps running.
server_process_first=$(echo "$processes" | awk '{ print $2 }')
seq 100 | xargs -P 50 -I '{}' curl -s --max-time 60 -o /dev/null -w '%{http_code}\n' "$api/map?{}" \
    >"$work/statuses" 2>/dev/null || true
grep -q '^200$' "$work/statuses" || fail "nobody was answered: $(sort "$work/statuses" | uniq -c)"
! grep -qv '^200$\|^503$\|^000$' "$work/statuses" || fail "odd answers: $(sort "$work/statuses" | uniq -c)"
# A stalled connection blocks nobody.
python3 -c '
import socket, sys, time
host, port = sys.argv[1][7:].split(":")
s = [socket.create_connection((host, int(port))) for _ in range(20)]
for each in s:
    each.send(b"GET /metrics HTTP/1.1\r\nHost: local")
time.sleep(5)' "$server" &
processes="$processes $!"
sleep 0.5
expect 200 "$server/healthz"

# --- Processes come and go; nothing is shown of a process that has ended.
kill -9 "$process"
for _ in $(seq 3000); do
    curl -s "$server/metrics" >"$work/metrics"
    grep -q "pid=\"$process\"" "$work/metrics" || break
    sleep 0.2
done
! grep -q "pid=\"$process\"" "$work/metrics" || fail "process $process is gone, but still reported"
kill -INT "$server_process_first"
ended=0
wait "$server_process_first" || ended=$?
[ "$ended" -eq 0 ] || fail "an interrupt ends it with $ended"

# --- A process that does not run costs nothing: the last look stays true. One that has run is looked at again.
cat >"$work/growing.c" <<'END'
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void go_on(int signal) {
    (void)signal;
}
int main(void) {
    signal(SIGUSR1, go_on);
    for (;;) {
        memset(malloc(1 << 20), 1, 1 << 20);
        pause();
    }
}
END
"$CC" -O1 -fno-builtin -o "$work/growing" "$work/growing.c"
# shellcheck disable=SC2086 # words
LD_PRELOAD=$LIBRARY $user "$work/growing" &
process=$!
processes="$processes $process"
# shellcheck disable=SC2086 # words
serve $user "$INSIGHT" serve --listen 127.0.0.1:0
known "$server" "$process"
python3 - "$server" "$process" <<'END' || fail "looks at a process that does not run"
import os, signal, sys, time, urllib.request

server, process = sys.argv[1], int(sys.argv[2])


def metrics():
    text = urllib.request.urlopen(server + "/metrics").read().decode()
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {key.split("{")[0]: float(value) for key, value in lines if "{" not in key or f'"{process}"' in key}


def until(true, what):
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.1)


before = metrics()
times = set()


def seen():
    times.add(metrics()["mems_look_timestamp_seconds"])
    return len(times) > 5


until(seen, "the numbers are old")
after = metrics()
# One look may have been due, and one is made each minute.
assert after["mems_serve_looks_total"] - before["mems_serve_looks_total"] <= 2, (before, after)
assert after["mems_live_bytes"] == before["mems_live_bytes"]
os.kill(process, signal.SIGUSR1)
until(lambda: metrics()["mems_live_bytes"] >= before["mems_live_bytes"] + (1 << 20), "it has run, and is not seen")
END
kill "$server_process"
kill -9 "$process"

# --- Many processes are all found at once, and looked at again and again; a large heap waits longer, and small ones do not
# wait for it; a worker that is killed is replaced.
cat >"$work/many.c" <<'END'
#include <stdlib.h>
#include <unistd.h>
int main(int count, char **words) {
    for (long left = atol(words[count - 1]); left > 0; left--) {
        *(volatile char *)malloc(1000) = 1;
    }
    for (;;) {
        usleep(100000);
    }
}
END
"$CC" -O1 -fno-builtin -o "$work/many" "$work/many.c"
small=
for _ in 1 2 3 4 5 6 7 8 9 10; do
    # shellcheck disable=SC2086 # words
    LD_PRELOAD=$LIBRARY $user "$work/many" 1000 &
    small="$small $!"
done
# shellcheck disable=SC2086 # words
LD_PRELOAD=$LIBRARY $user "$work/many" 300000 &
large=$!
processes="$processes $small $large"
sleep 1
# shellcheck disable=SC2086 # words
serve $user "$INSIGHT" serve --listen 127.0.0.1:0
python3 - "$server" "$server_process" "$large" "$small" <<'END' || fail "looks at many processes"
import os, signal, sys, time, urllib.request

server, worker_of = sys.argv[1], sys.argv[2]
large, small = sys.argv[3], sys.argv[4].split()


def metrics():
    text = urllib.request.urlopen(server + "/metrics").read().decode()
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def times():
    return {key.split('"')[1]: value for key, value in metrics().items()
            if key.startswith("mems_look_timestamp_seconds")}


def until(true, what, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what + ": " + str(times())
        time.sleep(0.1)


known = lambda: {*small, large} <= {*times()}
# One probe finds them all: a probe for each, at growing intervals, would take minutes.
until(known, "not all are found")
seen = {process: set() for process in [*small, large]}
for _ in range(600):
    for process, at in times().items():
        seen.get(process, set()).add(at)
    if all(len(seen[process]) > 5 for process in small):
        break
    time.sleep(0.3)
counts = {process: len(looks) for process, looks in seen.items()}
assert min(counts[process] for process in small) > counts[large] >= 1, counts

worker = int(open(f"/proc/{worker_of}/task/{worker_of}/children").read().split()[0])
os.kill(worker, signal.SIGKILL)
before = times()
until(lambda: all(times()[process] != before[process] for process in small), "nothing is looked at any more")
END
kill "$server_process"
# shellcheck disable=SC2086 # words
kill -9 $small $large

# --- A failed look is reported, and the server keeps running: an answer that is too large ends its child.
# shellcheck disable=SC2086 # words
launch "$work/list" $user "$work/blocks"
# shellcheck disable=SC2086 # words
serve $user prlimit --fsize=1000 "$INSIGHT" serve --listen 127.0.0.1:0
for _ in $(seq 900); do
    curl -s "$server/metrics" >"$work/metrics"
    ! grep -q "^mems_process_readable{pid=\"$process\"" "$work/metrics" ||
        ! grep -q '^mems_serve_failed_looks_total [1-9]' "$work/metrics" || break
    sleep 0.2
done
grep -q '^mems_serve_failed_looks_total [1-9]' "$work/metrics" || fail "no look fails: $(cat "$work/metrics")"
grep -q "^mems_process_readable{pid=\"$process\".* 0$" "$work/metrics" || fail "it was read: $(cat "$work/metrics")"
expect 409 "$server/api/processes/$process/map"
grep -q 'mems: it took too long, or failed' "$work/answer" || fail "that it failed is not told: $(cat "$work/answer")"
expect 200 "$server/healthz"
kill "$server_process"

# If no child can be made there is an answer as well.
if [ -n "$user" ]; then
    # shellcheck disable=SC2086 # words
    serve $user "$INSIGHT" serve --listen 127.0.0.1:0
    known "$server" "$process"
    $user prlimit --pid "$server_process" --nproc=1:1
    expect 409 "$server/api/processes/$process/map"
    grep -q 'no process left' "$work/answer" || fail "that there is no child is not told: $(cat "$work/answer")"
    expect 200 "$server/metrics"
    kill "$server_process"
fi

# --- Under the profile for containers
# shellcheck disable=SC2086 # words
launch "$work/list" $user "$work/blocks"
profile=$SOURCE_DIR/insight/share/fleet/mems-seccomp.json
python3 "$SOURCE_DIR/test/insight/under_profile.py" "$profile" true || {
    [ $? -eq 77 ] || fail "the profile does not even let true run"
    exit 0
}
python=/usr/bin/python3
# shellcheck disable=SC2086 # words
$user "$python" -c 0 2>/dev/null || user='' python=python3
# shellcheck disable=SC2086 # words
serve $user "$python" "$SOURCE_DIR/test/insight/under_profile.py" "$profile" "$INSIGHT" serve --listen 127.0.0.1:0
known "$server" "$process"
expect 200 "$server/api/processes/$process/map"
expect 200 "$server/api/processes/$process/whatis?address=$(address "$work/list" live)"
