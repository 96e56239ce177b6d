"use strict";

/* Numbers as text, and elements of the page. */
const Text = {
    size(bytes) {
        const units = ["B", "KiB", "MiB", "GiB", "TiB"];
        let unit = 0;
        let value = Math.abs(bytes);
        for (; value >= 1024 && unit < units.length - 1; value /= 1024) {
            unit++;
        }
        const digits = unit === 0 || value >= 100 ? 0 : 1;
        return `${bytes < 0 ? "-" : ""}${value.toFixed(digits)} ${units[unit]}`;
    },

    address(number) {
        return `0x${number.toString(16)}`;
    },

    age(seconds) {
        const s = Math.max(0, Math.round(seconds));
        if (s < 120) {
            return `${s} s`;
        }
        if (s < 7200) {
            return `${Math.floor(s / 60)} min`;
        }
        return s < 172800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} days`;
    },

    count(number) {
        return number.toLocaleString("en-US");
    },

    percent(part, whole) {
        return whole > 0 ? `${(100 * part / whole).toFixed(1)} %` : "-";
    },

    /* An element with attributes and children; a text becomes text, never markup. */
    element(name, attributes = {}, ...children) {
        const element = document.createElement(name);
        for (const [key, value] of Object.entries(attributes)) {
            if (key.startsWith("on")) {
                element.addEventListener(key.slice(2), value);
            } else if (value !== null && value !== false) {
                element.setAttribute(key, value === true ? "" : value);
            }
        }
        element.append(...children.filter((child) => child !== null && child !== undefined));
        return element;
    },
};
