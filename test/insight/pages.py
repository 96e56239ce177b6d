"""pages.py FOLDER MAP-PAGE SERVER PROCESS ADDRESS - uses the pages in a browser.

MAP-PAGE is the file of `mems map --html`, SERVER the address of `mems serve`, ADDRESS a live block of PROCESS. Screenshots
are kept in FOLDER.
"""
import sys

from browser import Browser

folder, map_page, server, process, address = sys.argv[1:]
CARD = 'document.getElementById("map-card").innerText'
PLACE = 'document.querySelector("nav.path").innerText'
FOUND = 'document.querySelector("[role=status].soft").innerText'

# The fraction of the canvas in a colour other than the page's and grey: whether something is drawn.
DRAWN = '''(() => {
    const canvas = document.querySelector("canvas.canvas");
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {willReadFrequently: true});
    copy.drawImage(canvas, 0, 0);
    const {data} = copy.getImageData(0, 0, canvas.width, canvas.height);
    let coloured = 0;
    for (let i = 0; i < data.length; i += 4) {
        const most = Math.max(data[i], data[i + 1], data[i + 2]);
        coloured += data[i + 3] !== 0 && most - Math.min(data[i], data[i + 1], data[i + 2]) > 60;
    }
    return coloured / (data.length / 4);
})()'''

# The lowest contrast of a text with its background, and that text.
CONTRAST = '''(() => {
    const light = (colour) => {
        const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map((part) => {
            const share = part / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        for (; element; element = element.parentElement) {
            const colour = getComputedStyle(element).backgroundColor;
            if (!/, 0\\)$/.test(colour)) {
                return colour;
            }
        }
        return "rgb(255, 255, 255)";
    };
    let least = [21, ""];
    for (const element of document.querySelectorAll("body *:not(script):not(option):not(svg *)")) {
        const text = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join("");
        if (text !== "" && element.checkVisibility()) {
            const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
            const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            least = contrast < least[0] ? [contrast, text] : least;
        }
    }
    return least;
})()'''


def check(condition, what, page):
    if not condition:
        page.screenshot(f'{folder}/failed.png')
        sys.exit(f'{what}: {page.value("document.body.innerText")[:1500]}')


def check_contrast(page, name):
    least, text = page.value(CONTRAST)
    check(least >= 4.5, f'{name}: the contrast of "{text}" is {least:.1f}', page)


def check_silence(page, allowed):
    check(page.console == [], f'said on the console: {page.console}', page)
    others = [request for request in page.requests if not request.startswith(allowed)]
    check(others == [], f'asked for: {others}', page)


def drive_map(page, name):
    """From the window to a slab to a block, with keys only."""
    page.value('document.activeElement.blur()')
    for _ in range(12):
        page.key('Tab')
        if page.value('document.activeElement.tagName') == 'CANVAS':
            break
    check(page.value('document.activeElement.tagName') == 'CANVAS', 'the map is not reached by Tab', page)
    check(page.value(DRAWN) > 0.01, 'the map is empty', page)
    page.screenshot(f'{folder}/{name}-window.png')
    before = page.value(CARD)
    page.key('ArrowRight', 3)
    check(page.value(CARD) != before, 'an arrow does not move', page)
    seen = set()
    for mode in ('age', 'residency', 'call site', "thread's heap", 'size class'):
        page.key('c')
        seen.add(page.value('document.querySelector(".legend").innerText'))
        page.screenshot(f'{folder}/{name}-{mode.replace(" ", "-")}.png')
    check(len(seen) == 5, 'the colours have not five legends', page)

    page.key('/')
    page.type(address)
    page.key('Enter')
    page.wait(f'{PLACE}.includes("slab")')
    told = page.value(CARD)
    check(f'{address}: in a slot of 112 bytes that is live, {address}' in told and 'of the slab 0x' in told, told, page)
    check(page.value('document.activeElement.tagName') == 'CANVAS', 'the map has no focus after a search', page)
    check(page.value(DRAWN) > 0.01, 'the slab is empty', page)
    page.key('ArrowRight')
    check(page.value(CARD) != told and 'in a slot of 112 bytes' in page.value(CARD), 'no next slot', page)
    page.screenshot(f'{folder}/{name}-slab.png')
    check_contrast(page, name)

    box = page.value('(({x, y}) => [x, y])(document.querySelector("canvas.canvas").getBoundingClientRect())')
    page.move(box[0] + 200, box[1] + 60)
    tip = page.value('document.querySelector(".tip").innerText')
    check('in a slot of 112 bytes' in tip and 'the slot after it' in tip, f'hovering tells {tip}', page)
    page.key('Escape')
    check('slab' not in page.value(PLACE), 'Escape does not go back', page)
    page.key('+', 2)
    page.key('-', 4)
    page.key('/')
    page.value('document.activeElement.select()')
    page.type('112')
    page.key('Enter')
    page.wait(f'{FOUND}.startsWith("1 of ")')
    page.key('Enter')
    page.wait(f'{PLACE}.includes("slab")')
    check('112 bytes' in page.value(CARD), page.value(CARD), page)
    page.key('Escape')
    page.key('/')
    page.value('document.activeElement.select()')
    page.type('large block')
    page.key('Enter')
    page.wait(f'{FOUND}.startsWith("1 of ")')
    page.key('Enter')
    page.wait(f'{PLACE}.includes("large block")')
    check('resident' in page.value(CARD), page.value(CARD), page)
    page.key('Escape')


def drive_server(page):
    page.open(f'{server}/')
    page.wait(f'[...document.querySelectorAll("td a")].some((link) => link.innerText === "{process}")', 180)
    check_contrast(page, 'the list')
    page.screenshot(f'{folder}/list.png')
    page.value(f'[...document.querySelectorAll("td a")].find((link) => link.innerText === "{process}").focus()')
    page.key('Enter')
    page.wait('document.querySelectorAll(".chart polyline").length >= 1')
    page.wait('document.querySelectorAll(".chart polygon").length >= 3', 180)
    page.wait('document.querySelectorAll("#process table").length === 2')
    check('their sum, as the kernel counts it' in page.value('document.body.innerText'), 'no rows', page)
    page.value('document.querySelector(".chart svg").focus()')
    page.key('ArrowLeft', 2)
    check(' ago' in page.value('document.querySelector("figcaption").innerText'), 'no moment is chosen', page)
    check_contrast(page, 'the statistics')
    page.screenshot(f'{folder}/statistics.png')
    page.value('[...document.querySelectorAll("[role=tab]")].find((tab) => tab.innerText === "Map").click()')
    page.wait('document.querySelector("canvas.canvas") !== null')
    drive_map(page, 'served')
    # For an address outside the heap, the server says what is there.
    page.key('/')
    page.value('document.activeElement.select()')
    page.type('0x10')
    page.key('Enter')
    page.wait(f'{FOUND}.includes("nothing")')


for dark in (False, True):
    browser = Browser(folder, dark=dark)
    browser.open(f'file://{map_page}')
    drive_map(browser, 'dark' if dark else 'light')
    check_silence(browser, 'file:///')
    browser.close()
for width in (1400, 700):
    browser = Browser(folder, width=width)
    drive_server(browser)
    check_silence(browser, server)
    check(browser.value('document.documentElement.scrollWidth <= innerWidth'), 'it is wider than the window', browser)
    browser.close()
