#!/bin/sh
# groff finds no mistake in the manual pages; they have every option and every public function; and each function has a
# page under its name.
. "$SOURCE_DIR/test/support/script.sh"
man=$BUILD_DIR/man
[ -d "$man" ] || {
    echo "skipped: there are no pages without python3"
    exit 77
}

for page in "$man"/man1/mems.1 "$man"/man3/mems.3 "$man"/man3/mems_malloc.3 "$man"/man3/hmm.3 "$man"/man7/libmems.7; do
    groff -man -ww -Tascii -P-cbou "$page" >"$work/$(basename "$page").txt" 2>"$work/warnings"
    [ ! -s "$work/warnings" ] || fail "$page: $(cat "$work/warnings")"
done

# listed LIBRARY VARIABLE - the options that a library lists when its variable says help.
listed() {
    env "$2=help" LD_PRELOAD="$1" /bin/true 2>&1 | sed -n 's/^mems:   *\([a-z_]*\)=.*/\1/p'
}
for option in $(listed "$LIBMEMS" MEMS_OPTIONS); do
    grep -q "^ *$option\b" "$work/libmems.7.txt" || fail "libmems(7) has no option $option"
done
for option in $(listed "$LIBHMM" HMM_OPTIONS); do
    grep -q "^ *$option\b" "$work/hmm.3.txt" || fail "hmm(3) has no option $option"
done
[ "$(listed "$LIBMEMS" MEMS_OPTIONS | wc -l)" -ge 10 ] || fail "the options were not found"

for library in "$LIBMEMS" "$LIBHMM"; do
    nm -D --defined-only "$library" | awk '$3 ~ /^(mems_[a-z]|Hmm[A-Z])/ && $2 == "T" { print $3 }' >"$work/functions"
    [ -s "$work/functions" ] || fail "$library exports no function of its own"
    while read -r function; do
        page=$man/man3/$function.3
        [ -e "$page" ] || fail "$function has no page"
        leads=$(sed -n 's/^\.so //p' "$page")
        grep -q "\b$function(" "$work/$(basename "${leads:-$page}").txt" || fail "$page does not lead to it"
    done <"$work/functions"
done
