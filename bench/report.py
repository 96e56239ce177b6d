"""Results as text: tables of time and memory, tables of what some workloads are about, and the engine's goals."""

import dataclasses
import re

import analysis
from analysis import CALLS, CPU, FAULTS, INSTRUCTIONS, MEMORY, TIME, Results

LABEL, COLUMN = 26, 11
SLOWER = 1.15  # times the best peer: a workload on which another allocator is better


@dataclasses.dataclass(frozen=True)
class Column:
    """A figure of a run: its title, its unit, the field's unit relative to that, and the number's format."""
    field: str
    title: str
    unit: str
    scale: float
    form: str

    def shown(self, value):
        """A value of the field as text."""
        return "failed" if value is None else format(value / self.scale, self.form)


PAGE_FAULTS = Column(FAULTS, "page faults", "", 1, ".0f")
COMPARED = (Column(TIME, "time", "s", 1, ".3f"), Column(CPU, "CPU time", "s", 1, ".3f"),
            Column(MEMORY, "peak RSS", "MiB", 1024, ".1f"))
COUNTED = (Column(INSTRUCTIONS, "instructions", "M", 1e6, ".1f"), PAGE_FAULTS,
           Column(CALLS, "system calls", "", 1, ".0f"))
TABLES = (("latency of single calls, ns", (("p50_ns", "p50"), ("p99_ns", "p99"), ("p999_ns", "p99.9"),
                                          ("p9999_ns", "p99.99"), ("worst_ns", "worst"))),
          ("fragmentation: RSS over live bytes", (("rss_over_live_mean", "mean"), ("rss_over_live_worst", "worst"))),
          ("memory that goes back: MiB resident", (("rss_start_kib", "start"), ("rss_peak_kib", "peak"),
                                                   ("rss_after_kib", "2 s after"))),
          ("memory that stays: MiB resident", (("rss_start_kib", "start"), ("rss_end_kib", "end"))),
          ("freed memory of a thread that sleeps: MiB resident", (("rss_freed_kib", ""),)),
          ("idle threads: KiB each", (("rss_per_thread_kib", ""),)))


def heading(title, names, first=""):
    """A title, and the line above the columns."""
    return ["", title, f"{'':{LABEL}}{first:>{COLUMN}}" + "".join(f"{name:>{COLUMN}.{COLUMN - 1}}" for name in names)]


def cell(value, form, mark=""):
    """A number in its column, followed by a mark."""
    return f"{'failed' if value is None else format(value, form) + (mark or ' '):>{COLUMN}}"


def marks(lowest):
    """name -> the mark of the lowest."""
    return dict.fromkeys(lowest, "*" if len(lowest) == 1 else "=")


def ratio_row(results, column, workload):
    """The reference's own figure, the noise of the ratios to it, and the ratios."""
    field = column.field
    base = results.reference(workload, field)
    own, spread = results.median(workload, base, field) if base else None, results.spread(workload, field)
    marked = marks(results.lowest(workload, field))
    return (f"{workload:{LABEL}}{column.shown(own):>{COLUMN - 1}} "
            + ("" if spread is None else f"{100 * spread:6.1f} ").rjust(7) + "".join(
                cell(ratio, ".3f" if results.base else ".2f", marked.get(name))
                for name, ratio in results.ratios(workload, field).items()))


def ratio_table(results, column):
    """The ratios to the reference of each workload, with its own figure."""
    base = results.base or "the best peer of each workload"
    own = ", ".join(filter(None, (results.base or "best", column.unit)))
    *title, names = heading(f"{column.title}, relative to {base}", results.names, own)
    yield from (*title, names[:LABEL + COLUMN] + f"{'+-%':>6} " + names[LABEL + COLUMN:])
    for workload in results.compared():
        yield ratio_row(results, column, workload)


def mean_row(results, field, label, workloads, base, clipped):
    """Geometric means of ratios to one peer, or to the best one of each workload. The lowest is marked if it is below
    all others by more than the noise."""
    means = {name: results.mean(name, field, workloads, base, clipped) for name in results.names}
    rounds = {name: results.round_means(name, field, workloads, base, clipped) for name in results.able(field)}
    lowest = rounds[min(rounds, key=means.get)]
    alike = {name for name in rounds if not analysis.paired(rounds[name], lowest).differs}
    marked = marks(alike if results.rounds >= analysis.ENOUGH_ROUNDS else ())
    return f"{label:{LABEL + COLUMN + 7}}" + "".join(
        cell(mean, ".3f", marked.get(name)) for name, mean in means.items())


