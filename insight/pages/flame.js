"use strict";

/*
 * A flame graph: each frame is as wide as what was allocated below it. `stacks` are {frames, values, errors}: frames
 * from the root to the leaf; one value, and one standard error or null, for each of `measures`, which are {name, unit}.
 */
class FlameGraph {
    static #row = 20;

    constructor(root, measures, stacks) {
        this.measures = measures;
        this.stacks = stacks;
        this.measure = 0;
        this.inverted = false;
        this.sought = "";
        this.#build(root);
        this.#grow();
        new ResizeObserver(() => this.draw()).observe(this.element);
    }

    #build(root) {
        const choose = Text.element("select", {"aria-label": "measure", onchange: () => {
            this.measure = Number(choose.value);
            this.#grow();
        }}, ...this.measures.map(({name}, i) => Text.element("option", {value: i}, name)));
        const invert = Text.element("input", {type: "checkbox", onchange: () => {
            this.inverted = invert.checked;
            this.#grow();
        }});
        this.query = Text.element("input", {type: "search", class: "grow", "aria-label": "search",
            placeholder: "search: part of a function's name", oninput: () => this.search(this.query.value)});
        this.found = Text.element("span", {class: "soft", role: "status"});
        this.element = Text.element("div", {class: "flame", role: "tree", "aria-label": "flame graph"});
        this.card = Text.element("div", {class: "card", "aria-live": "polite"});
        this.tip = Text.element("div", {class: "tip hidden", "aria-hidden": "true"});
        root.replaceChildren(Text.element("div", {class: "bar"}, choose, Text.element("label", {}, invert, " callees first"),
            Text.element("button", {type: "button", onclick: () => this.zoom(this.tree)}, "all"), this.query, this.found),
        this.element, Text.element("p", {class: "soft"}, "Arrows move, ", Text.element("kbd", {}, "Enter"),
            " shows a frame and what is below it, ", Text.element("kbd", {}, "Esc"), " all, ", Text.element("kbd", {}, "/"),
            " searches."), this.card, this.tip);
        this.element.addEventListener("keydown", (event) => this.#key(event));
        this.element.addEventListener("mouseleave", () => this.tip.classList.add("hidden"));
    }

    /* --- The tree ------------------------------------------------------------------------------------------------- */

