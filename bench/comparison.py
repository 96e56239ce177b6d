"""How one allocator compares with another one, as text: for each workload and figure the ratio B/A, its quartiles over
the rounds, and a mark where the difference is outside the noise."""

import analysis
from report import COMPARED, COUNTED, LABEL, PAGE_FAULTS, failure_lines, machine_lines

WIDTH = 24
LESS, MORE, PLAIN = "\033[34m", "\033[33m", "\033[0m"  # blue and yellow: told apart by all who see colours at all


def cell(comparison, own, colour):
    """A ratio with its quartiles, or of a single round with A's figure."""
    if comparison is None:
        return f"{'failed':>{WIDTH}}"
    first, median, third = comparison.quartiles
    if len(comparison.ratios) == 1:
        return f"{f'{own} {median:7.3f} ':>{WIDTH}}"
    text = f"{median:.3f} [{first:.3f} {third:.3f}]{'*' if comparison.differs else ' '}".rjust(WIDTH)
    return f"{LESS if median < 1 else MORE}{text}{PLAIN}" if colour and comparison.differs else text


def mean_lines(results, columns, a, b, colour):
    """Geometric means over all workloads and over the real programs."""
    for real in (False, True):
        for clipped in (False, True):
            texts, sizes = [], []
            for column in columns:
                workloads = [label for label in results.complete(column.field) if not real or label.startswith("real/")]
                means = results.round_means(b, column.field, workloads, a, clipped)
                texts.append(cell(analysis.Comparison(tuple(means)), "", colour) if means else " " * WIDTH)
                sizes.append(len(workloads))
            label = f"{'real programs' if real else 'geometric mean'} ({max(sizes)})"
            if clipped:
                label = f"  clipped to {analysis.CLIP[0]}..{analysis.CLIP[1]}"
            if any(sizes):
                yield f"{label:{LABEL}}" + "".join(texts)


def tally(results, column, a, b):
    """How many workloads differ, and in what direction."""
    comparisons = [results.comparison(workload, b, column.field, a) for workload in results.compared()]
    seen = [comparison.median < 1 for comparison in comparisons if comparison and comparison.differs]
    return f"{seen.count(True)} less, {seen.count(False)} more ".rjust(WIDTH)


def lines(data, a, b, colour):
    """The whole comparison of the peers `a` and `b`."""
    results = analysis.Results(data, a)
    columns = COUNTED if data["settings"]["counts"] else (*COMPARED, PAGE_FAULTS)
    yield from machine_lines(data)
    yield ""
    if results.rounds == 1:
        yield f"{a}'s figure and the ratio {b}/{a}; one round cannot tell a difference from noise"
    elif results.rounds < analysis.ENOUGH_ROUNDS:
        yield f"{b}/{a} [quartiles]; {results.rounds} rounds cannot tell a difference from noise"
    else:
        yield f"{b}/{a} [quartiles]; * is a difference outside the noise"
    yield f"{'':{LABEL}}" + "".join(
        f"{', '.join(filter(None, (column.title, column.unit if results.rounds == 1 else '')))} ".rjust(WIDTH)
        for column in columns)
    for workload in results.compared():
        yield f"{workload:{LABEL}}" + "".join(
            cell(results.comparison(workload, b, column.field, a),
                 column.shown(results.median(workload, a, column.field)), colour) for column in columns)
    yield from mean_lines(results, columns, a, b, colour)
    if results.rounds >= analysis.ENOUGH_ROUNDS:
        yield f"{'outside the noise':{LABEL}}" + "".join(tally(results, column, a, b) for column in columns)
    yield from failure_lines(results)
