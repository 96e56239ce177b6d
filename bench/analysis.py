"""The analysis of a measurement: medians and quartiles over rounds, ratios within a round, geometric means over
workloads, and the rule for which differences exceed the noise.

Two allocators are compared by the ratios of their figures, one from each round, in which they ran one right after the
other. With n rounds and the quartiles q1 and q3, the difference exceeds the noise if

    |ln median| > 3 / sqrt(n) * ln(q3 / q1)     and     |ln median| > ln 1.01

The first condition is that of a box plot's notches, with 3 in place of 1.57, because the quartiles of few rounds are
too close together; the second is what a machine's state may do to all rounds alike. For two equal allocators with
normal noise, the rule reports a difference in about one of ten comparisons with 3 to 5 rounds, in one of twenty with 7,
and in fewer with more. With 1 or 2 rounds it reports none.
"""

import dataclasses
import math
import statistics

TIME, CPU, MEMORY = "seconds", "cpu", "peak_rss_kib"
FAULTS, INSTRUCTIONS, CALLS = "minor_faults", "instructions", "system_calls"

# A workload that reports one of these is there for that figure, and neither its time nor its peak counts.
OWN_FIGURES = ("p50_ns", "rss_after_kib", "rss_per_thread_kib")

ENOUGH_ROUNDS = 3
NOTCH = 3
LEAST = 0.01
CLIP = (0.5, 2)  # the limits of a ratio in a clipped mean, in which no workload weighs more than others by far


def quartiles(values):
    """(first quartile, median, third quartile)"""
    if len(values) == 1:
        return (values[0],) * 3
    return tuple(statistics.quantiles(values, n=4, method="inclusive"))


def geometric_mean(values):
    """Of positive numbers."""
    return math.exp(statistics.fmean(map(math.log, values)))


def clip(ratio):
    """A ratio within the limits."""
    return min(max(ratio, CLIP[0]), CLIP[1])


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The ratios of two allocators' figures, one per round."""
    ratios: tuple

    @property
    def quartiles(self):
        """Of the ratios."""
        return quartiles(self.ratios)

    @property
    def median(self):
        """Of the ratios."""
        return statistics.median(self.ratios)

    @property
    def spread(self):
        """The distance of the quartiles, as a logarithm."""
        first, _, third = self.quartiles
        return math.log(third / first)

    @property
    def differs(self):
        """Whether the difference exceeds the noise."""
        rounds = len(self.ratios)
        limit = max(NOTCH / math.sqrt(rounds) * self.spread, math.log(1 + LEAST))
        return rounds >= ENOUGH_ROUNDS and abs(math.log(self.median)) > limit


def paired(values, others):
    """Compares two allocators' figures, one each per round."""
    return Comparison(tuple(value / other for value, other in zip(values, others, strict=True)))


