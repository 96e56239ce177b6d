#!/usr/bin/python3
"""Draws the charts of a measurement: charts.py DIRECTORY reads results.json there and writes the SVG files beside it.

It runs under the distribution's python3, which has the distribution's matplotlib; bench/run needs neither.
"""

import dataclasses
import json
import pathlib
import sys

sys.dont_write_bytecode = True
from analysis import CLIP, CPU, MEMORY, TIME, Results

try:
    import matplotlib
    from matplotlib import pyplot, ticker
except ImportError:
    sys.exit(f"{sys.argv[0]}: no charts, for there is no matplotlib (Debian's package python3-matplotlib)")

# The same results make the same file, byte for byte. The ground is opaque, so that it is legible on any page.
matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "mems", "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False,
                            "axes.spines.right": False, "axes.grid": True, "grid.color": "#e4e4e4",
                            "axes.axisbelow": True, "legend.frameon": False, "figure.facecolor": "white"})

@dataclasses.dataclass(frozen=True)
class Style:
    """How an allocator is drawn. Marks and lines are all different, so colours are not needed to tell them apart."""
    colour: str
    mark: str
    line: str | tuple
    hollow: bool = False

    def of_marks(self, size):
        """The arguments of pyplot for such marks."""
        return {"color": self.colour, "marker": self.mark, "markersize": size, "markeredgewidth": 1,
                "markerfacecolor": "white" if self.hollow else self.colour}


# The colours are those of Okabe and Ito, with grey in place of yellow, which is faint on white.
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE, GREY = ("#000000", "#e69f00", "#56b4e9", "#009e73", "#0072b2",
                                                            "#d55e00", "#cc79a7", "#6b6b6b")
DOTS, DASHES, LONG, MIXED, FINE = "dotted", "dashed", (0, (8, 2)), "dashdot", (0, (1, 3))
STYLES = {"mems": Style(VERMILION, "o", "solid"), "glibc": Style(BLACK, "s", "solid"),
          "jemalloc": Style(BLUE, "^", DASHES), "mimalloc": Style(GREEN, "D", DOTS),
          "tcmalloc": Style(PURPLE, "v", MIXED), "tbbmalloc": Style(ORANGE, "P", LONG),
          "scudo": Style(SKY, "X", FINE)}
MORE = (Style(GREEN, "d", (0, (6, 1)), True), Style(BLUE, ">", (0, (4, 1, 1, 1)), True), Style(GREY, "p", (0, (2, 2))),
        Style(PURPLE, "<", (0, (8, 1, 1, 1)), True), Style(ORANGE, "h", (0, (1, 1)), True),
        Style(BLACK, "*", (0, (3, 1, 1, 1, 1, 1))), Style(SKY, "8", (0, (10, 3)), True),
        Style(VERMILION, "1", (0, (5, 5))), Style(GREY, "x", (0, (2, 4))), Style(BLUE, "+", (0, (8, 2, 3, 2))))
FURTHEST = 16  # times the best: what is worse stands there, at the edge


def style(results, name):
    """An allocator's style."""
    others = [other for other in results.names if other not in STYLES]
    return STYLES.get(name) or MORE[others.index(name) % len(MORE)]


def front(results, name):
    """Draws ours above the others."""
    return 3 if name in results.ours else 2


def save(figure, directory, name):
    """Writes a chart, without the date."""
    figure.savefig(directory / f"{name}.svg", metadata={"Date": None}, bbox_inches="tight")
    pyplot.close(figure)


def caption(results):
    """Says where the figures come from."""
    machine, settings = results.data["machine"], results.data["settings"]
    return (f"{machine['processor']}, {machine['cores']} cores, Linux {machine['kernel']}, {machine['libc']}; "
            f"rounds: {settings['rounds']}; {machine['date']}")


def titled(axes, results, title):
    """A title, with the machine below it."""
    axes.set_title(f"{title}\n", loc="left", fontweight="bold")
    axes.text(0, 1.0, f"{caption(results)}\n", transform=axes.transAxes, va="center", color="#555555", fontsize=8)


def legend(axes):
    """To the right of a chart."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1))


def ratio_axis(axis):
    """A logarithmic axis of ratios, with plain numbers."""
    axis.set_major_locator(ticker.LogLocator(2, subs=(1.0,)))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(ticker.NullLocator())


def ratios(results, directory, field, name, title):
    """A line per workload with a mark per allocator: its ratio to the best peer. Ours have bars between the quartiles.
    """
    labels = results.compared()
    figure, axes = pyplot.subplots(figsize=(8, 1.5 + 0.19 * len(labels)))
    for peer in results.names:
        values = [results.ratios(label, field)[peer] for label in labels]
        points = [(min(value, FURTHEST), row) for row, value in enumerate(values) if value is not None]
        axes.plot([x for x, _ in points], [y for _, y in points], label=peer, zorder=front(results, peer), alpha=0.85,
                  linestyle="none", **style(results, peer).of_marks(5))
        if peer in results.ours:
            noise(results, axes, labels, field, peer)
    axes.set_xscale("log", base=2)
    ratio_axis(axes.xaxis)
    axes.axvline(1, color="#888888", linewidth=1)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel(f"relative to the best peer of each workload; left is better; at {FURTHEST}: {FURTHEST} and more")
    titled(axes, results, title)
    legend(axes)
    save(figure, directory, name)


def noise(results, axes, labels, field, peer):
    """A thin bar between the quartiles of each of a peer's ratios."""
    for row, label in enumerate(labels):
        comparison = results.comparison(label, peer, field, results.reference(label, field))
        if comparison:
            low, _, high = comparison.quartiles
            axes.plot([min(low, FURTHEST), min(high, FURTHEST)], [row, row], color=style(results, peer).colour,
                      linewidth=1, zorder=front(results, peer))


