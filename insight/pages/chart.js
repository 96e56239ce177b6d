"use strict";

/*
 * A chart over time: lines, or stacked areas. Each series is {name, values}; `times` are seconds. The arrow keys or the
 * pointer choose a moment, whose values the legend shows.
 */
class Chart {
    static #height = 220;
    static #margin = {left: 70, right: 10, top: 10, bottom: 24};

    constructor(title, {stacked = false, format = Text.size} = {}) {
        this.stacked = stacked;
        this.format = format;
        this.chosen = null;
        this.width = 600;
        this.svg = Chart.#node("svg", {tabindex: 0, role: "img", "aria-label": title});
        this.legend = Text.element("ul", {class: "legend"});
        this.moment = Text.element("span", {class: "soft"});
        this.element = Text.element("figure", {class: "chart"},
            Text.element("figcaption", {}, `${title} `, this.moment), this.svg, this.legend);
        this.svg.addEventListener("mousemove", (event) => this.#point(event));
        this.svg.addEventListener("mouseleave", () => this.#choose(null));
        this.svg.addEventListener("keydown", (event) => this.#key(event));
    }

    static #node(name, attributes, ...children) {
        const node = document.createElementNS("http://www.w3.org/2000/svg", name);
        for (const [key, value] of Object.entries(attributes)) {
            node.setAttribute(key, value);
        }
        node.append(...children);
        return node;
    }

    show(times, series) {
        this.times = times;
        this.series = series.map((each, i) => ({...each, colour: Colours.kind(i)}));
        this.#draw();
    }

    #choose(index) {
        this.chosen = index;
        this.#draw();
    }

    #point(event) {
        const box = this.svg.getBoundingClientRect();
        const x = (event.clientX - box.left) / box.width * this.width;
        const time = this.#timeAt(x);
        let nearest = 0;
        this.times.forEach((each, i) => {
            nearest = Math.abs(each - time) < Math.abs(this.times[nearest] - time) ? i : nearest;
        });
        this.#choose(this.times.length !== 0 ? nearest : null);
    }

    #key(event) {
        const last = this.times.length - 1;
        const at = this.chosen === null ? last : this.chosen;
        const to = {ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last, Escape: null}[event.key];
        if (to !== undefined) {
            this.#choose(to === null ? null : Math.max(0, Math.min(last, to)));
            event.preventDefault();
        }
    }

    #timeAt(x) {
        const {left, right} = Chart.#margin;
        const share = (x - left) / (this.width - left - right);
        return this.times[0] + share * (this.times[this.times.length - 1] - this.times[0]);
    }

    #x(time) {
        const {left, right} = Chart.#margin;
        const span = this.times[this.times.length - 1] - this.times[0] || 1;
        return left + (time - this.times[0]) / span * (this.width - left - right);
    }

    #y(value) {
        const {top, bottom} = Chart.#margin;
        return Chart.#height - bottom - value / this.most * (Chart.#height - top - bottom);
    }

    /* The base of each series: the sum of those before it, if they are stacked. */
    #bases() {
        const base = this.times.map(() => 0);
        return this.series.map(({values}) => {
            const below = [...base];
            if (this.stacked) {
                values.forEach((value, i) => {
                    base[i] += Math.max(0, value);
                });
            }
            return below;
        });
    }

    /* A round number, of which four steps reach the highest value; bytes are rounded to powers of two. */
    static #ceiling(most, binary) {
        const [base, rounds] = binary ? [2, [1, 1.25, 1.5, 2]] : [10, [1, 2, 2.5, 5, 10]];
        const power = base ** Math.floor(Math.log(Math.max(most / 4, 1)) / Math.log(base));
        return 4 * power * rounds.find((round) => 4 * power * round >= Math.min(most, 4 * power * base));
    }

    #draw() {
        if (!this.times || this.times.length < 2) {
            this.svg.replaceChildren(Chart.#node("text", {x: 20, y: 30}, "not much is known yet"));
            return;
        }
        this.width = Math.max(200, this.svg.clientWidth);
        this.svg.setAttribute("viewBox", `0 0 ${this.width} ${Chart.#height}`);
        const bases = this.#bases();
        const tops = this.series.map(({values}, s) => values.map((value, i) => bases[s][i] + Math.max(0, value)));
        this.most = Chart.#ceiling(Math.max(...tops.flat(), 0), this.format === Text.size);
        this.svg.replaceChildren(...this.#axes(), ...this.series.map((each, s) => this.#shape(each, bases[s], tops[s])),
            ...this.#marks());
        this.#tell();
    }

    #axes() {
        const nodes = [];
        for (let i = 0; i <= 4; i++) {
            const y = this.#y(this.most * i / 4);
            nodes.push(Chart.#node("line", {class: "axis", x1: Chart.#margin.left, x2: this.width - 10, y1: y, y2: y}),
                Chart.#node("text", {x: Chart.#margin.left - 6, y: y + 4, "text-anchor": "end"},
                    this.format(this.most * i / 4)));
        }
        const last = this.times[this.times.length - 1];
        for (let i = 0; i <= 3; i++) {
            const time = this.times[0] + (last - this.times[0]) * i / 3;
            const before = last - time;
            nodes.push(Chart.#node("text", {x: this.#x(time), y: Chart.#height - 7,
                "text-anchor": i === 0 ? "start" : i === 3 ? "end" : "middle"}, before < 1 ? "now" : `−${Text.age(before)}`));
        }
        return nodes;
    }

    #shape({colour}, base, top) {
        const points = (values) => values.map((value, i) => `${this.#x(this.times[i]).toFixed(1)},${this.#y(value).toFixed(1)}`);
        if (!this.stacked) {
            return Chart.#node("polyline", {points: points(top).join(" "), fill: "none", stroke: colour, "stroke-width": 2,
                "vector-effect": "non-scaling-stroke"});
        }
        return Chart.#node("polygon", {points: [...points(top), ...points(base).reverse()].join(" "), fill: colour,
            stroke: "var(--page)", "stroke-width": 0.7});
    }

    #marks() {
        if (this.chosen === null || this.chosen >= this.times.length) {
            return [];
        }
        const x = this.#x(this.times[this.chosen]);
        return [Chart.#node("line", {x1: x, x2: x, y1: Chart.#margin.top, y2: Chart.#height - Chart.#margin.bottom,
            stroke: "var(--cursor)", "stroke-width": 1.5})];
    }

    /* The values of the chosen moment, or the newest ones. */
    #tell() {
        const at = this.chosen === null || this.chosen >= this.times.length ? this.times.length - 1 : this.chosen;
        const before = this.times[this.times.length - 1] - this.times[at];
        this.moment.textContent = before < 0.5 ? "" : `${Text.age(before)} ago`;
        const lines = [...this.series].map(({name, colour, values}) => {
            const swatch = Text.element("span", {class: "swatch"});
            swatch.style.background = colour;
            return Text.element("li", {}, swatch, `${name}: ${this.format(values[at])}`);
        });
        this.legend.replaceChildren(...(this.stacked ? lines.reverse() : lines));
    }
}
