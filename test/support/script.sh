# shellcheck shell=sh
# script.sh - shared by test scripts, which begin with: . "$SOURCE_DIR/test/support/script.sh"
set -eu
work=$(mktemp -d) # a scratch folder
trap 'rm -rf "$work"' EXIT

fail() {
    echo "$*" >&2
    exit 1
}

# need PROGRAM... - skips the test if one is missing.
need() {
    for needed; do
        command -v "$needed" >/dev/null || {
            echo "skipped: there is no $needed"
            exit 77
        }
    done
}
