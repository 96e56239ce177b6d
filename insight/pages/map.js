"use strict";

/*
 * The heaps as a picture that zooms from an area of addresses to a slab and its slots, or to the pages of a large block.
 * `detail` gives a span with its pages and slots; `elsewhere`, if given, describes an address outside.
 */
class HeapMap {
    static modes = [
        ["class", "size class"], ["age", "age"], ["residency", "residency"], ["site", "call site"], ["heap", "thread's heap"],
    ];
    static gutter = 118;
    static height = 560;

    constructor(root, heap, detail, elsewhere = null) {
        this.heap = heap;
        this.detail = detail;
        this.elsewhere = elsewhere;
        this.mode = "class";
        this.matches = null;
        this.views = [];
        this.#build(root);
        this.home();
        new ResizeObserver(() => this.draw()).observe(this.canvas.parentElement);
        matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    }

    /* --- The elements around the picture -------------------------------------------------------------------------- */

    #build(root) {
        const option = ([value, text]) => Text.element("option", {value}, text);
        this.path = Text.element("nav", {class: "path", "aria-label": "where the map is"});
        this.area = Text.element("select", {"aria-label": "area", onchange: () => this.home(Number(this.area.value))});
        this.colour = Text.element("select", {"aria-label": "colour", onchange: () => this.setMode(this.colour.value)},
            ...HeapMap.modes.map(option));
        this.query = Text.element("input", {type: "search", class: "grow", "aria-label": "search",
            placeholder: "search: 0x address, class size, state, symbol or call site",
            onkeydown: (event) => event.key === "Enter" && this.search(this.query.value)});
        this.found = Text.element("span", {class: "soft", role: "status"});
        this.canvas = Text.element("canvas", {class: "canvas", tabindex: 0, role: "application",
            "aria-label": "map of the heap: arrows move, Enter opens, Escape goes back", "aria-describedby": "map-card"});
        this.card = Text.element("div", {class: "card", id: "map-card", "aria-live": "polite"});
        this.legend = Text.element("ul", {class: "legend"});
        this.tip = Text.element("div", {class: "tip hidden", "aria-hidden": "true"});
        const zoom = (text, label, factor) => Text.element("button", {type: "button", "aria-label": label,
            onclick: () => this.zoom(factor)}, text);
        root.replaceChildren(
            Text.element("div", {class: "bar"}, this.path, this.area, Text.element("label", {}, "colour: ", this.colour),
                zoom("−", "zoom out", 2), zoom("+", "zoom in", 0.5), this.query, this.found),
            Text.element("div", {class: "stage"}, Text.element("div", {}, this.canvas),
                Text.element("div", {}, this.card, Text.element("div", {class: "card"}, this.legend), this.#keys())),
            this.tip);
        this.#listen();
    }

    #keys() {
        const keys = [["arrows", "move"], ["Enter", "open"], ["Esc", "back"], ["+ −", "zoom"], ["c", "colour"],
            ["/", "search"], ["n", "next match"]];
        return Text.element("div", {class: "card"}, Text.element("ul", {class: "keys"},
            ...keys.map(([key, what]) => Text.element("li", {}, Text.element("kbd", {}, key), ` ${what}`))));
    }

