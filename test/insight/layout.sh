#!/bin/sh
# The library's description of its structures agrees with the debugging information.
. "${0%/*}/lib.sh"
need gdb
: "${LIBMEMS:?}" "${LIBHMM:?}"
cat >"$work/compare.py" <<'END'
import gdb, os
checked = 0
TABLES = os.environ["TABLES"].split()
for table in TABLES:
    rows = gdb.parse_and_eval(table)
    structure = ""
    fields = rows.type.fields()
    if rows[fields[-1]]["text"].string() != "":
        print("%s: the last row has a name" % table)
    for field in fields[:-1]:
        row = rows[field]
        name, offset, size = row["text"].string(), int(row["offset"]), int(row["size"])
        if name == "":
            print("%s: a row without a name, which ends them, is not the last" % table)
        if name.startswith("."):
            name = structure + name
        if name.upper() == name:
            continue # a constant
        structure, _, member = name.partition(".")
        kind = gdb.lookup_type("struct " + structure)
        if member:
            place = gdb.parse_and_eval("&((struct %s *)0)->%s" % (structure, member))
            told = (int(place), place.dereference().type.sizeof)
        else:
            told = (0, kind.sizeof)
        if told != (offset, size):
            print("%s: the row says %s, the debugging information %s" % (name, (offset, size), told))
        checked += 1
print("checked", checked)
END
# compare LIBRARY TABLES COUNT - COUNT is a pattern for the minimum number of rows.
compare() {
    TABLES=$2 gdb -batch -nx -x "$work/compare.py" "$1" >"$work/output" 2>&1 || fail "$(cat "$work/output")"
    ! grep -E 'the row says|the last row|which ends' "$work/output" || fail "rows and debugging information differ"
    grep -qE "^checked $3" "$work/output" || fail "not all rows were compared: $(cat "$work/output")"
}
compare "$LIBMEMS" 'engine_layout space_layout' '[2-9][0-9][0-9]'
compare "$LIBHMM" hmm_layout '[34][0-9]'
