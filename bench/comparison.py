"""Compares two allocators as text: for each workload and figure the ratio B/A, its quartiles over the rounds, and a
mark if the difference exceeds the noise."""

import analysis
from report import COMPARED, COUNTED, LABEL, PAGE_FAULTS, TABLES, failure_lines, machine_lines

WIDTH = 24
LESS, MORE, PLAIN = "\033[34m", "\033[33m", "\033[0m"  # blue and yellow: told apart by all who see colours at all


def cell(comparison, own, colour):
    """A ratio with its quartiles, or for a single round with A's figure."""
    if comparison is None:
        return f"{'failed':>{WIDTH}}"
    first, median, third = comparison.quartiles
    if len(comparison.ratios) == 1:
        return f"{f'{own} {median:7.3f} ':>{WIDTH}}"
    text = f"{median:.3f} [{first:.3f} {third:.3f}]{'*' if comparison.differs else ' '}".rjust(WIDTH)
    return f"{LESS if median < 1 else MORE}{text}{PLAIN}" if colour and comparison.differs else text


def mean_lines(results, columns, first, second, colour):
    """Geometric means over all workloads and over the real programs."""
    for real in (False, True):
        for clipped in (False, True):
            texts, sizes = [], []
            for column in columns:
                workloads = [label for label in results.complete(column.field) if not real or label.startswith("real/")]
                means = results.round_means(second, column.field, workloads, first, clipped)
                texts.append(cell(analysis.Comparison(tuple(means)), "", colour) if means else " " * WIDTH)
                sizes.append(len(workloads))
            label = f"{'real programs' if real else 'geometric mean'} ({max(sizes)})"
            if clipped:
                label = f"  clipped to {analysis.CLIP[0]}..{analysis.CLIP[1]}"
            if any(sizes):
                yield f"{label:{LABEL}}" + "".join(texts)


def tally(results, column, first, second):
    """How many workloads differ, and in which direction."""
    comparisons = [results.comparison(workload, second, column.field, first) for workload in results.compared()]
    seen = [comparison.median < 1 for comparison in comparisons if comparison and comparison.differs]
    return f"{seen.count(True)} less, {seen.count(False)} more ".rjust(WIDTH)


def explanation(results, first, second):
    """Explains a cell."""
    ratio = f"{second}/{first}"
    if results.rounds == 1:
        return f"{first}'s figure and the ratio {ratio}; one round cannot tell a difference from noise"
    if results.rounds < analysis.ENOUGH_ROUNDS:
        return f"{ratio} [quartiles]; {results.rounds} rounds cannot tell a difference from noise"
    return f"{ratio} [quartiles]; * is a difference outside the noise"


def figure_lines(results, first, second, colour):
    """The figures that some workloads are about: the medians of both, memory in KiB, and the ratio."""
    for title, figures in TABLES:
        title = title.replace("MiB", "KiB")
        workloads = results.having(figures[-1][0])
        yield from ("", title) if workloads else ()
        for workload in workloads:
            for field, name in figures:
                medians = [results.median(workload, peer, field) for peer in (first, second)]
                comparison = results.comparison(workload, second, field, first)
                yield f"{f'{workload} {name}':{LABEL + 8}}" + "".join(
                    f"{'failed' if median is None else f'{median:.1f}':>14}" for median in medians) + (
                        cell(comparison, "", colour) if results.rounds > 1 else "")


def lines(data, first, second, colour):
    """The whole comparison of the peers `first` and `second`."""
    results = analysis.Results(data, first)
    columns = COUNTED if data["settings"]["counts"] else (*COMPARED, PAGE_FAULTS)
    yield from (*machine_lines(data), "", explanation(results, first, second))
    if results.compared():
        titles = [column.title + f", {column.unit}" * (results.rounds == 1 and column.unit != "") for column in columns]
        yield f"{'':{LABEL}}" + "".join(f"{title} ".rjust(WIDTH) for title in titles)
        for workload in results.compared():
            yield f"{workload:{LABEL}}" + "".join(
                cell(results.comparison(workload, second, column.field, first),
                     column.shown(results.median(workload, first, column.field)), colour) for column in columns)
        yield from mean_lines(results, columns, first, second, colour)
        if results.rounds >= analysis.ENOUGH_ROUNDS:
            tallies = [tally(results, column, first, second) for column in columns]
            yield f"{'outside the noise':{LABEL}}" + "".join(tallies)
    if not data["settings"]["counts"]:
        yield from figure_lines(results, first, second, colour)
    yield from failure_lines(results)
