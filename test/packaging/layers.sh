#!/bin/sh
# A file of src/ includes only from its own folder or from those below it: include, base, os, then engine, space and hmm,
# which know nothing of each other, then api.
set -eu
cd "$SOURCE_DIR"

below() {
    case $1 in
    base) echo include ;;
    os) echo include base ;;
    engine | space | hmm) echo include base os ;;
    api) echo include base os engine space hmm ;;
    *) return 1 ;;
    esac
}

# The file that FILE means by #include "NAME" or <NAME>, from the top of the project; nothing for a system header.
included() {
    for path in "$(dirname "$1")/$2" "src/$2" "include/$2"; do
        [ ! -e "$path" ] || {
            realpath --relative-to=. "$path"
            return
        }
    done
}

violations=$(grep -rnE '^[[:space:]]*#[[:space:]]*include' src | while IFS=: read -r file line text; do
    name=$(echo "$text" | sed 's/.*include[[:space:]]*["<]\([^">]*\).*/\1/')
    path=$(included "$file" "$name")
    layer=$(echo "$file" | cut -d/ -f2)
    from=$(echo "${path#src/}" | cut -d/ -f1)
    case $text in
    *\"*) [ -n "$path" ] || echo "$file:$line: $name: there is no such file" ;;
    esac
    allowed=$(below "$layer") || echo "$file:$line: $layer is not a layer that this test knows"
    case " $layer $allowed " in
    *" $from "*) ;;
    *) [ -z "$path" ] || echo "$file:$line: $layer must not include $path: it may use $layer $allowed" ;;
    esac
done)
[ -z "$violations" ] || {
    echo "$violations"
    exit 1
}
