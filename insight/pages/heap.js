"use strict";

/*
 * The heaps of a process, from `mems map --json`: areas of addresses, each with items in ascending order. An item is a
 * span of the engine, a huge block, a block of HMM, or a segment of the MeMS heap.
 */
class Heap {
    constructor(data) {
        this.data = data;
        this.page = data.page || 4096;
        this.names = data.names || [];
        this.threads = new Map((data.heaps || []).map((heap) => [heap.id, heap.thread]));
        this.areas = [];
        this.sites = data.sites || [];
        this.samples = new Map((data.samples || []).map((sample) => [sample.start, sample]));
        this.sampleList = [...this.samples.values()].sort((a, b) => a.start - b.start);
        this.#addWindow();
        this.#addHuge();
        this.#addBlocks();
        this.#addSegments();
        this.classSites = this.#sitesOfClasses();
    }

    #addArea(name, items, least) {
        if (items.length !== 0) {
            const last = items[items.length - 1];
            this.areas.push({name, items, least, start: items[0].start, end: last.start + last.bytes});
        }
    }

    #addWindow() {
        this.#addArea("window", this.data.spans, this.data.unit);
    }

    #addHuge() {
        for (const block of this.data.huge || []) {
            const item = {kind: "huge block", live: true, size: block.bytes, ...block};
            this.#addArea(`huge block ${Text.address(block.start)}`, [item], this.page);
        }
    }

    /* HMM's regions are separate: a gap begins a new one. */
    #addBlocks() {
        let items = [];
        for (const block of this.data.blocks || []) {
            const last = items[items.length - 1];
            if (last && block.start - (last.start + last.bytes) > 65536) {
                this.#addArea(`HMM ${Text.address(items[0].start)}`, items, 16);
                items = [];
            }
            items.push({kind: "HMM block", bytes: block.size, ...block});
        }
        this.#addArea(items.length !== 0 ? `HMM ${Text.address(items[0].start)}` : "", items, 16);
    }

    /* The MeMS heap, by virtual address. */
    #addSegments() {
        const spaces = new Map();
        for (const segment of this.data.segments || []) {
            const items = spaces.get(segment.space) || [];
            items.push({...segment, bytes: segment.last - segment.start + 1});
            spaces.set(segment.space, items);
        }
        for (const [space, items] of spaces) {
            items.sort((a, b) => a.start - b.start);
            this.#addArea(`space ${space}`, items, 1);
        }
    }

    /* The call sites of each class's samples, by bytes: an inference for blocks that were not sampled. */
    #sitesOfClasses() {
        const classes = new Map();
        for (const sample of this.samples.values()) {
            const sites = classes.get(sample.class) || new Map();
            sites.set(sample.site, (sites.get(sample.site) || 0) + sample.weight * sample.size);
            classes.set(sample.class, sites);
        }
        classes.delete(0);
        const most = (sites) => [...sites].sort((a, b) => b[1] - a[1])[0][0];
        return new Map([...classes].map(([size, sites]) => [size, most(sites)]));
    }

    /* The index of the first item that ends after an address. */
    static find(items, address) {
        let low = 0;
        let high = items.length;
        while (low < high) {
            const middle = (low + high) >> 1;
            if (items[middle].start + items[middle].bytes <= address) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }

    itemAt(address) {
        for (const area of this.areas) {
            const item = area.items[Heap.find(area.items, address)];
            if (address >= area.start && address < area.end && item && item.start <= address) {
                return {area, item};
            }
        }
        return null;
    }

    /* "l12f3m" means twelve l, three f, one m. */
    static runs(text) {
        const runs = [];
        for (const [, letter, count] of (text || "").matchAll(/([a-z])(\d*)/g)) {
            runs.push([letter, count === "" ? 1 : Number(count)]);
        }
        return runs;
    }

    static letters(text) {
        return Heap.runs(text).map(([letter, count]) => letter.repeat(count)).join("");
    }

    age(span) {
        return span.born_s && this.data.now_s ? this.data.now_s - span.born_s : null;
    }

    /* The sampled blocks between two addresses. */
    samplesIn(start, end) {
        const first = this.sampleList.findIndex((sample) => sample.start >= start);
        const after = this.sampleList.findIndex((sample) => sample.start >= end);
        return first === -1 ? [] : this.sampleList.slice(first, after === -1 ? undefined : after);
    }

    /* The bytes of an item that are allocated, and those that are kept: cached, or freed by other threads. */
    use(item) {
        if (item.kind === "samples") {
            const blocks = this.samplesIn(item.start, item.start + item.bytes);
            return {live: blocks.reduce((sum, sample) => sum + sample.size, 0), kept: 0};
        }
        if (item.kind === "slab") {
            return {live: item.live * item.size, kept: (item.cached + item.remote) * item.size};
        }
        if (item.kind === "large block" || item.kind === "huge block") {
            return {live: item.live ? item.size : 0, kept: item.live ? 0 : item.size};
        }
        if (item.kind === "HMM block") {
            return {live: item.state === "live" ? item.bytes : 0, kept: item.state === "cached" ? item.bytes : 0};
        }
        return {live: item.kind === "PROCESS" ? item.bytes : 0, kept: item.kind === "doomed PROCESS" ? item.bytes : 0};
    }

    owner(span) {
        if (span.heap === this.data.abandoned) {
            return "no heap: abandoned or shared";
        }
        const thread = this.threads.get(span.heap);
        return thread ? `heap ${span.heap} (thread ${thread})` : `heap ${span.heap}`;
    }

    /* --- What an address is, as in `mems whatis` ------------------------------------------------------------------ */

    static stateNames = {
        l: "live", m: "cached", d: "cached", c: "cached", r: "freed by another thread, and not collected yet", f: "free",
    };

    describe(item, address) {
        if (item.kind === "slab") {
            return this.#describeSlab(item, address);
        }
        const lines = [`${Text.address(address)}: ${this.#kindLine(item, address)}`];
        if (item.resident !== undefined) {
            lines.push(`${Text.size(item.resident)} of ${Text.size(item.bytes)} resident`);
        }
        this.#describeStart(item, 0, lines);
        return lines;
    }

    #kindLine(item, address) {
        if (item.kind === "samples") {
            return this.#samplesLine(item, address);
        }
        if (item.kind === "large block" || item.kind === "huge block") {
            return `in a ${item.kind} that is ${item.live ? "live" : "cached"}, ${Text.address(item.start)}, ` +
                `of ${Text.count(item.size)} bytes`;
        }
        if (item.kind === "HMM block") {
            return `in an HMM block that is ${item.state}, ${Text.address(item.start)}, of ${item.size} bytes`;
        }
        if (item.main_start !== undefined) {
            const memory = item.physical ? `; its bytes are at ${Text.address(item.physical)}` : "; it has no memory";
            return `in the ${item.kind} ${item.start}:${item.last} of space ${item.space}${memory}`;
        }
        return `in a free span or the like: ${item.kind}, ${Text.size(item.bytes)}`;
    }

    /* For pages with sampled blocks, each of which has separate pages. */
    #samplesLine(span, address) {
        const page = address - address % this.page;
        const [sample] = this.samplesIn(page, page + this.page);
        if (!sample) {
            const count = this.samplesIn(span.start, span.start + span.bytes).length;
            return `among the sampled blocks of ${Text.address(span.start)}, of which ${count} are live`;
        }
        return `at a sampled block of ${sample.size} bytes that is live, ${Text.address(sample.start)}, allocated ` +
            `${Text.age(sample.age_s)} ago by ${sample.thread}: ${this.sites[sample.site]}`;
    }

    #place(span) {
        const age = this.age(span);
        return `the slab ${Text.address(span.start)}, of ${this.owner(span)}` +
            (age === null ? "" : `, which is ${Text.age(age)} old`);
    }

    static #total(span) {
        return span.live + span.cached + span.remote + span.free;
    }

    /* For a slab as a whole. */
    summary(span) {
        const lines = [this.#place(span), `${Heap.#total(span)} slots of ${span.size} bytes: ${span.live} live, ` +
            `${span.cached} cached, ${span.remote} remote, ${span.free} free`,
        `${Text.size(span.resident)} of ${Text.size(span.bytes)} resident`];
        const inferred = this.classSites.get(span.size);
        if (inferred !== undefined) {
            lines.push(`most samples of its class are by ${this.sites[inferred]}`);
        }
        return lines;
    }

    #describeSlab(span, address) {
        const slot = Math.floor((address - span.start) / span.size);
        const total = Heap.#total(span);
        return span.slots && slot < total ? this.#describeSlot(span, slot, address, this.#place(span), total)
            : [`${Text.address(address)}: in ${this.#place(span)}`, ...this.summary(span).slice(1)];
    }

    #describeSlot(span, slot, address, place, total) {
        span.letters = span.letters || Heap.letters(span.slots);
        const start = span.start + slot * span.size;
        const state = span.letters[slot];
        const offset = address - start;
        const lines = [`${Text.address(address)}: in a slot of ${span.size} bytes that is ${Heap.stateNames[state]}, ` +
            `${Text.address(start)}${offset === 0 ? "" : `, at its byte ${offset}`}`,
        `slot ${slot + 1} of ${total} of ${place}`];
        if (state === "m" || state === "d") {
            lines.push(`it lies in ${state === "m" ? "its thread's magazine" : "its depot"}`);
        }
        for (const [which, other] of [["before", slot - 1], ["after", slot + 1]]) {
            if (other >= 0 && other < total) {
                lines.push(`the slot ${which} it, ${Text.address(span.start + other * span.size)}, is ` +
                    Heap.stateNames[span.letters[other]]);
            }
        }
        this.#describeStart(span, slot, lines);
        return lines;
    }

    /* The first bytes of a block, and who allocated it. */
    #describeStart(span, slot, lines) {
        const name = this.firstWord(span, slot);
        if (name !== null) {
            lines.push(`its first word points at ${name}`);
        }
        const sample = this.samples.get(span.start + slot * (span.kind === "slab" ? span.size : 0));
        const inferred = this.classSites.get(span.size);
        if (sample) {
            lines.push(`sampled: ${Text.count(sample.size)} bytes, allocated by ${this.sites[sample.site]}`);
        } else if (inferred !== undefined && span.kind === "slab") {
            lines.push(`most samples of its class are by ${this.sites[inferred]} (inference)`);
        }
    }

    firstWord(span, slot) {
        if (!span.firstWords) {
            span.firstWords = new Map();
            for (let i = 0; i < (span.first || []).length; i += 2) {
                span.firstWords.set(span.first[i], (span.names || this.names)[span.first[i + 1]]);
            }
        }
        return span.firstWords.get(slot) || null;
    }

    /* The index of the site that gives a block, or a whole item, its colour; null: unknown. */
    site(item, start) {
        const sample = this.samples.get(start) ||
            (item.kind === "samples" ? this.samplesIn(start, item.start + item.bytes)[0] : null);
        if (sample) {
            return sample.site;
        }
        const inferred = this.classSites.get(item.size);
        return item.kind === "slab" && inferred !== undefined ? inferred : null;
    }
}
