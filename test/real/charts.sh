# shellcheck shell=sh
# charts.sh - a page for browsers, shared by chromium.sh and webengine.sh, which begin with: . "${0%/*}/charts.sh"
#
# The page holds the charts and drawings of docs/ twice: as images, which a browser loads, lays out and draws, and as
# elements of the page. Its script sets them up, copies them, writes them as text and parses that, and leaves what it
# found in the element `found`. It says nothing on the console.
. "${0%/*}/lib.sh"

# charts - the paths of the drawings.
charts() {
    find "$SOURCE_DIR/docs" -name '*.svg' | sort
}

# charts_page - writes $directory/charts.html.
charts_page() {
    {
        cat <<'END'
<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Charts</title>
<style>body { font: 14px sans-serif } img { max-width: 100%; border: 1px solid #888 } #drawn { display: none }</style>
<body><h1>Charts</h1><pre id="found">nothing yet</pre>
END
        for chart in $(charts); do
            echo "<p><img src=\"file://$chart\" alt=\"${chart##*/}\"></p>"
        done
        echo '<div id="drawn">'
        for chart in $(charts); do
            sed -n '/<svg/,$p' "$chart"
        done
        cat <<'END'
</div>
<script>
function copies(drawn) {
    let bytes = 0;
    let elements = 0;
    for (let round = 0; round < 8; round++) {
        const copy = drawn.cloneNode(true);
        for (const odd of copy.querySelectorAll("svg *:nth-child(odd)")) {
            odd.setAttribute("data-round", String(round).repeat(round * 40));
        }
        const text = new XMLSerializer().serializeToString(copy);
        const parsed = new DOMParser().parseFromString(text, "text/xml");
        bytes += text.length;
        elements += parsed.querySelectorAll("*").length;
    }
    return `copies: ${elements} elements, ${bytes} bytes`;
}

function drawing(image) {
    const canvas = document.createElement("canvas");
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    canvas.getContext("2d").drawImage(image, 0, 0);
    return `image ${image.alt}: ${image.naturalWidth} x ${image.naturalHeight}`;
}

addEventListener("load", () => {
    const drawn = document.getElementById("drawn");
    const lines = Array.from(document.images, drawing);
    for (const svg of drawn.querySelectorAll("svg")) {
        lines.push(`drawing: ${svg.querySelectorAll("*").length} elements`);
    }
    lines.push(copies(drawn));
    document.getElementById("found").textContent = lines.join("\n") + "\nend\n";
});
</script>
</body></html>
END
    } >"$directory/charts.html"
}

# check_found FILE - it has what the page's script found: each chart is there, and has a size.
check_found() {
    grep -q '^end$' "$1" || fail "the page's script did not come to its end: $(cat "$1")"
    for chart in $(charts); do
        grep -q "image ${chart##*/}: [1-9][0-9]* x [1-9]" "$1" || fail "${chart##*/} has no size: $(cat "$1")"
    done
    drawings=$(grep -c '^drawing: [1-9][0-9]* elements$' "$1")
    [ "$drawings" -eq "$(charts | wc -l)" ] || fail "the page holds $drawings of the charts: $(cat "$1")"
    grep -q '^copies: [0-9]\{5,\} elements' "$1" || fail "too few copies: $(cat "$1")"
}
