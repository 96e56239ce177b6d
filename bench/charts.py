#!/usr/bin/python3
"""Draws the charts of a measurement: charts.py DIRECTORY reads results.json there and writes the SVG files beside it.

It runs under the distribution's python3, for which the distribution's matplotlib is; bench/run needs neither.
"""

import json
import pathlib
import sys

sys.dont_write_bytecode = True
from analysis import MEMORY, TIME, Results

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

# Told apart also by those who see few colours (Okabe and Ito), and by their marks.
STYLES = {"mems": ("#d55e00", "o"), "glibc": ("#000000", "s"), "jemalloc": ("#0072b2", "^"),
          "mimalloc": ("#009e73", "D"), "tcmalloc": ("#cc79a7", "v"), "tbbmalloc": ("#e69f00", "P"),
          "scudo": ("#56b4e9", "X")}
MORE = (("#7a4b00", "<"), ("#5b5b5b", ">"), ("#6a3d9a", "p"), ("#8c1c13", "h"))
FURTHEST = 16  # times the best: what is worse stands there, at the edge


def style(results, name):
    """(colour, marker) of an allocator."""
    others = [other for other in results.names if other not in STYLES]
    return STYLES.get(name) or MORE[others.index(name) % len(MORE)]


def front(results, name):
    """Ours lie above the others."""
    return 3 if name in results.ours else 2


def save(figure, directory, name):
    """Writes a chart, without the date."""
    figure.savefig(directory / f"{name}.svg", metadata={"Date": None}, bbox_inches="tight")
    pyplot.close(figure)


def caption(results):
    """Where the figures are from."""
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
    """Each workload a line, each allocator a mark on it: its ratio to the best peer."""
    labels = results.compared()
    figure, axes = pyplot.subplots(figsize=(8, 1.5 + 0.19 * len(labels)))
    for peer in results.names:
        values = [results.ratios(label, field)[peer] for label in labels]
        points = [(min(value, FURTHEST), row) for row, value in enumerate(values) if value is not None]
        colour, mark = style(results, peer)
        axes.plot([x for x, _ in points], [y for _, y in points], mark, color=colour, label=peer, markersize=5,
                  zorder=front(results, peer), alpha=0.85, linestyle="none")
    axes.set_xscale("log", base=2)
    ratio_axis(axes.xaxis)
    axes.axvline(1, color="#888888", linewidth=1)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel(f"relative to the best peer of each workload; left is better; at {FURTHEST}: {FURTHEST} and more")
    titled(axes, results, title)
    legend(axes)
    save(figure, directory, name)


def means(results, directory):
    """Time across, memory up: one point an allocator."""
    time, memory = results.complete(TIME), results.complete(MEMORY)
    figure, axes = pyplot.subplots(figsize=(6.5, 5))
    for name in results.able:
        point = results.mean(name, TIME, time), results.mean(name, MEMORY, memory)
        colour, mark = style(results, name)
        axes.plot(*point, mark, color=colour, markersize=9, zorder=front(results, name))
        axes.annotate(name, point, xytext=(8, 0), textcoords="offset points", va="center")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(ticker.LogLocator(2, subs=(1.0, 1.25, 1.5, 1.75)))
        axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.margins(0.15)
    axes.set_xlabel("time, relative to the best peer of each workload; left is better")
    axes.set_ylabel("peak RSS, likewise; lower is better")
    titled(axes, results, f"Geometric means over {len(time)} workloads")
    save(figure, directory, "means")


def panels(results, labels, title, width):
    """A row of charts under one title, one a workload."""
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
                colour, mark = style(results, name)
                axes.plot(values, color=colour, marker=mark, markersize=4, label=name, zorder=front(results, name))
        axes.set_yscale("log")
        axes.set_xticks(range(len(points)), [point for _, point in points])
    row[0].set_ylabel("nanoseconds")
    legend(row[-1])
    save(figure, directory, "latency")


def samples(results, label, name):
    """(RSS, live) in MiB, as the first round has them, in the order of time."""
    text = results.runs[label, name][0].get("samples", "")
    return [tuple(int(part) / 1024 for part in pair.split("/")) for pair in text.split(",") if pair]


def fragmentation(results, directory):
    """Resident memory while a workload goes through its phases, and what of it is live."""
    labels = results.having("samples")
    variants = list(dict.fromkeys(label.partition("@")[0] for label in labels))
    labels = [next(label for label in labels if label.startswith(variant)) for variant in variants]
    figure, row = panels(results, labels, "Resident memory over the life of a program whose block sizes change", 5)
    for axes, label in zip(row, labels):
        live = []
        for name in results.names:
            pairs = samples(results, label, name)
            live = live or [pair[1] for pair in pairs]
            axes.plot([pair[0] for pair in pairs], color=style(results, name)[0], label=name, linewidth=1.3,
                      zorder=front(results, name))
        axes.fill_between(range(len(live)), live, color="#d8d8d8", label="live", linewidth=0)
        axes.set_xlabel("samples")
    row[0].set_ylim(bottom=0)
    row[0].set_ylabel("MiB")
    legend(row[-1])
    save(figure, directory, "fragmentation")


def main(directory):
    """All charts for which there are figures."""
    results = Results(json.loads((directory / "results.json").read_text(encoding="utf-8")))
    if results.compared():
        ratios(results, directory, TIME, "time", "Time")
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