def mean_table(results, columns):
    """Geometric means over all workloads, and over the real programs."""
    *title, names = heading("geometric means of ratios", results.names)
    yield from (*title, names[:LABEL + COLUMN] + " " * 7 + names[LABEL + COLUMN:])
    for field, what in ((column.field, column.title) for column in columns):
        bases = [base for base in ([results.base] if results.base else [None, "glibc"])
                 if base is None or base in results.able(field)]
        complete = results.complete(field)
        programs = [label for label in complete if label.startswith("real/")]
        groups = [(complete, "")] if len(programs) == len(complete) else [(complete, ""), (programs, "real programs, ")]
        for workloads, which in groups:
            for base in bases if workloads else ():
                yield mean_row(results, field, f"{what}, {which}{base or 'best'} = 1 ({len(workloads)})", workloads,
                               base, False)
                yield mean_row(results, field, f"    clipped to {analysis.CLIP[0]} .. {analysis.CLIP[1]}", workloads,
                               base, True)


def figure_table(results, title, figures):
    """Medians over the rounds of the figures that some workloads are about."""
    workloads = results.having(figures[-1][0])
    if not workloads:
        return
    yield from heading(title, results.names)
    scale = 1024 if "MiB" in title else 1
    for workload in workloads:
        for field, name in figures:
            medians = {peer: results.median(workload, peer, field) for peer in results.names}
            label = f"{workload} {name}"
            yield f"{label:{LABEL + COLUMN}}" + "".join(
                cell(None if median is None else median / scale, ".0f" if median and median >= 100 * scale else ".2f")
                for median in medians.values())


def worst(results, name, field, workloads, base=None):
    """(ratio, workload) of a peer's worst workload, against one other or the best one of each workload."""
    ratios = [(results.ratio(workload, name, field, base or results.best(workload, field)), workload)
              for workload in workloads]
    return max((pair for pair in ratios if pair[0] is not None), default=None)


def time_goals(results, name):
    """Those of time, against the best peer."""
    workloads = results.complete(TIME)
    if workloads:
        means = {peer: results.mean(peer, TIME, workloads, clipped=True) for peer in results.peers(TIME)}
        peer = min(means, key=means.get)
        yield ("time, clipped mean over the best peer's", 0.95,
               results.mean(name, TIME, workloads, clipped=True) / means[peer], peer)
        slower = [workload for workload in workloads if name not in results.lowest(workload, TIME)
                  and results.ratio(workload, name, TIME, results.best(workload, TIME)) > SLOWER]
        yield f"workloads with more than {SLOWER} of the best's time", 5, len(slower), f"of {len(workloads)}"
        found = worst(results, name, TIME, [label for label in workloads if label.startswith("real/")])
        if found:
            yield "time of any real program, over the best peer's", 1.03, *found


def memory_goals(results, name):
    """Those against the C library's malloc."""
    workloads = results.complete(MEMORY)
    real = [label for label in workloads if label.startswith("real/")]
    for labels, what, limit in ((workloads, "peak RSS, clipped mean over glibc's", 1.0),
                                (real, "peak RSS of real programs, mean over glibc's", 1.0)):
        if labels:
            yield what, limit, results.mean(name, MEMORY, labels, "glibc", True), f"{len(labels)} workloads"
    found = worst(results, name, MEMORY, real, "glibc")
    if found:
        yield "peak RSS of any real program, over glibc's", 1.05, *found
    found = worst(results, name, TIME, [label for label in results.complete(TIME) if label.startswith("startup/")],
                  "glibc")
    if found:
        yield "time to start a program, over glibc's", 1.03, *found


