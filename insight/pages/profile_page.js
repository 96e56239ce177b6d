"use strict";

/* The page of `mems profile --format html`. */
(() => {
    const data = JSON.parse(document.getElementById("data").textContent);
    document.title = `mems profile: ${data.title}`;
    document.getElementById("title").textContent = data.title;
    document.getElementById("about").textContent = data.about || "";
    new FlameGraph(document.getElementById("flame"), data.measures, data.stacks);
})();
