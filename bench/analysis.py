"""What the runs of a measurement say: medians over rounds, ratios within a round, geometric means over workloads."""

import math
import statistics

TIME, MEMORY = "seconds", "peak_rss_kib"

# A workload that reports one of these is there for that figure, and neither its time nor its peak counts.
OWN_FIGURES = ("p50_ns", "rss_after_kib", "rss_per_thread_kib")


class Results:
    """The content of results.json, for questions."""

    def __init__(self, data, base=None):
        self.data = data
        self.base = base
        self.names = [peer["name"] for peer in data["peers"] if not peer["missing"]]
        self.ours = [peer["name"] for peer in data["peers"] if peer["ours"]]
        self.runs = {}  # (workload, peer) -> its runs, one a round
        for run in data["runs"]:
            self.runs.setdefault((run["workload"], run["peer"]), []).append(run)
        self.workloads = list(dict.fromkeys(run["workload"] for run in data["runs"]))
        self.able = list(dict.fromkeys(run["peer"] for run in data["runs"] if "error" not in run))

    @property
    def peers(self):
        """Those that ours are compared with; all, where there are ours alone."""
        return [name for name in self.able if name not in self.ours] or self.able

    def values(self, workload, name, field):
        """One a round; nothing where a run has failed or has no such field."""
        values = [run.get(field) for run in self.runs[workload, name]]
        return None if None in values else values

    def median(self, workload, name, field):
        """Over the rounds; nothing where a round is missing."""
        values = self.values(workload, name, field)
        return None if values is None else statistics.median(values)

    def ratio(self, workload, name, field, base):
        """The median of the rounds' ratios to `base`; nothing where either is missing."""
        own = self.values(workload, name, field)
        others = self.values(workload, base, field) if base else None
        if own is None or others is None or 0 in others:
            return None
        return statistics.median(a / b for a, b in zip(own, others))

    def best(self, workload, field, names=None):
        """Which of the peers has the lowest median."""
        medians = {name: self.median(workload, name, field) for name in names or self.peers}
        medians = {name: median for name, median in medians.items() if median is not None}
        return min(medians, key=medians.get) if medians else None

    def reference(self, workload, field):
        """What ratios are to: the peer that was asked for, or the best one of this workload."""
        return self.base or self.best(workload, field)

    def ratios(self, workload, field):
        """name -> its ratio to the reference of this workload."""
        base = self.reference(workload, field)
        return {name: self.ratio(workload, name, field, base) for name in self.names}

    def having(self, field):
        """The workloads in which some run has a field."""
        return [workload for workload in self.workloads
                if any(field in run for name in self.names for run in self.runs[workload, name])]

    def compared(self):
        """The workloads whose time and peak count."""
        own = {workload for field in OWN_FIGURES for workload in self.having(field)}
        return [workload for workload in self.workloads if workload not in own]

    def complete(self, field):
        """The compared workloads that every allocator has done in all rounds, but for those that can do nothing: what a
        mean is over."""
        return [workload for workload in self.compared() if self.able
                and all(self.median(workload, name, field) is not None for name in self.able)]

    def mean(self, name, field, workloads):
        """The geometric mean of its ratios to the reference of each workload; nothing for one that can do nothing."""
        ratios = [self.ratios(workload, field)[name] for workload in workloads]
        return None if None in ratios or not ratios else math.exp(statistics.fmean(map(math.log, ratios)))

    def failures(self):
        """(workload, peer, how many runs failed, of how many, the first one's error) where any did."""
        for (workload, name), runs in self.runs.items():
            errors = [run["error"] for run in runs if "error" in run]
            if errors:
                yield workload, name, len(errors), len(runs), errors[0]
