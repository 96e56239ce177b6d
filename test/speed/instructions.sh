#!/bin/sh
# A pair of malloc and free costs no more instructions than the limits: a count, which does not depend on the machine.
set -u
command -v valgrind >/dev/null || {
    echo "skipped: there is no valgrind"
    exit 77
}
exec "$SOURCE_DIR"/bench/instructions --library "$LIBMEMS" --max-deferred 50.5 --max-every 62.5
