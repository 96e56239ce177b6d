"""page.py RESULTS FOLDER - compares RESULTS/index.html in a browser with RESULTS/results.txt. A screenshot goes to
FOLDER.
"""
import pathlib
import re
import sys

from browser import Browser

results, folder = map(pathlib.Path, sys.argv[1:])
CELLS = '''[...document.querySelectorAll("tbody tr")].map(
    (row) => [...row.children].map((cell) => cell.textContent.trim()))'''
STATUS = 'document.querySelector("[role=status]").innerText'
SORTED = '[...document.querySelectorAll("thead th")].map((heading) => heading.ariaSort)'


def check(condition, what, seen):
    """Ends the test unless the condition holds."""
    if not condition:
        sys.exit(f"{what}: {seen}")


def text_ratios():
    """workload -> its ratios of time, with their marks, in results.txt."""
    text = (results / "results.txt").read_text(encoding="utf-8")
    table = text.partition("\ntime, relative to")[2].partition("\n\n")[0]
    found = {}
    for line in table.splitlines()[2:]:
        workload, *figures = line.split()
        found[workload] = [figure for figure in figures if re.fullmatch(r"[\d.]+[*=]?", figure)][-3:]
    return found


def column(browser, peer):
    """The ratios of a peer as the page orders them."""
    return [float(re.match(r"[\d.]+", row[peer])[0]) for row in browser.value(CELLS)]


def keys(browser):
    """Sorting, filtering and choosing, by keys."""
    rows = browser.value(CELLS)
    browser.value('document.querySelector("thead button[data-peer=\'1\']").focus()')
    browser.key("Enter")
    check(browser.value(SORTED)[2] == "descending", "no order after Enter on a heading", browser.value(SORTED))
    check(column(browser, 2) == sorted(column(browser, 2), reverse=True), "not sorted down", column(browser, 2))
    browser.key("Enter")
    check(column(browser, 2) == sorted(column(browser, 2)), "not sorted up", column(browser, 2))
    browser.screenshot(folder / "bench.png")
    browser.key("/")
    browser.type("mixed, tail@1")
    shown = [row[0] for row in browser.value(CELLS)]
    expected = [row[0] for row in rows if "mixed" in row[0] or "tail@1" in row[0]]
    check(sorted(shown) == sorted(expected), "the filter", shown)
    check(f"{len(expected)} of {len(rows)} workloads" in browser.value(STATUS), "the status", browser.value(STATUS))
    browser.value('document.querySelector("fieldset input").focus()')
    browser.key(" ")
    check(len(browser.value(CELLS)[0]) == 3, "an allocator that was left out", browser.value(CELLS)[0])


def main():
    """All of it."""
    browser = Browser(folder)
    address = (results / "index.html").as_uri()
    browser.open(address)
    text = text_ratios()
    page = {row[0]: row[1:] for row in browser.value(CELLS)}
    check(page == text and len(text) > 2, "the page and the text differ", f"{page}\n{text}")
    keys(browser)
    check(not browser.console, "the console", browser.console)
    check(browser.requests == [address], "requests", browser.requests)
    browser.close()


main()
