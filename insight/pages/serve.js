"use strict";

/* The pages of `mems serve`: all processes, and one of them with its statistics and its map. */
const App = (() => {
    const list = document.getElementById("list");
    const page = document.getElementById("process");
    const trouble = document.getElementById("trouble");
    const tabs = [["statistics", "Statistics"], ["map", "Map"], ["sites", "Call sites"]];
    let shown = null;

    /* JSON from the server; null, and a line at the top, if it sends none. */
    async function ask(path) {
        try {
            const response = await fetch(`api/${path}`);
            if (!response.ok) {
                trouble.textContent = (await response.text()).trim();
                return null;
            }
            trouble.textContent = "";
            return await response.json();
        } catch (error) {
            trouble.textContent = `mems serve does not answer: ${error.message}`;
            return null;
        }
    }

    /* --- All processes -------------------------------------------------------------------------------------------- */

    function sparkline(samples) {
        const canvas = Text.element("canvas", {width: 160, height: 28, "aria-hidden": "true"});
        const context = canvas.getContext("2d");
        const most = Math.max(...samples.rss, 1);
        context.strokeStyle = Colours.kind(0);
        context.lineWidth = 2;
        context.beginPath();
        samples.rss.forEach((rss, i) => context.lineTo(i / Math.max(1, samples.rss.length - 1) * 158 + 1, 26 - rss / most * 22));
        context.stroke();
        return canvas;
    }

    function row(process, now) {
        const library = (process.heaps || []).map((heap) => heap.heap).join(", ");
        const state = process.denied ? "its memory must not be read" : process.trouble ? process.trouble
            : process.looked ? `${Text.age(now - process.looked)} ago` : "not yet";
        return Text.element("tr", {},
            Text.element("td", {class: "number"}, Text.element("a", {href: `#/${process.pid}/statistics`}, String(process.pid))),
            Text.element("td", {}, Text.element("a", {href: `#/${process.pid}/map`}, process.program)),
            Text.element("td", {class: "number"}, Text.size(process.rss)),
            Text.element("td", {class: "number"}, process.live === undefined ? "-" : Text.size(process.live)),
            Text.element("td", {}, sparkline(process.samples)), Text.element("td", {}, library),
            Text.element("td", {}, state), Text.element("td", {class: "soft mono"}, process.cgroup));
    }

    async function showList() {
        const data = await ask("processes");
        if (data === null || shown.pid !== null) {
            return;
        }
        const heads = [["pid", 1], ["program", 0], ["Rss", 1], ["live", 1], ["last minute", 0], ["heaps", 0],
            ["looked at", 0], ["cgroup", 0]];
        const rows = data.processes.sort((a, b) => b.rss - a.rss).map((process) => row(process, data.now));
        const focus = document.activeElement && document.activeElement.getAttribute("href");
        list.replaceChildren(rows.length === 0
            ? Text.element("p", {}, "No process of this user is on libmems or libhmm. ",
                Text.element("code", {}, "mems run -- COMMAND"), " starts one.")
            : Text.element("div", {class: "scroll"}, Text.element("table", {},
                Text.element("thead", {}, Text.element("tr", {}, ...heads.map(([name, number]) =>
                    Text.element("th", {scope: "col", class: number ? "number" : null}, name)))),
                Text.element("tbody", {}, ...rows))));
        if (focus) {
            const again = list.querySelector(`a[href="${CSS.escape(focus)}"]`) ||
                [...list.querySelectorAll("a")].find((link) => link.getAttribute("href") === focus);
            if (again) {
                again.focus();
            }
        }
    }

    /* --- One process ---------------------------------------------------------------------------------------------- */

    function frame(pid, tab) {
        const title = Text.element("h2", {}, `process ${pid}`);
        const bar = Text.element("div", {class: "bar", role: "tablist"}, ...tabs.map(([name, text]) =>
            Text.element("button", {type: "button", role: "tab", "aria-selected": String(name === tab),
                onclick: () => {
                    location.hash = `#/${pid}/${name}`;
                }}, text)));
        const body = Text.element("div", {role: "tabpanel"});
        page.replaceChildren(title, bar, body);
        return {title, body};
    }

    /* The rows that are largest now, and one for all others, because a chart has few colours. */
    function stack(rows) {
        const newest = (values) => values[values.length - 1] || 0;
        const sorted = Object.entries(rows).sort((a, b) => newest(b[1]) - newest(a[1]));
        const series = sorted.slice(0, 7).map(([name, values]) => ({name, values}));
        const others = sorted.slice(7);
        if (others.length !== 0) {
            series.push({name: "others", values: others[0][1].map((_, i) =>
                others.reduce((sum, [, values]) => sum + values[i], 0))});
        }
        return series;
    }

    /* How much a counter grew per second between two looks. */
    function rates(times, counters) {
        return Object.entries(counters).map(([name, values]) => ({name: name.replaceAll("_", " "),
            values: values.slice(1).map((value, i) => Math.max(0, value - values[i]) / Math.max(0.001, times[i + 1] - times[i]))}));
    }

    function statsTables(stats) {
        const number = (text) => Text.element("td", {class: "number"}, text);
        const rows = stats.rows.filter((each) => each.resident !== 0 || each.swapped !== 0).map((each) =>
            Text.element("tr", {}, number(Text.size(each.resident)), number(Text.percent(each.resident, stats.rss)),
                Text.element("td", {}, each.name), Text.element("td", {class: "soft"}, `${each.what}: ${each.goes}`)));
        rows.push(Text.element("tr", {}, number(Text.size(stats.rss)), number(""), Text.element("th", {scope: "row"}, "Rss"),
            Text.element("td", {class: "soft"}, "their sum, as the kernel counts it")));
        const parts = [Text.element("h2", {}, "What holds the memory"), table(["resident*", "share*", "row", "why it is there, and when it goes"], rows)];
        if (stats.classes) {
            const classes = stats.classes.map((each) => Text.element("tr", {}, ...[each.size, each.slabs, each.live,
                each.cached, each.remote, each.free].map((value) => number(Text.count(value))),
            number(Text.size(each.live * each.size)), number(Text.size(each.resident)),
            number(each.resident > each.live * each.size ? Text.percent(each.resident - each.live * each.size, each.resident) : "-"),
            number(Text.count(each.refills)), number(Text.count(each.flushes))));
            parts.push(Text.element("h2", {}, "Size classes"), table(["size*", "slabs*", "live*", "cached*", "remote*", "free*",
                "live bytes*", "resident*", "lost*", "refills*", "flushes*"], classes));
        }
        return parts;
    }

    /* A star after a name means that the column has numbers. */
    function table(heads, rows) {
        return Text.element("div", {class: "scroll"}, Text.element("table", {}, Text.element("thead", {},
            Text.element("tr", {}, ...heads.map((head) => Text.element("th", {scope: "col",
                class: head.endsWith("*") ? "number" : null}, head.replace("*", ""))))), Text.element("tbody", {}, ...rows)));
    }

    function statistics(pid, {title, body}) {
        const charts = {
            rss: new Chart("Rss, each second"),
            rows: new Chart("what holds it", {stacked: true}),
            rates: new Chart("events a second", {format: (value) => Text.count(Math.round(value))}),
        };
        const tables = Text.element("div");
        body.replaceChildren(Text.element("div", {class: "charts"}, ...Object.values(charts).map((chart) => chart.element)), tables);
        return async () => {
            const data = await ask(`processes/${pid}/history`);
            if (data === null || shown.pid !== pid) {
                return;
            }
            name(title, data.process);
            charts.rss.show(data.samples.time, [{name: "Rss", values: data.samples.rss}]);
            charts.rows.show(data.looks.time, stack(data.looks.rows));
            charts.rates.show(data.looks.time.slice(1), rates(data.looks.time, data.looks.counters));
            if (data.stats) {
                tables.replaceChildren(...statsTables(data.stats));
            }
        };
    }

    function name(title, process) {
        title.textContent = `${process.program} (${process.pid})`;
        document.title = `mems: ${title.textContent}`;
    }

    async function place(pid, span) {
        if (span.kind !== "slab" && span.kind !== "large block" && span.kind !== "samples") {
            return null;
        }
        const data = await ask(`processes/${pid}/place?address=${Text.address(span.start)}`);
        return data === null ? null : {...data.span, names: data.names};
    }

    async function elsewhere(pid, address) {
        const data = await ask(`processes/${pid}/whatis?address=${Text.address(address)}`);
        const told = data && data.answers[0];
        return told ? `${told.kind}${told.mapping ? ` ${told.mapping}` : ""}${told.symbol ? `: ${told.symbol}` : ""}` : null;
    }

    function map(pid, {title, body}) {
        const live = Text.element("input", {type: "checkbox", checked: true});
        const root = Text.element("div");
        let view = null;
        body.replaceChildren(Text.element("div", {class: "bar"}, Text.element("label", {}, live, " live: look again every few seconds")),
            root);
        return async () => {
            if (view !== null && !live.checked) {
                return;
            }
            const data = await ask(`processes/${pid}/map`);
            if (data === null || shown.pid !== pid || shown.tab !== "map") {
                return;
            }
            name(title, data.target);
            const heap = new Heap(data);
            if (view === null) {
                view = new HeapMap(root, heap, (span) => place(pid, span), (address) => elsewhere(pid, address));
            } else {
                await view.update(heap);
            }
        };
    }

    /* The flame graph of live memory, drawn once, and again on request, so that it does not change while it is read. */
    function sites(pid, {title, body}) {
        const root = Text.element("div");
        const about = Text.element("span", {class: "soft"});
        let wanted = true;
        const again = Text.element("button", {type: "button", onclick: () => {
            wanted = true;
            shown.refresh();
        }}, "look again");
        body.replaceChildren(Text.element("div", {class: "bar"}, again, about), root);
        return async () => {
            const data = wanted ? await ask(`processes/${pid}/sites`) : null;
            if (data === null || shown.pid !== pid || shown.tab !== "sites") {
                return;
            }
            wanted = false;
            title.textContent = data.title;
            about.textContent = data.about;
            new FlameGraph(root, data.measures, data.stacks);
        };
    }

    /* --- Where the user is ---------------------------------------------------------------------------------------- */

    const views = {statistics: [statistics, 2000], map: [map, 4000], sites: [sites, 5000]};

    function route() {
        const [, pid, tab] = location.hash.match(/^#\/(\d+)\/(\w+)$/) || [null, null, null];
        const found = pid !== null && views[tab] !== undefined;
        shown = found ? {pid: Number(pid), tab} : {pid: null, tab: null};
        list.classList.toggle("hidden", found);
        page.classList.toggle("hidden", !found);
        trouble.textContent = "";
        document.title = "mems";
        [shown.refresh, shown.every] = found ? [views[tab][0](shown.pid, frame(shown.pid, tab)), views[tab][1]] : [showList, 2000];
        repeat(shown);
    }

    /* Repeats while the user is at this place and the page is visible. */
    async function repeat(place) {
        if (place !== shown) {
            return;
        }
        if (!document.hidden) {
            await place.refresh();
        }
        setTimeout(repeat, place.every, place);
    }

    addEventListener("hashchange", route);
    route();
    return {};
})();
