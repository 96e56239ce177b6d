#!/bin/sh
# docs/origins.md lists each part of the systems that this one grew from; its counterparts exist in the files named
# beside them; and the library also has the name that users of my_malloc know.
set -eu
page=$SOURCE_DIR/docs/origins.md
cd "$SOURCE_DIR"

for part in mems_init mems_finish mems_malloc mems_free mems_get mems_print_stats initializing_main_node search_free_list \
    HOLE_alloc InsertDict searchDict print_sub_node merge_holes HmmAlloc HmmFree find_free_block print_freelist \
    split_block merge_blocks alloc_extra cleanup_freelist insert_free_block remove_from_freelist mem_handler \
    interval_tree pages_addresses bitnode bitmap slot get_ptr req_memory set_page release_mem 'magic number' \
    '256 slots'; do
    grep -Eq "^\| [^|]*\b$part\b[^|]*\|" "$page" || {
        echo "$page: nothing is said of $part"
        exit 1
    }
done

# name file file..., for each name under "here"
awk -F'|' '/^\| / && $2 !~ /there/ {
    files = ""
    n = split($4, parts, "`")
    for (i = 2; i < n; i += 2) files = files " " parts[i]
    n = split($3, parts, "`")
    for (i = 2; i < n; i += 2) print parts[i] files
}' "$page" | {
    count=0
    while read -r name files; do
        # shellcheck disable=SC2086 # a list of files
        grep -qE "\b$name\)?\(|(struct|enum) $name \{|define $name\b|typedef .*\b$name;|extern .*\b$name\b" $files || {
            echo "$page: there is no $name in $files"
            exit 1
        }
        count=$((count + 1))
    done
    [ $count -ge 60 ] || {
        echo "$page: only $count names were found"
        exit 1
    }
}

cd "$(dirname "$LIBMEMS")"
statistics=$(MEMS_OPTIONS=stats=text LD_PRELOAD=./libmymalloc.so ls / 2>&1 >/dev/null)
echo "$statistics" | grep -q '^MeMS ' || {
    echo "ls does not run on libmymalloc.so"
    exit 1
}