def mean_panel(results, axes, field, clipped):
    """A figure on the x axis, memory on the y axis: one named mark per allocator."""
    across, memory = results.complete(field), results.complete(MEMORY)
    for name in results.able(field):
        point = [results.mean(name, of, over, clipped=clipped) for of, over in ((field, across), (MEMORY, memory))]
        axes.plot(*point, zorder=front(results, name), linestyle="none", label=name, **style(results, name).of_marks(8))
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(ticker.LogLocator(2, subs=(1.0, 1.25, 1.5, 1.75)))
        axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(ticker.NullLocator())
    axes.margins(0.1)


def means(results, directory):
    """Time and CPU time on the x axes, memory on the y axis; plain and clipped."""
    fields = [(field, name) for field, name in ((TIME, "time"), (CPU, "CPU time")) if results.complete(field)]
    figure, rows = pyplot.subplots(2, len(fields), figsize=(5.2 * len(fields), 9), squeeze=False)
    for clipped, row in zip((False, True), rows):
        for axes, (field, name) in zip(row, fields):
            mean_panel(results, axes, field, clipped)
            axes.set_xlabel(f"{name}{f', ratios clipped to {CLIP[0]} .. {CLIP[1]}' * clipped}; left is better")
        row[0].set_ylabel("peak RSS, likewise; lower is better")
    titled(rows[0][0], results, f"Geometric means over {len(results.complete(TIME))} workloads; the best peer = 1")
    legend(rows[0][-1])
    save(figure, directory, "means")


def panels(results, labels, title, width):
    """A row of charts under one title, one per workload."""
    figure, row = pyplot.subplots(1, len(labels), figsize=(width * len(labels) + 1, 3.6), sharey=True, squeeze=False)
    titled(row[0][0], results, title)
    for axes, label in zip(row[0], labels):
        axes.text(0.02, 0.97, label, transform=axes.transAxes, va="top")
    return figure, row[0]


def latency(results, directory):
    """The percentiles of single calls, as lines."""
    points = (("p50_ns", "p50"), ("p99_ns", "p99"), ("p999_ns", "p99.9"), ("p9999_ns", "p99.99"), ("worst_ns", "worst"))
    labels = results.having("p9999_ns")
    figure, row = panels(results, labels, "Latency of a single malloc or free", 3)
    for axes, label in zip(row, labels):
        for name in results.names:
            values = [results.median(label, name, field) for field, _ in points]
            if None not in values:
                own = style(results, name)
                axes.plot(values, linestyle=own.line, linewidth=1.2, label=name, zorder=front(results, name),
                          **own.of_marks(4))
        axes.set_yscale("log")
        axes.set_xticks(range(len(points)), [point for _, point in points])
    row[0].set_ylabel("nanoseconds")
    legend(row[-1])
    save(figure, directory, "latency")


def samples(results, label, name):
    """(RSS, live) in MiB from the first round, in order of time."""
    text = results.runs[label, name][0].get("samples", "")
    return [tuple(int(part) / 1024 for part in pair.split("/")) for pair in text.split(",") if pair]


def fragmentation(results, directory):
    """Resident memory and live bytes while a workload goes through its phases."""
    labels = results.having("samples")
    variants = list(dict.fromkeys(label.partition("@")[0] for label in labels))
    labels = [next(label for label in labels if label.startswith(variant)) for variant in variants]
    figure, row = panels(results, labels, "Resident memory over the life of a program whose block sizes change", 5)
    for axes, label in zip(row, labels):
        live = []
        for name in results.names:
            pairs = samples(results, label, name)
            live = live or [pair[1] for pair in pairs]
            own = style(results, name)
            axes.plot([pair[0] for pair in pairs], linestyle=own.line, label=name, linewidth=1.2,
                      markevery=max(1, len(pairs) // 8), zorder=front(results, name), **own.of_marks(4))
        axes.fill_between(range(len(live)), live, color="#d8d8d8", label="live", linewidth=0)
        axes.set_xlabel("samples")
    row[0].set_ylim(bottom=0)
    row[0].set_ylabel("MiB")
    legend(row[-1])
    save(figure, directory, "fragmentation")


def main(directory):
    """Draws all charts for which there are figures."""
    results = Results(json.loads((directory / "results.json").read_text(encoding="utf-8")))
    if results.compared():
        ratios(results, directory, TIME, "time", "Time")
        if results.able(CPU):
            ratios(results, directory, CPU, "cpu", "CPU time, in user mode and in the kernel, of all threads")
        ratios(results, directory, MEMORY, "memory", "Peak RSS")
    if results.complete(TIME) and results.complete(MEMORY):
        means(results, directory)
    if results.having("p9999_ns"):
        latency(results, directory)
    if results.having("samples"):
        fragmentation(results, directory)


if len(sys.argv) != 2:
    sys.exit(f"usage: {sys.argv[0]} DIRECTORY")
main(pathlib.Path(sys.argv[1]))
