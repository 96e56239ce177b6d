"""Results as text: tables of time and memory, tables of what some workloads are about, and the goals of the engine."""

from analysis import MEMORY, TIME, Results

LABEL, COLUMN = 26, 11
TABLES = (("latency of single calls, ns", (("p50_ns", "p50"), ("p99_ns", "p99"), ("p999_ns", "p99.9"),
                                          ("p9999_ns", "p99.99"), ("worst_ns", "worst"))),
          ("fragmentation: RSS over live bytes", (("rss_over_live_mean", "mean"), ("rss_over_live_worst", "worst"))),
          ("memory that goes back: MiB resident", (("rss_start_kib", "start"), ("rss_peak_kib", "peak"),
                                                   ("rss_after_kib", "2 s after"))),
          ("idle threads: KiB each", (("rss_per_thread_kib", ""),)))


def heading(title, names, first=""):
    """A title, and the line above the columns."""
    return ["", title, f"{'':{LABEL}}{first:>{COLUMN}}" + "".join(f"{name:>{COLUMN}}" for name in names)]


def cell(value, form, mark=""):
    """A number in its column, with a mark behind it."""
    return f"{'failed' if value is None else format(value, form) + (mark or ' '):>{COLUMN}}"


def ratio_row(results, field, workload, form, scale):
    """The reference's own figure, and the ratios to it."""
    base, best = results.reference(workload, field), results.best(workload, field, results.names)
    own = results.median(workload, base, field) if base else None
    return f"{workload:{LABEL}}" + cell(own and own / scale, form) + "".join(
        cell(ratio, ".3f" if results.base else ".2f", "*" if name == best else "")
        for name, ratio in results.ratios(workload, field).items())


def mean_row(results, field, label, workloads, base=None):
    """Geometric means of the ratios; or of those, relative to one peer's."""
    means = {name: results.mean(name, field, workloads) for name in results.names}
    one = means[base] if base else 1
    best = min(results.able, key=means.get)
    return f"{f'geometric mean, {label} ({len(workloads)})':{LABEL + COLUMN}}" + "".join(
        cell(mean and mean / one, ".3f", "*" if name == best else "") for name, mean in means.items())


def ratio_table(results, field, title, unit):
    """The ratios to the reference of each workload, with its own figure, and their geometric means."""
    form, scale = (".3f", 1) if unit == "s" else (".1f", 1024)
    base = results.base or "the best peer of each workload"
    yield from heading(f"{title}, relative to {base}; * is the best of all", results.names,
                       f"{results.base or 'best'}, {unit}")
    for workload in results.compared():
        yield ratio_row(results, field, workload, form, scale)
    complete = results.complete(field)
    if complete:
        yield mean_row(results, field, "all", complete)
        if "glibc" in results.able and not results.base:
            yield mean_row(results, field, "glibc = 1", complete, "glibc")
    programs = [label for label in complete if label.startswith("real/")]
    if programs:
        yield mean_row(results, field, "real programs", programs)


def figure_table(results, title, figures):
    """Medians over the rounds of what some workloads are about."""
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


def lowest_peer(results, field, workloads):
    """The peer with the lowest geometric mean."""
    return min(results.peers, key=lambda name: results.mean(name, field, workloads))


def worst(results, name, field, workloads, base=None):
    """(ratio, workload) where a peer is worst, against one other or the best one of each workload."""
    ratios = [(results.ratio(workload, name, field, base or results.best(workload, field)), workload)
              for workload in workloads]
    return max((pair for pair in ratios if pair[0] is not None), default=None)


def goals(results, name):
    """(what is wanted, the limit, the figure, where) for each goal that these results can tell of."""
    for field, what, limit in ((TIME, "time", 0.95), (MEMORY, "peak RSS", 1.0)):
        workloads = results.complete(field)
        if workloads:
            peer = lowest_peer(results, field, workloads)
            yield (f"{what}, geometric mean over the best peer's", limit,
                   results.mean(name, field, workloads) / results.mean(peer, field, workloads), peer)
    found = worst(results, name, TIME, results.complete(TIME))
    if found:
        yield "time on any workload, over the best peer's", 1.15, *found
    if "glibc" in results.names:
        for field, what, prefix, limit in ((MEMORY, "peak RSS of any real program", "real/", 1.02),
                                           (TIME, "time to start a program", "startup/", 1.01)):
            found = worst(results, name, field, [label for label in results.complete(field)
                                                 if label.startswith(prefix)], "glibc")
            if found:
                yield f"{what}, over glibc's", limit, *found
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
    """How `name` stands to its goals."""
    table = list(goals(results, name))
    yield from ("", f"goals of {name}") if table else ()
    for what, limit, figure, where in table:
        if figure is None:
            yield f"{what:54}{'failed':>8}"
        else:
            met = "met" if figure <= limit else "not met"
            yield f"{what:54}{figure:8.3f}  {met:8} (at most {limit:g}; {where})"


def machine_lines(data):
    """The machine, the peers and how it was measured."""
    machine, settings = data["machine"], data["settings"]
    yield (f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB; Linux {machine['kernel']}, "
           f"{machine['distribution']}, {machine['libc']}, huge pages: {machine['transparent_huge_pages']}")
    yield (f"{machine['compiler']}; project at {machine['project'] or 'no revision'}; {machine['date']}; "
           f"rounds: {settings['rounds']}, {settings['percent']} % of the work")
    if machine["load_at_start"] > machine["cores"] / 4:
        yield f"The machine was busy at the start (load {machine['load_at_start']:.1f}): times are rough."
    for peer in data["peers"]:
        version = f"missing: {peer['missing']}" if peer["missing"] else peer["version"]
        yield f"  {peer['name']:12}{version}{', ' + peer['options'] if peer['options'] else ''}"


def lines(data, base=None):
    """The whole report; ratios are to the best peer of each workload, or to `base`."""
    results = Results(data, base)
    yield from machine_lines(data)
    if results.compared():
        yield from ratio_table(results, TIME, "time", "s")
        yield from ratio_table(results, MEMORY, "peak RSS", "MiB")
    for title, figures in TABLES:
        yield from figure_table(results, title, figures)
    for name in results.ours:
        if name in results.able:
            yield from goal_table(results, name)
    for label, reason in data["missing"].items():
        yield f"not measured: {label}: {reason}"
    for workload, name, failed, runs, error in results.failures():
        yield f"failed: {workload} under {name}, {failed} of {runs}: {error}"
