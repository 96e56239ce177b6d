# lib.sh - shared by the tests of the benchmarks: a scratch folder, a tiny measurement, and a way to fail. Exits with 77
# if there is no python3.
command -v python3 >/dev/null || {
    echo "skipped: there is no python3"
    exit 77
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "$*"
    exit 1
}

# run [ARGUMENT...]: bench/run with as little work as possible.
run() {
    "$SOURCE_DIR/bench/run" --percent 1 --state "$scratch/state" "$@"
}

# contains FILE TEXT
contains() {
    grep -q -- "$2" "$1" || fail "no \"$2\" in: $(cat "$1")"
}