    #listen() {
        const place = (event) => {
            const box = this.canvas.getBoundingClientRect();
            return this.#hit(event.clientX - box.left, event.clientY - box.top);
        };
        this.canvas.addEventListener("mousemove", (event) => this.#hover(place(event), event));
        this.canvas.addEventListener("mouseleave", () => this.tip.classList.add("hidden"));
        this.canvas.addEventListener("click", (event) => {
            const hit = place(event);
            if (hit !== null) {
                const same = this.view.cursor === hit;
                this.#moveTo(hit);
                if (!same || event.detail > 1) {
                    this.enter();
                }
            }
        });
        this.canvas.addEventListener("wheel", (event) => {
            event.preventDefault();
            const hit = place(event);
            this.zoom(event.deltaY > 0 ? 2 : 0.5, hit === null ? undefined : hit);
        }, {passive: false});
        this.canvas.addEventListener("keydown", (event) => this.#key(event));
    }

    #key(event) {
        const across = this.view.columns || 1;
        const moves = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across};
        const actions = {
            Enter: () => this.enter(), Escape: () => this.leave(), Backspace: () => this.leave(),
            "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), c: () => this.nextMode(),
            "/": () => this.query.focus(), n: () => this.nextMatch(),
            Home: () => this.#moveTo(0), End: () => this.#moveTo(this.#count() - 1),
        };
        if (event.ctrlKey || event.metaKey || event.altKey) {
            return;
        }
        if (event.key in moves) {
            this.#moveTo(this.view.slab ? this.#slotBeside(event.key) : this.view.cursor + moves[event.key]);
        } else if (event.key in actions) {
            actions[event.key]();
        } else {
            return;
        }
        event.preventDefault();
    }

    /* --- Where the map is ----------------------------------------------------------------------------------------- */

    get view() {
        return this.views[this.views.length - 1];
    }

    home(index = 0) {
        const area = this.heap.areas[index];
        this.area.replaceChildren(...this.heap.areas.map((each, i) => Text.element("option", {value: i}, each.name)));
        this.area.value = String(index);
        this.area.classList.toggle("hidden", this.heap.areas.length < 2);
        this.views = area ? [{title: area.name, area, from: area.start, to: area.end, cursor: 0}] : [];
        if (area) {
            this.draw();
        } else {
            this.card.replaceChildren(Text.element("p", {}, "there is nothing in this heap"));
        }
    }

    /* Returns to the same place in a newer heap. */
    async update(heap) {
        const old = this.views;
        const index = Math.max(0, heap.areas.findIndex((area) => old[0] && area.name === old[0].title));
        const slab = this.view && this.view.slab;
        this.heap = heap;
        const area = heap.areas[index];
        if (!area || !old[0]) {
            this.home(index);
            return;
        }
        const whole = old[0].from === old[0].area.start && old[0].to === old[0].area.end;
        this.views = [{...old[0], area, from: whole ? area.start : old[0].from, to: whole ? area.end : old[0].to}];
        if (slab) {
            const found = heap.itemAt(slab.start);
            if (found && found.item.kind === "slab" && found.item.size === slab.size) {
                await this.#open(found.item, this.views[0], old[old.length - 1].cursor);
            }
        }
        this.draw();
    }

    async enter() {
        const view = this.view;
        if (view.slab) {
            this.#tell();
            return;
        }
        const cell = view.cells[view.cursor];
        const item = cell && cell.item;
        if (!item) {
            return;
        }
        if (view.cell > view.area.least && cell.end - cell.start > item.bytes) {
            this.zoom(1 / 16);
        } else if (item.kind === "slab" || item.kind === "samples" || item.kind === "large block" || item.kind === "huge block") {
            await this.#open(item, view, 0);
            this.draw();
        } else {
            this.#tell();
        }
    }

    async #open(item, above, cursor) {
        const whole = await this.detail(item);
        if (this.view !== above || !whole || (!whole.slots && !whole.pages)) {
            return;
        }
        const title = `${whole.kind} ${Text.address(whole.start)}`;
        if (whole.kind === "slab") {
            whole.letters = Heap.letters(whole.slots);
            this.views.push({title, slab: whole, cursor});
            return;
        }
        let start = whole.start;
        const items = Heap.runs(whole.pages).map(([letter, count]) => {
            const bytes = count * this.heap.page;
            start += bytes;
            return {kind: "pages", letter, owner: whole, start: start - bytes, bytes, resident: letter === "r" ? bytes : 0};
        });
        const area = {name: title, items, least: this.heap.page, start: whole.start, end: start};
        this.views.push({title, area, from: area.start, to: area.end, cursor});
    }

    leave() {
        if (this.views.length > 1) {
            this.views.pop();
        } else if (this.view) {
            this.view.from = this.view.area.start;
            this.view.to = this.view.area.end;
            this.view.cursor = 0;
        }
        this.draw();
    }

    /* Shows `factor` times as much, around the cursor. */
    zoom(factor, cursor = this.view.cursor) {
        const view = this.view;
        if (view.slab) {
            if (factor > 1) {
                this.leave();
            }
            return;
        }
        const cell = view.cells[Math.min(cursor, view.cells.length - 1)];
        const middle = cell.start;
        const most = view.area.end - view.area.start;
        const size = Math.max(view.area.least * 16, Math.min(most, (view.to - view.from) * factor));
        if (factor < 1 && view.to - view.from <= view.area.least * 16) {
            this.#moveTo(cursor);
            this.enter();
            return;
        }
        const share = (middle - view.from) / (view.to - view.from);
        const start = middle - share * size - view.area.start;
        const aligned = Math.round(start / view.area.least) * view.area.least;
        view.from = view.area.start + Math.max(0, Math.min(aligned, most - size));
        view.to = Math.min(view.area.end, view.from + size);
        this.#makeCells();
        view.cursor = Math.max(0, view.cells.findIndex((each) => each.end > middle));
        this.draw();
    }

    /* Shows an address: its slab at its slot, or its cell. */
    async goTo(address) {
        const found = this.heap.itemAt(address);
        if (!found) {
            return false;
        }
        this.home(this.heap.areas.indexOf(found.area));
        this.#makeCells();
        this.view.cursor = Math.max(0, this.view.cells.findIndex((cell) => cell.end > address));
        if (found.item.kind === "slab") {
            await this.#open(found.item, this.view, Math.floor((address - found.item.start) / found.item.size));
        }
        this.draw();
        this.canvas.focus();
        return true;
    }

    #count() {
        return this.view.slab ? this.view.slab.letters.length : this.view.cells.length;
    }

    #moveTo(index) {
        this.view.cursor = Math.max(0, Math.min(this.#count() - 1, index));
        this.draw();
    }

    /* The slot nearest to the cursor's, on the page above or below, or beside it. */
    #slotBeside(key) {
        const {slab, cursor} = this.view;
        const step = Math.max(1, Math.round(this.heap.page / slab.size));
        return cursor + {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -step, ArrowDown: step}[key];
    }

    /* --- Colours -------------------------------------------------------------------------------------------------- */

    setMode(mode) {
        this.mode = mode;
        this.colour.value = mode;
        this.draw();
    }

    nextMode() {
        const at = HeapMap.modes.findIndex(([mode]) => mode === this.mode);
        this.setMode(HeapMap.modes[(at + 1) % HeapMap.modes.length][0]);
    }

    /* The sites, or heaps, with the most slabs and samples get separate colours. */
    #ranks() {
        const counts = new Map();
        for (const area of this.heap.areas) {
            for (const item of area.items) {
                const key = this.mode === "site" ? this.heap.site(item, item.start) : item.heap;
                if (key !== null && key !== undefined) {
                    counts.set(key, (counts.get(key) || 0) + item.bytes);
                }
            }
        }
        for (const sample of this.mode === "site" ? this.heap.samples.values() : []) {
            counts.set(sample.site, (counts.get(sample.site) || 0) + sample.weight * sample.size);
        }
        return [...counts].sort((a, b) => b[1] - a[1]).map(([key]) => key);
    }

    #colourOf(item, start) {
        const owner = item.owner || item;
        if (this.mode === "residency") {
            return item.letter ? Colours.pages[item.letter] : Colours.pages.r;
        }
        if (this.mode === "age") {
            const age = this.heap.age(owner);
            return age === null ? Colours.kind(3) : Colours.byAge(age);
        }
        if (this.mode === "site") {
            const site = this.heap.site(owner, owner === item ? start : item.start);
            return site === null ? "#888888" : Colours.kind(this.ranks.indexOf(site));
        }
        if (this.mode === "heap") {
            return owner.heap === undefined ? "#888888" : Colours.kind(this.ranks.indexOf(owner.heap));
        }
        const size = owner.size || owner.bytes;
        return owner.kind === "slab" || owner.kind === "HMM block" ? Colours.bySize(size)
            : owner.main_start !== undefined ? Colours.kind(0) : Colours.kind(5);
    }

    /* --- The picture of an area ----------------------------------------------------------------------------------- */

    #makeCells() {
        const view = this.view;
        const width = Math.max(200, this.canvas.parentElement.clientWidth - 2 - HeapMap.gutter);
        const most = Math.floor(width / 8) * Math.floor(HeapMap.height / 8);
        view.cell = view.area.least;
        while ((view.to - view.from) / view.cell > most) {
            view.cell *= 2;
        }
        const count = Math.max(1, Math.ceil((view.to - view.from) / view.cell));
        view.pixels = 30;
        while (view.pixels > 4 && Math.ceil(count / Math.floor(width / view.pixels)) * view.pixels > HeapMap.height) {
            view.pixels--;
        }
        view.columns = Math.max(1, Math.floor(width / view.pixels));
        if (view.columns >= 16) {
            view.columns -= view.columns % 8;
        }
        view.cells = Array.from({length: count}, (_, i) => ({start: view.from + i * view.cell,
            end: Math.min(view.to, view.from + (i + 1) * view.cell), live: 0, kept: 0, resident: 0, most: 0, item: null}));
        this.#fillCells(view);
    }

    /* For pages of a large block, or of sampled blocks. */
    #useOfPages({owner, letter, bytes}) {
        const live = owner.kind === "samples" ? letter === "r" : owner.live;
        return {live: live ? bytes : 0, kept: 0};
    }

    #fillCells(view) {
        const {items} = view.area;
        for (let i = Heap.find(items, view.from); i < items.length && items[i].start < view.to; i++) {
            const item = items[i];
            const use = item.owner ? this.#useOfPages(item) : this.heap.use(item);
            const end = Math.min(view.to, item.start + item.bytes);
            for (let at = Math.max(item.start, view.from); at < end;) {
                const cell = view.cells[Math.floor((at - view.from) / view.cell)];
                const part = Math.min(end, cell.end) - at;
                const share = part / item.bytes;
                cell.live += use.live * share;
                cell.kept += use.kept * share;
                cell.resident += (item.resident === undefined ? item.bytes : item.resident) * share;
                const weight = part * (use.live + use.kept > 0 ? 2 : 1);
                if (weight > cell.most) {
                    cell.most = weight;
                    cell.item = item;
                }
                at += part;
            }
        }
    }

    #drawCells(context, style) {
        const view = this.view;
        view.cells.forEach((cell, i) => {
            const x = HeapMap.gutter + i % view.columns * view.pixels;
            const y = 4 + Math.floor(i / view.columns) * view.pixels;
            if (i % view.columns === 0) {
                context.fillStyle = style.soft;
                if (view.pixels >= 12 || Math.floor(i / view.columns) % Math.ceil(14 / view.pixels) === 0) {
                    context.fillText(cell.start.toString(16), 4, y + Math.min(view.pixels, 12) - 1);
                }
            }
            this.#drawCell(context, style, cell, x, y, view.pixels - 1);
        });
        const {cursor} = view;
        this.#frame(context, style, HeapMap.gutter + cursor % view.columns * view.pixels,
            4 + Math.floor(cursor / view.columns) * view.pixels, view.pixels - 1, view.pixels - 1);
    }

    /* The live part of a cell from the bottom up, with the kept part on top of it, paler. */
    #drawCell(context, style, cell, x, y, size) {
        const bytes = cell.end - cell.start;
        const byPages = this.mode === "residency";
        const full = Math.min(1, (byPages ? cell.resident : cell.live) / bytes);
        const more = byPages ? 0 : Math.min(1 - full, cell.kept / bytes);
        context.fillStyle = style.empty;
        context.fillRect(x, y, size, size);
        if (cell.item && (full > 0 || more > 0)) {
            const shown = Math.max(full > 0 ? 1 : 0, Math.round(full * size));
            const pale = Math.round(more * size);
            context.fillStyle = this.#colourOf(cell.item, cell.item.start) || style.empty;
            context.fillRect(x, y + size - shown, size, shown);
            context.globalAlpha = 0.4;
            context.fillRect(x, y + size - shown - pale, size, pale);
            context.globalAlpha = 1;
        } else if (cell.item && cell.resident > 0) {
            context.fillStyle = style.strong;
            context.fillRect(x + size / 2 - 1, y + size / 2 - 1, 2, 2);
        }
        if (this.matches && cell.item && !this.matches.has(cell.item.owner || cell.item)) {
            context.globalAlpha = 0.75;
            context.fillStyle = style.page;
            context.fillRect(x, y, size, size);
            context.globalAlpha = 1;
        }
    }

    #frame(context, style, x, y, width, height) {
        context.strokeStyle = style.page;
        context.lineWidth = 4;
        context.strokeRect(x - 1, y - 1, width + 2, height + 2);
        context.strokeStyle = style.cursor;
        context.lineWidth = 2;
        context.strokeRect(x - 1, y - 1, width + 2, height + 2);
    }

    /* --- The picture of a slab: a row for each page, with its slots ----------------------------------------------- */

    #slabLayout() {
        const {slab} = this.view;
        const page = this.heap.page;
        const rows = Math.ceil(slab.bytes / page);
        const width = Math.max(200, this.canvas.parentElement.clientWidth - 2 - HeapMap.gutter - 6);
        return {page, rows, width, height: Math.max(10, Math.min(34, Math.floor(HeapMap.height / rows)))};
    }

    /* The rectangles of a slot: one for each of its pages. */
    #slotBoxes(slot, layout) {
        const {slab} = this.view;
        const boxes = [];
        const end = (slot + 1) * slab.size;
        for (let at = slot * slab.size; at < end;) {
            const row = Math.floor(at / layout.page);
            const stop = Math.min(end, (row + 1) * layout.page);
            const x = HeapMap.gutter + (at - row * layout.page) / layout.page * layout.width;
            boxes.push({x, y: 4 + row * layout.height, width: (stop - at) / layout.page * layout.width,
                height: layout.height - 3});
            at = stop;
        }
        return boxes;
    }

    #drawSlab(context, style) {
        const layout = this.#slabLayout();
        const {slab} = this.view;
        const pages = Heap.letters(slab.pages);
        for (let row = 0; row < layout.rows; row++) {
            const y = 4 + row * layout.height;
            context.fillStyle = style.soft;
            context.fillText((slab.start + row * layout.page).toString(16), 4, y + 9);
            this.#drawPageMark(context, style, pages[row], y, layout.height - 3);
        }
        for (let slot = 0; slot < slab.letters.length; slot++) {
            for (const box of this.#slotBoxes(slot, layout)) {
                this.#drawSlot(context, style, slab, slot, box);
            }
        }
        for (const box of this.#slotBoxes(this.view.cursor, layout)) {
            this.#frame(context, style, box.x, box.y, Math.max(3, box.width - 1), box.height);
        }
    }

    #drawPageMark(context, style, letter, y, height) {
        const colour = Colours.pages[letter];
        context.fillStyle = colour || style.empty;
        context.fillRect(HeapMap.gutter - 14, y, 8, height);
        context.strokeStyle = style.strong;
        context.lineWidth = 1;
        context.strokeRect(HeapMap.gutter - 13.5, y + 0.5, 7, height - 1);
    }

    #drawSlot(context, style, slab, slot, box) {
        const letter = slab.letters[slot];
        const width = Math.max(1, box.width - (box.width > 3 ? 1 : 0));
        const live = letter === "l";
        context.fillStyle = live && this.mode !== "residency" ? this.#colourOf(slab, slab.start + slot * slab.size)
            : Colours.states[letter] || style.empty;
        context.globalAlpha = live ? 1 : 0.8;
        context.fillRect(box.x, box.y, width, box.height);
        context.globalAlpha = 1;
        HeapMap.mark(context, style, letter, box.x, box.y, width, box.height);
        if (box.width > 90 && letter !== "f") {
            const name = this.heap.firstWord(slab, slot);
            context.fillStyle = live ? "#ffffff" : "#000000";
            if (name && (this.mode === "residency" || this.mode === "heap")) {
                context.fillText(name, box.x + 4, box.y + box.height - 4, box.width - 8);
            }
        }
    }

    /* The states differ in shape too: cached has a line across, freed by another thread a cross. */
    static mark(context, style, letter, x, y, width, height) {
        context.strokeStyle = "#000000";
        context.lineWidth = 1;
        context.beginPath();
        if (letter === "m" || letter === "d" || letter === "c" || letter === "r") {
            context.moveTo(x, y + height);
            context.lineTo(x + width, y);
        }
        if (letter === "r") {
            context.moveTo(x, y);
            context.lineTo(x + width, y + height);
        }
        context.stroke();
    }

    /* --- Drawing -------------------------------------------------------------------------------------------------- */

    #style() {
        const style = getComputedStyle(document.documentElement);
        const get = (name) => style.getPropertyValue(`--${name}`).trim();
        return {page: get("page"), soft: get("soft"), empty: get("empty"), strong: get("strong-line"), cursor: get("cursor")};
    }

    draw() {
        const view = this.view;
        if (!view) {
            return;
        }
        this.ranks = this.mode === "site" || this.mode === "heap" ? this.#ranks() : [];
        if (!view.slab) {
            this.#makeCells();
            view.cursor = Math.min(view.cursor, view.cells.length - 1);
        }
        const width = this.canvas.parentElement.clientWidth - 2;
        const layout = view.slab ? this.#slabLayout() : null;
        const height = 8 + (layout ? layout.rows * layout.height
            : Math.ceil(view.cells.length / view.columns) * view.pixels);
        const ratio = devicePixelRatio || 1;
        this.canvas.style.height = `${height}px`;
        this.canvas.width = Math.round(width * ratio);
        this.canvas.height = Math.round(height * ratio);
        const context = this.canvas.getContext("2d");
        const style = this.#style();
        context.scale(ratio, ratio);
        context.font = "11px ui-monospace, 'DejaVu Sans Mono', monospace";
        if (view.slab) {
            this.#drawSlab(context, style);
        } else {
            this.#drawCells(context, style);
        }
        this.#tell();
        this.#drawPath();
        this.#drawLegend();
    }

    #drawPath() {
        const parts = this.views.map((view, i) => Text.element("button", {type: "button",
            "aria-current": i === this.views.length - 1 ? "location" : null,
            onclick: () => {
                this.views.length = i + 1;
                this.draw();
            }}, view.title));
        this.path.replaceChildren(...parts.flatMap((part, i) => i === 0 ? [part] : ["›", part]));
    }

    #tell() {
        const lines = this.#lines(this.view.cursor);
        this.card.replaceChildren(...lines.map((line) => Text.element("p", {}, line)));
    }

    #lines(index) {
        const view = this.view;
        if (view.slab) {
            return this.heap.describe(view.slab, view.slab.start + index * view.slab.size);
        }
        const cell = view.cells[index];
        if (!cell.item) {
            return [`${Text.address(cell.start)}: nothing is there`];
        }
        const item = cell.item;
        if (item.owner) {
            const names = {r: "resident", s: "swapped out", z: "the page of zeros", g: "guards", a: "not resident"};
            return [`${Text.address(cell.start)}: ${Text.size(cell.resident)} of ${Text.size(cell.end - cell.start)} resident`,
                `the pages from here on are ${names[item.letter]}`, ...this.heap.describe(item.owner, cell.start)];
        }
        const lines = item.kind === "slab" ? this.heap.summary(item) : this.heap.describe(item, item.start);
        if (cell.end - cell.start > view.area.least) {
            lines.push(`this cell: ${Text.size(cell.live)} live of ${Text.size(cell.end - cell.start)}, ` +
                `${Text.size(cell.resident)} resident`);
        }
        return lines;
    }

    /* --- The pointer ---------------------------------------------------------------------------------------------- */

    /* The index of the cell or slot at a point, or null. */
    #hit(x, y) {
        const view = this.view;
        if (!view || x < HeapMap.gutter || y < 4) {
            return null;
        }
        if (!view.slab) {
            const column = Math.floor((x - HeapMap.gutter) / view.pixels);
            const index = Math.floor((y - 4) / view.pixels) * view.columns + column;
            return column < view.columns && index < view.cells.length ? index : null;
        }
        const layout = this.#slabLayout();
        const offset = Math.floor((y - 4) / layout.height) * layout.page +
            (x - HeapMap.gutter) / layout.width * layout.page;
        const slot = Math.floor(offset / view.slab.size);
        return slot < view.slab.letters.length && x < HeapMap.gutter + layout.width ? slot : null;
    }

    #hover(hit, event) {
        this.tip.classList.toggle("hidden", hit === null);
        if (hit === null) {
            return;
        }
        this.tip.replaceChildren(...this.#lines(hit).map((line) => Text.element("div", {}, line)));
        const left = Math.min(event.clientX + 14, innerWidth - this.tip.offsetWidth - 8);
        const below = event.clientY + 18 + this.tip.offsetHeight < innerHeight;
        this.tip.style.left = `${Math.max(8, left)}px`;
        this.tip.style.top = `${below ? event.clientY + 18 : event.clientY - this.tip.offsetHeight - 12}px`;
    }

    /* --- The legend ----------------------------------------------------------------------------------------------- */

    #drawLegend() {
        const entries = this.#legendOfMode();
        if (this.view.slab) {
            entries.push(["f", null, "free"], ["m", Colours.states.m, "cached"],
                ["r", Colours.states.r, "freed by another thread"]);
        } else {
            const size = this.view.cell;
            entries.push([null, null, `a cell is ${Text.size(size)}; it is filled as far as it is ` +
                `${this.mode === "residency" ? "resident" : "live, and paler what is cached"}; a dot: free and resident`]);
        }
        this.legend.replaceChildren(...entries.map((entry) => this.#legendLine(entry)));
    }

    #legendLine([letter, colour, text]) {
        if (letter === null && colour === null) {
            return Text.element("li", {class: "soft"}, text);
        }
        const swatch = Text.element("canvas", {width: 22, height: 16, "aria-hidden": "true"});
        const context = swatch.getContext("2d");
        const style = this.#style();
        context.fillStyle = colour || style.empty;
        context.fillRect(0, 0, 22, 16);
        HeapMap.mark(context, style, letter, 0, 0, 22, 16);
        return Text.element("li", {}, swatch, Text.element("span", {}, text));
    }

    #legendOfMode() {
        if (this.mode === "residency") {
            return [["p", Colours.pages.r, "resident"], ["p", Colours.pages.s, "swapped out"],
                ["p", Colours.pages.z, "the page of zeros"], ["p", null, "not resident"],
                ...(this.view.slab ? [["l", Colours.states.l, "live slots; the bar at the left is of the page"]] : [])];
        }
        if (this.mode === "age") {
            return [...[1, 10, 100, 1000, 10000, 100000].map((age) => ["p", Colours.byAge(age), `slab of ${Text.age(age)}`]),
                ["p", Colours.kind(3), "not known: large blocks have no time of birth"]];
        }
        if (this.mode === "site" || this.mode === "heap") {
            return this.#legendOfRanks();
        }
        return [...[16, 64, 256, 1024, 4096, 16384].map((size) => ["p", Colours.bySize(size), `class of ${size} bytes`]),
            ["p", Colours.kind(5), "large and huge blocks"]];
    }

    #legendOfRanks() {
        const bySite = this.mode === "site";
        const name = (key) => bySite ? this.heap.sites[key] : this.heap.owner({heap: key});
        const known = this.ranks.slice(0, 7).map((key, i) => ["p", Colours.kind(i), name(key)]);
        const none = bySite && this.ranks.length === 0
            ? "no call site is known: nothing has been sampled" : bySite ? "other sites, and not sampled" : "others";
        return [...known, ["p", "#888888", none]];
    }

    /* --- Search --------------------------------------------------------------------------------------------------- */

    async search(text) {
        const wanted = text.trim().toLowerCase();
        this.matches = null;
        this.matchList = [];
        this.found.textContent = "";
        if (wanted === "") {
            this.draw();
            return;
        }
        const number = /^(0x[0-9a-f]+|\d+)$/.test(wanted) ? Number(wanted) : NaN;
        if (wanted.startsWith("0x") || number > 1 << 24) {
            await this.#searchAddress(number);
            return;
        }
        this.#searchItems(wanted, number);
        this.found.textContent = `${Text.count(this.matchList.length)} found`;
        this.home(this.matchList.length !== 0 ? this.heap.areas.indexOf(this.matchList[0].area) : 0);
        this.nextMatch(0);
        this.canvas.focus();
    }

    async #searchAddress(address) {
        if (await this.goTo(address)) {
            this.found.textContent = "found";
        } else {
            const told = this.elsewhere && !Number.isNaN(address) ? await this.elsewhere(address) : null;
            this.found.textContent = told || `${Text.address(address)} is not in the heap`;
        }
    }

    #searchItems(wanted, number) {
        this.matches = new Set();
        for (const area of this.heap.areas) {
            for (const item of area.items) {
                if (this.#agrees(item, wanted, number)) {
                    this.matches.add(item);
                    this.matchList.push({area, item});
                }
            }
        }
    }

    #agrees(item, wanted, number) {
        if (!Number.isNaN(number)) {
            return item.size === number;
        }
        const has = (text) => text !== null && text !== undefined && text.toLowerCase().includes(wanted);
        const site = this.heap.site(item, item.start);
        return has(item.kind) || has(item.state) || (wanted === "cached" && item.cached > 0) ||
            (wanted === "remote" && item.remote > 0) || (wanted === "live" && this.heap.use(item).live > 0) ||
            (item.heap !== undefined && has(this.heap.owner(item))) || (site !== null && has(this.heap.sites[site])) ||
            (item.first || []).some((each, i) => i % 2 === 1 && has(this.heap.names[each]));
    }

    nextMatch(index) {
        if (!this.matchList || this.matchList.length === 0) {
            return;
        }
        this.matchAt = index === undefined ? (this.matchAt + 1) % this.matchList.length : index;
        const {area, item} = this.matchList[this.matchAt];
        if (this.views.length !== 1 || this.view.area !== area) {
            this.home(this.heap.areas.indexOf(area));
        }
        this.view.from = area.start;
        this.view.to = area.end;
        this.#makeCells();
        this.#moveTo(this.view.cells.findIndex((cell) => cell.end > item.start));
        this.found.textContent = `${this.matchAt + 1} of ${Text.count(this.matchList.length)}`;
    }
}