def goals(results, name):
    """(goal, limit, figure, where) for each goal that these results can show."""
    yield from time_goals(results, name)
    if "glibc" in results.names:
        yield from memory_goals(results, name)
    found = worst(results, name, "p9999_ns", results.having("p9999_ns"))
    if found:
        yield "p99.99 of a single call, over the best peer's", 1.0, *found
    pairs = [(results.median(label, name, "rss_after_kib"), results.median(label, name, "rss_start_kib"), label)
             for label in results.having("rss_after_kib")]
    returns = [(after / start, label) for after, start, label in pairs if None not in (after, start)]
    if returns:
        yield "RSS after all is freed, over that of the start", 1.10, *max(returns)
    for label in results.having("rss_per_thread_kib"):
        yield "RSS of an idle thread, KiB", 16, results.median(label, name, "rss_per_thread_kib"), label


def goal_table(results, name):
    """How `name` meets its goals."""
    table = list(goals(results, name))
    yield from ("", f"goals of {name}") if table else ()
    for what, limit, figure, where in table:
        if figure is None:
            yield f"{what:54}{'failed':>8}"
        else:
            met = "met" if figure <= limit else "not met"
            yield f"{what:54}{figure:8.3f}  {met:8} (at most {limit:g}; {where})"


def peer_line(peer):
    """Describes a peer."""
    if peer["missing"]:
        return f"  {peer['name']:12}missing: {peer['missing']}"
    digest = peer.get("sha256")
    shown = f" (SHA-256 {digest})" if digest and digest not in peer["version"] else ""
    return f"  {peer['name']:12}{peer['version']}{shown}{', ' + peer['options'] if peer['options'] else ''}"


def machine_lines(data):
    """The machine, the peers and how it was measured."""
    machine, settings = data["machine"], data["settings"]
    yield (f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB; Linux {machine['kernel']}, "
           f"{machine['distribution']}, {machine['libc']}, huge pages: {machine['transparent_huge_pages']}")
    yield (f"{machine['compiler']}; project at {machine['project'] or 'no revision'}; {machine['date']}; "
           f"rounds: {settings['rounds']}, {settings['percent']} % of the work")
    if settings.get("cores"):
        yield f"workloads with several threads have {settings['cores']} of the cores"
    if settings.get("stops"):
        yield f"stopped and resumed, {settings['stops']} times"
    if not settings.get("counts") and machine["load_at_start"] > machine["cores"] / 4:
        yield f"The machine was busy at the start (load {machine['load_at_start']:.1f}): times are rough."
    yield from map(peer_line, data["peers"])


def legend(results):
    """Explains the marks."""
    yield ""
    if results.rounds < analysis.ENOUGH_ROUNDS:
        yield (f"no marks: {results.rounds} round{'s' * (results.rounds > 1)} cannot tell a difference from noise, "
               f"{analysis.ENOUGH_ROUNDS} or more can")
    else:
        yield "* is the lowest of all, = are the lowest where noise does not let one of them be told from the others"
    if results.rounds > 1:
        yield "+-% is the noise: half the distance of a ratio's quartiles over the rounds, for the middle allocator"


def lines(data, base=None):
    """The whole report; ratios are to the best peer of each workload, or to `base`."""
    results = Results(data, base)
    yield from machine_lines(data)
    columns = [column for column in (COUNTED if data["settings"].get("counts") else COMPARED)
               if results.able(column.field)]
    if results.compared():
        yield from legend(results)
        yield from mean_table(results, columns)
        for column in columns:
            yield from ratio_table(results, column)
    if not data["settings"].get("counts"):
        for title, figures in TABLES:
            yield from figure_table(results, title, figures)
        for peer in data["peers"]:
            if peer["ours"] and not peer.get("options") and peer["name"] in results.able(TIME):
                yield from goal_table(results, peer["name"])
    yield from failure_lines(results)


def failure_lines(results):
    """What was not measured, and what failed."""
    for label, reason in results.data["missing"].items():
        yield f"not measured: {label}: {reason}"
    for workload, name, failed, runs, error in results.failures():
        yield f"failed: {workload} under {name}, {failed} of {runs}: {error}"


def coloured(text):
    """The same for a terminal: the lowest figures are blue."""
    return re.sub(r"[\d.]+\*(?= |$)", lambda found: f"\033[1;34m{found[0]}\033[0m", text)
