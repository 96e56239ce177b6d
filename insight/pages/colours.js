"use strict";

/*
 * Colours that colour-blind people can tell apart: scales whose lightness increases steadily (viridis, cividis), and the
 * eight colours of Okabe and Ito. A shape or a text repeats what each colour says.
 */
const Colours = (() => {
    const scales = {
        viridis: ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b",
            "#fde725"],
        cividis: ["#fee838", "#d9c55c", "#b5a570", "#928877", "#747079", "#575c6d", "#3a486b", "#12366a", "#00224e"],
    };
    const kinds = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"];
    const states = {l: "#0072b2", m: "#e69f00", d: "#e69f00", c: "#e69f00", r: "#cc79a7", f: null};
    const pages = {r: "#0072b2", s: "#d55e00", z: "#cc79a7", g: null, a: null};

    const parts = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

    /* A colour of a scale, from 0 to 1. */
    function scale(name, share) {
        const stops = scales[name];
        const at = Math.min(1, Math.max(0, share)) * (stops.length - 1);
        const low = Math.floor(at);
        const from = parts(stops[low]);
        const to = parts(stops[Math.min(low + 1, stops.length - 1)]);
        return `rgb(${from.map((value, i) => Math.round(value + (to[i] - value) * (at - low))).join(" ")})`;
    }

    /* One of the seven colours; the eighth, grey, is for all others. */
    function kind(index) {
        return index >= 0 && index < kinds.length ? kinds[index] : "#888888";
    }

    /* A stable colour for a text: frames of a flame graph with the same name look the same. */
    function named(text) {
        let hash = 2166136261;
        for (let i = 0; i < text.length; i++) {
            hash = Math.imul(hash ^ text.charCodeAt(i), 16777619) >>> 0;
        }
        return `hsl(${28 + hash % 24} ${70 + (hash >>> 8) % 25}% ${66 + (hash >>> 16) % 16}%)`;
    }

    function bySize(size) {
        return scale("viridis", 0.14 + 0.8 * (Math.log2(Math.max(16, size)) - 4) / 11);
    }

    /* From a second to a day. Neither end of the scale is as dark or as light as the page. */
    function byAge(seconds) {
        return scale("cividis", Math.log10(Math.max(1, seconds)) / 5);
    }

    return {scale, kind, named, bySize, byAge, states, pages};
})();
