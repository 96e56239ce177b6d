# lib.sh - what the tests of the instrument share: a scratch folder, a tiny measurement, and how to fail. Exits with 77
# where there is no python3.
command -v python3 >/dev/null || exit 77
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "$*"
    exit 1
}

# run [ARGUMENT...]: bench/run with as little work as there can be.
run() {
    "$SOURCE_DIR/bench/run" --percent 1 --state "$scratch/state" "$@"
}

# contains FILE TEXT
contains() {
    grep -q -- "$2" "$1" || fail "no \"$2\" in: $(cat "$1")"
}
