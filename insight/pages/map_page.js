"use strict";

/* The page of `mems map --html`, which contains the whole heap. */
(() => {
    const data = JSON.parse(document.getElementById("data").textContent);
    const heap = new Heap(data);
    const target = data.target;
    const name = `${target.program || "a process"}${target.pid ? ` (${target.pid})` : ""}`;
    const bytes = heap.areas.reduce((sum, area) => sum + area.end - area.start, 0);
    document.title = `mems map: ${name}`;
    document.getElementById("title").textContent = name;
    document.getElementById("about").textContent =
        `${target.kind}; ${heap.areas.length} ${heap.areas.length === 1 ? "area" : "areas"} of ${Text.size(bytes)}`;
    new HeapMap(document.getElementById("map"), heap, async (span) => span);
})();