class Results:
    """The content of results.json, with methods to query it."""

    def __init__(self, data, base=None):
        self.data = data
        self.base = base
        self.names = [peer["name"] for peer in data["peers"] if not peer["missing"]]
        self.ours = [peer["name"] for peer in data["peers"] if peer["ours"]]
        self.runs = {}  # (workload, peer) -> its runs, one a round
        for run in data["runs"]:
            self.runs.setdefault((run["workload"], run["peer"]), []).append(run)
        for runs in self.runs.values():
            runs.sort(key=lambda run: run["round"])
        self.bests = {}  # (workload, field) -> its best peer
        self.workloads = list(dict.fromkeys(run["workload"] for run in data["runs"]))

    def able(self, field):
        """The allocators with the field in any run."""
        able = {run["peer"] for run in self.data["runs"] if field in run}
        return [name for name in self.names if name in able]

    @property
    def rounds(self):
        """How often everything was measured."""
        return self.data["settings"]["rounds"]

    def peers(self, field):
        """The allocators that ours are compared with, or all if there are only ours."""
        able = self.able(field)
        return [name for name in able if name not in self.ours] or able

    def values(self, workload, name, field):
        """The figures in order of rounds; empty if a run has failed or lacks the field."""
        values = [run.get(field) for run in self.runs[workload, name]]
        return None if None in values else values

    def median(self, workload, name, field):
        """Over the rounds; None if a round is missing."""
        values = self.values(workload, name, field)
        return None if values is None else statistics.median(values)

    def comparison(self, workload, name, field, base):
        """Compares a peer with `base`; None if either is missing."""
        own = self.values(workload, name, field)
        others = self.values(workload, base, field) if base else None
        if own is None or others is None or 0 in own or 0 in others:
            return None
        return paired(own, others)

    def ratio(self, workload, name, field, base):
        """The median of the rounds' ratios to `base`; None if either is missing."""
        comparison = self.comparison(workload, name, field, base)
        return comparison and comparison.median

    def best(self, workload, field, names=None):
        """The peer with the lowest median."""
        medians = {name: self.median(workload, name, field) for name in names or self.peers(field)}
        medians = {name: median for name, median in medians.items() if median is not None}
        return min(medians, key=medians.get) if medians else None

    def lowest(self, workload, field):
        """All peers whose difference from the lowest median is within the noise, including that one; none if there are
        too few rounds."""
        best = self.best(workload, field, self.names)
        if best is None or self.rounds < ENOUGH_ROUNDS:
            return set()
        comparisons = {name: self.comparison(workload, name, field, best) for name in self.names}
        return {name for name, comparison in comparisons.items() if comparison and not comparison.differs}

    def spread(self, workload, field):
        """The noise of ratios to the reference: half the distance of the quartiles, for the middle allocator; None if
        there is only one, or one round."""
        base = self.reference(workload, field)
        comparisons = [self.comparison(workload, name, field, base) for name in self.names if name != base]
        spreads = [comparison.spread / 2 for comparison in comparisons if comparison]
        return statistics.median(spreads) if spreads and self.rounds > 1 else None

    def reference(self, workload, field):
        """The denominator of ratios: the peer that was asked for, or the best one of this workload."""
        if (workload, field) not in self.bests:
            self.bests[workload, field] = self.best(workload, field)
        return self.base or self.bests[workload, field]

    def ratios(self, workload, field):
        """name -> its ratio to the reference of this workload."""
        base = self.reference(workload, field)
        return {name: self.ratio(workload, name, field, base) for name in self.names}

    def having(self, field):
        """The workloads with the field in any run."""
        return [workload for workload in self.workloads
                if any(field in run for name in self.names for run in self.runs[workload, name])]

    def compared(self):
        """The workloads whose time and peak count."""
        own = {workload for field in OWN_FIGURES for workload in self.having(field)}
        return [workload for workload in self.workloads if workload not in own]

    def complete(self, field):
        """The compared workloads that every allocator has completed in all rounds, except allocators that can do none:
        the basis of means."""
        able = self.able(field)
        return [workload for workload in self.compared() if able
                and all(all(self.values(workload, name, field) or [0]) for name in able)]

    def mean(self, name, field, workloads, base=None, clipped=False):
        """The geometric mean of its ratios to `base`, or to the reference of each workload, possibly clipped; None for
        an allocator that can do none."""
        ratios = [self.ratio(workload, name, field, base or self.reference(workload, field)) for workload in workloads]
        if None in ratios or not ratios:
            return None
        return geometric_mean(map(clip, ratios) if clipped else ratios)

    def round_means(self, name, field, workloads, base=None, clipped=False):
        """The same mean in each round."""
        comparisons = [self.comparison(workload, name, field, base or self.reference(workload, field))
                       for workload in workloads]
        if None in comparisons or not comparisons:
            return None
        rounds = zip(*(comparison.ratios for comparison in comparisons), strict=True)
        return [geometric_mean(map(clip, ratios) if clipped else ratios) for ratios in rounds]

    def derived(self):
        """A row of quartiles for each workload and peer, by field."""
        for workload, name in self.runs:
            values = {field: self.values(workload, name, field)
                      for field in (TIME, CPU, MEMORY, FAULTS, INSTRUCTIONS, CALLS)}
            yield {"workload": workload, "peer": name,
                   **{field: [round(value, 6) for value in quartiles(of)] for field, of in values.items() if of}}

    def failures(self):
        """(workload, peer, number of failed runs, of how many, the first error) for each that failed."""
        for (workload, name), runs in self.runs.items():
            errors = [run["error"] for run in runs if "error" in run]
            errors += [f"{field.replace('_', ' ')}: {reason}" for run in runs
                       for field, reason in run.get("lacking", {}).items()]
            if errors:
                yield workload, name, len(errors), len(runs), errors[0]