    static #node(name, above) {
        return {name, above, value: 0, variance: 0, exact: true, children: new Map()};
    }

    static #add(node, value, error) {
        node.value += value;
        node.exact &&= error === null || error === undefined;
        node.variance += (error || 0) ** 2;
    }

    #grow() {
        this.tree = FlameGraph.#node("all", null);
        for (const {frames, values, errors} of this.stacks) {
            const value = values[this.measure];
            const error = errors ? errors[this.measure] : null;
            let node = this.tree;
            FlameGraph.#add(node, value, error);
            for (const name of this.inverted ? [...frames].reverse() : frames) {
                if (!node.children.has(name)) {
                    node.children.set(name, FlameGraph.#node(name, node));
                }
                node = node.children.get(name);
                FlameGraph.#add(node, value, error);
            }
        }
        this.zoom(this.tree);
    }

    static sorted(node) {
        return [...node.children.values()].sort((a, b) => b.value - a.value);
    }

    zoom(node) {
        this.shown = node;
        this.focused = node;
        this.draw();
        this.#tell(node);
    }

    /* --- Drawing -------------------------------------------------------------------------------------------------- */

    /* The frames of the picture: {node, x, width, depth}, except those too narrow to see. */
    #layout(width) {
        const boxes = [];
        const above = [];
        for (let node = this.shown; node; node = node.above) {
            above.unshift(node);
        }
        above.forEach((node, depth) => boxes.push({node, x: 0, width, depth}));
        const place = (node, x, scale, depth) => {
            for (const child of FlameGraph.sorted(node)) {
                const wide = child.value * scale;
                if (wide < 0.5) {
                    break;
                }
                boxes.push({node: child, x, width: wide, depth});
                place(child, x, scale, depth + 1);
                x += wide;
            }
        };
        place(this.shown, 0, width / Math.max(1, this.shown.value), above.length);
        return boxes;
    }

    draw() {
        const width = Math.max(200, this.element.clientWidth);
        const boxes = this.#layout(width);
        const height = (Math.max(...boxes.map(({depth}) => depth)) + 1) * FlameGraph.#row;
        const svg = FlameGraph.#svg("svg", {width, height, viewBox: `0 0 ${width} ${height}`, role: "presentation"});
        this.groups = new Map();
        boxes.forEach((box) => svg.append(this.#group(box)));
        this.element.replaceChildren(svg);
        this.#mark();
    }

    static #svg(name, attributes) {
        const node = document.createElementNS("http://www.w3.org/2000/svg", name);
        for (const [key, value] of Object.entries(attributes)) {
            node.setAttribute(key, value);
        }
        return node;
    }

    #group({node, x, width, depth}) {
        const row = FlameGraph.#row;
        const group = FlameGraph.#svg("g", {role: "treeitem", tabindex: node === this.focused ? 0 : -1,
            "aria-level": depth + 1, "aria-label": this.lines(node).join(", ")});
        group.append(FlameGraph.#svg("rect", {x, y: depth * row, width: Math.max(0.5, width - 0.5), height: row - 1,
            fill: node.above ? Colours.named(node.name) : "#c4c9cf"}));
        const letters = Math.floor((width - 8) / 7.3);
        if (letters > 2) {
            const text = FlameGraph.#svg("text", {x: x + 4, y: depth * row + 14});
            text.textContent = node.name.length <= letters ? node.name : `${node.name.slice(0, letters - 1)}…`;
            group.append(text);
        }
        group.addEventListener("click", () => {
            this.zoom(node);
            this.groups.get(node).focus();
        });
        group.addEventListener("focus", () => this.#tell(node));
        group.addEventListener("mousemove", (event) => this.#hover(node, event));
        this.groups.set(node, group);
        return group;
    }

    /* --- A frame's details ---------------------------------------------------------------------------------------- */

    #number(value) {
        return this.measures[this.measure].unit === "bytes" ? Text.size(value) : Text.count(Math.round(value));
    }

    lines(node) {
        const error = node.exact ? "" : ` ± ${this.#number(Math.sqrt(node.variance))}`;
        const lines = [node.name, `${this.#number(node.value)}${error}, ${Text.percent(node.value, this.tree.value)} of all`];
        if (this.shown !== this.tree && node !== this.tree && node !== this.shown) {
            lines.push(`${Text.percent(node.value, this.shown.value)} of ${this.shown.name}`);
        }
        return lines;
    }

    #tell(node) {
        this.card.replaceChildren(...this.lines(node).map((line) => Text.element("p", {}, line)));
    }

    #hover(node, event) {
        this.tip.classList.remove("hidden");
        this.tip.replaceChildren(...this.lines(node).map((line) => Text.element("div", {}, line)));
        this.tip.style.left = `${Math.max(8, Math.min(event.clientX + 14, innerWidth - this.tip.offsetWidth - 8))}px`;
        this.tip.style.top = `${Math.min(event.clientY + 18, innerHeight - this.tip.offsetHeight - 8)}px`;
    }

    /* --- Keys and search ------------------------------------------------------------------------------------------ */

    #focus(node) {
        const group = node && this.groups.get(node);
        if (group) {
            this.groups.get(this.focused)?.setAttribute("tabindex", -1);
            this.focused = node;
            group.setAttribute("tabindex", 0);
            group.focus();
        }
    }

    #beside(node, step) {
        const all = node.above ? FlameGraph.sorted(node.above) : [node];
        return all[all.indexOf(node) + step];
    }

    #key(event) {
        const node = this.focused;
        const actions = {
            ArrowUp: () => this.#focus(node.above), ArrowDown: () => this.#focus(FlameGraph.sorted(node)[0]),
            ArrowLeft: () => this.#focus(this.#beside(node, -1)), ArrowRight: () => this.#focus(this.#beside(node, 1)),
            Enter: () => {
                this.zoom(node);
                this.#focus(node);
            },
            Escape: () => {
                this.zoom(this.tree);
                this.#focus(this.tree);
            },
            "/": () => this.query.focus(),
        };
        if (actions[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) {
            actions[event.key]();
            event.preventDefault();
        }
    }

    search(text) {
        this.sought = text.trim().toLowerCase();
        this.#mark();
    }

    /* Each byte counts once, however many frames of its stack match. */
    #matched(node) {
        if (node.above && node.name.toLowerCase().includes(this.sought)) {
            return node.value;
        }
        let sum = 0;
        for (const child of node.children.values()) {
            sum += this.#matched(child);
        }
        return sum;
    }

    #mark() {
        for (const [node, group] of this.groups) {
            const matches = this.sought !== "" && node.name.toLowerCase().includes(this.sought);
            group.classList.toggle("match", matches);
            group.classList.toggle("dim", this.sought !== "" && !matches);
        }
        const sum = this.sought === "" ? 0 : this.#matched(this.tree);
        this.found.textContent = this.sought === "" ? ""
            : `${this.#number(sum)}, ${Text.percent(sum, this.tree.value)} of all`;
    }
}
