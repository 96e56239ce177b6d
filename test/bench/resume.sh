#!/bin/sh
# A killed measurement continues where it was, with every row once, unless something has changed.
set -eu
. "${0%/*}/lib.sh"
cp "$LIBMEMS" "$scratch/liba.so"
rounds=4

measure() {
    run --rounds $rounds --workloads pairs/fixed --peers "glibc,a=$scratch/liba.so" "$@"
}
# Waits up to this many seconds for the state to have this many lines.
wait_for_lines() {
    tries=0
    until [ -e "$scratch/state" ] && [ "$(wc -l <"$scratch/state")" -ge "$1" ]; do
        tries=$((tries + 1))
        [ $tries -lt 2000 ] || fail "no rows after 100 s"
        sleep 0.05
    done
}

expected=$(($("$SOURCE_DIR/bench/run" --list --peers glibc --workloads pairs/fixed | wc -l) * rounds * 2))

# The shell that starts the measurement becomes it, so that its process id is known.
sh -c 'exec "$SOURCE_DIR/bench/run" --percent 1 --state "$0/state" --rounds "$1" \
    --workloads pairs/fixed --peers "glibc,a=$0/liba.so"' "$scratch" $rounds >"$scratch/killed" 2>&1 &
process=$!
wait_for_lines 4
kill -STOP $process
! measure --resume 2>"$scratch/said" || fail "two runs write one state"
contains "$scratch/said" "another run writes"
kill -KILL $process
wait $process || true
before=$(wc -l <"$scratch/state")
[ "$before" -le "$expected" ] || fail "it was over before it was killed"
printf '{"workload": "half' >>"$scratch/state" # a row that was being written
cp "$scratch/state" "$scratch/copy"

! measure --resume --percent 2 2>"$scratch/said" || fail "resumed with another amount of work"
contains "$scratch/said" "settings, percent: 1 is now 2"
cmp "$scratch/state" "$scratch/copy" || fail "a refused run has changed the state"
printf x >>"$scratch/liba.so"
! measure --resume 2>"$scratch/said" || fail "resumed with another library"
contains "$scratch/said" "peers, a, sha256"
cp "$LIBMEMS" "$scratch/liba.so"

measure --resume --output "$scratch/results" >"$scratch/text"
contains "$scratch/text" "stopped and resumed"
[ ! -e "$scratch/state" ] || fail "the state is left behind"
python3 - "$scratch/results/results.json" "$expected" "$scratch/copy" <<'END'
import collections, json, sys
results = json.load(open(sys.argv[1]))
rows = collections.Counter((run["workload"], run["peer"], run["round"]) for run in results["runs"])
assert len(rows) == int(sys.argv[2]) and set(rows.values()) == {1}, rows
assert not any("error" in run for run in results["runs"]), results["runs"]
old = [json.loads(line) for line in open(sys.argv[3]) if line.endswith("\n")][1:]
assert old[:2] == results["runs"][:2], "what the stopped run has measured is not there"
assert all(run["cpu"] > 0 and (run.get("cores") == 1) == run["workload"].endswith("@1") for run in results["runs"])
assert len(results["derived"]) * 4 == len(rows) and all(len(row["cpu"]) == 3 for row in results["derived"])
END
! measure --resume 2>"$scratch/said" || fail "there was nothing to resume"
contains "$scratch/said" "nothing to resume"
! grep -q "$scratch" "$scratch/results/results.json" || fail "the results name a folder of this machine"
