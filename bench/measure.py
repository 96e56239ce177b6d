"""Runs workloads under allocators, interleaved, and keeps what each run reports.

A workload with one thread is confined to one core, so that it does not wander; others have all cores, or as many as are
asked for.
"""

import dataclasses
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import programs

TOO_LONG = "took longer than"


class Failed(Exception):
    """Why a run does not count."""


def number(text):
    """What a field holds: a whole number, a fraction or a text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def fields(line):
    """"a=1 b=2" as a dictionary."""
    return {name: number(value) for name, _, value in (field.partition("=") for field in line.split())}


def call(command, environment, directory, timeout):
    """What a command prints. It is started in a group of its own, so that nothing of it is left when it takes too
    long. Failed where it did, or where it wrote a message: a library that cannot be preloaded is a message and no
    more."""
    with subprocess.Popen(command, env=environment, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, start_new_session=True) as process:
        try:
            output, messages = process.communicate(timeout=timeout)
        except BaseException as reason:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(reason, subprocess.TimeoutExpired):
                raise Failed(f"{TOO_LONG} {timeout:g} s") from reason
            raise
    if process.returncode != 0 or messages:
        message = messages.decode(errors="replace").strip().partition("\n")[0]
        message = re.sub(r"/\S*/", "", message)  # the folders of this machine mean nothing to others
        raise Failed(f"exit status {process.returncode}: {message or 'no message'}")
    return output


def output_digest(output, directory, pattern):
    """That of what a program has printed and written."""
    files = sorted(directory.glob(pattern)) if pattern else ()
    return programs.digest(output, *(path.read_bytes() for path in files))


def reported(workload, environment, timeout, wrapper):
    """What a run reports, by name, as launch and the workload say it. Each begins in an empty directory."""
    program = workload.program
    if program is not None:
        environment = {**environment, **dict(program.environment), "LC_ALL": "C"}
    with tempfile.TemporaryDirectory(prefix="mems-bench.", ignore_cleanup_errors=True) as scratch:
        report, directory = pathlib.Path(scratch, "report"), pathlib.Path(scratch, "work")
        directory.mkdir()
        if program is not None and program.measures_itself:
            return fields(call(workload.command, environment, directory, timeout).decode())
        command = [programs.compiled("launch"), report, *wrapper, *workload.command]
        output = call(command, environment, directory, timeout)
        result = fields(report.read_text(encoding="ascii"))
        if program is None:
            return result | fields(output.decode())
        return {**result, "threads": 1, "output": output_digest(output, directory, program.outputs)}


def run(workload, environment, timeout, cores=None, wrapper=()):
    """One run: what it reports, by name. It has `cores` cores, or all. `wrapper` is a command that starts the
    workload's, say under a tracer."""
    if cores is not None:
        environment = {**environment, "BENCH_CORES": str(cores)}
    result = reported(workload, environment, timeout, wrapper)
    if "user" in result:
        result["cpu"] = round(result["user"] + result["system"], 6)
    return {name: value for name, value in result.items() if name not in ("status", "workload")}


class Progress:
    """What is being done, and how long the rest will take if each workload goes on taking as long as it did."""

    def __init__(self, shown):
        self.shown = shown
        self.left = {}  # label -> how many runs
        self.seconds = {}  # label -> those of each run

    def show(self, text):
        """Replaces the line on a terminal."""
        if self.shown:
            print(f"\r{text:<100.100}", end="" if text else "\r", file=sys.stderr, flush=True)

    def log(self, text):
        """A line that stays."""
        self.show("")
        print(text, file=sys.stderr, flush=True)

    def rest(self):
        """As text, what the remaining runs will take."""
        known = {label: statistics.fmean(values) for label, values in self.seconds.items()}
        rest = round(sum(count * known.get(label, 0) for label, count in self.left.items()))
        return f"{rest // 60} min {rest % 60:02} s"

    def begin(self, text):
        """A run begins."""
        self.show(f"{text}; {self.rest()} left")

    def end(self, label, seconds):
        """A run has ended."""
        self.left[label] -= 1
        self.seconds.setdefault(label, []).append(seconds)


class Rehearsal:
    """Each workload once under the C library's malloc, which does not count. It brings the program's files into memory,
    and it tells

        expected   label -> the digest of what a real program puts out
        threads    label -> how many threads it has
        seconds    label -> how long it took from start to end
        failures   label -> why it does not work
    """

    def __init__(self, workloads, timeout, progress):
        self.expected, self.threads, self.seconds, self.failures = {}, {}, {}, {}
        for workload in workloads:
            progress.show(f"rehearsal: {workload.label}")
            start = time.monotonic()
            try:
                row = run(workload, programs.environment(), timeout)
            except Failed as reason:
                self.failures[workload.label] = f"fails under the C library's malloc: {reason}"
                continue
            self.expected[workload.label] = row.get("output")
            self.threads[workload.label] = row.get("threads")
            self.seconds[workload.label] = time.monotonic() - start


@dataclasses.dataclass(frozen=True)
class Method:
    """How a row of the results comes about: run(workload, peer, timeout, cores), and how long that takes, at a guess,
    for a workload that takes some seconds."""
    run: Callable
    seconds: Callable


def plain_run(workload, peer, timeout, cores):
    """The figures of one run."""
    return run(workload, peer.environment(), timeout, cores)


PLAIN = Method(plain_run, lambda seconds: seconds)


def in_turn(peers, turn):
    """The peers in another order for each turn: every second time backwards, and then begun elsewhere."""
    start = turn // 2 % len(peers)
    order = peers[start:] + peers[:start]
    return order if turn % 2 == 0 else order[::-1]


def steps(workloads, peers, rounds):
    """(round, workload, peers) in the order in which they are measured."""
    for number_of_round in range(1, rounds + 1):
        for index, workload in enumerate(workloads):
            yield number_of_round, workload, in_turn(peers, index + number_of_round)


class Measurement:
    """Runs of workloads under peers by a method. `journal` has those that a stopped run has left, and is given the
    others as they end."""

    def __init__(self, options, journal, method):
        self.options, self.journal, self.method = options, journal, method
        self.progress = Progress(options.progress)
        self.rehearsal = None
        self.hopeless = set()  # (workload, peer) that took too long once, and are not tried again

    def begin(self, workloads, peers):
        """Rehearses, and says how long the rest will take. Returns the workloads that work."""
        self.rehearsal = Rehearsal(workloads, self.options.timeout, self.progress)
        workloads = [workload for workload in workloads if workload.label not in self.rehearsal.failures]
        self.journal.begin({"peers": {peer.name: peer.identity() for peer in peers},
                            "workloads": {workload.label: self.identity(workload) for workload in workloads}})
        self.hopeless = {(row["workload"], row["peer"]) for row in self.journal.rows
                         if TOO_LONG in row.get("error", "")}
        self.progress.seconds = {label: [self.method.seconds(seconds)]
                                 for label, seconds in self.rehearsal.seconds.items()}
        self.progress.left = {workload.label: len(peers) * self.options.rounds for workload in workloads}
        for row in self.journal.rows:
            self.progress.left[row["workload"]] -= 1
        self.progress.log(f"{sum(self.progress.left.values())} runs of {len(workloads)} workloads under {len(peers)} "
                          f"allocators take about {self.progress.rest()}")
        return workloads

    def identity(self, workload):
        """What must not change while a workload is measured."""
        if workload.program is None:
            return programs.digest(pathlib.Path(workload.command[0]).read_bytes())
        return self.rehearsal.expected[workload.label]

    def row(self, workload, peer):
        """One run: what it reports, or the error."""
        if (workload.label, peer.name) in self.hopeless:
            return {"error": f"not tried again: {TOO_LONG} {self.options.timeout:g} s"}
        cores = 1 if self.rehearsal.threads[workload.label] == 1 else self.options.cores
        try:
            row = self.method.run(workload, peer, self.options.timeout, cores)
        except Failed as reason:
            if TOO_LONG in str(reason):
                self.hopeless.add((workload.label, peer.name))
            return {"error": str(reason)}
        if row.pop("output", None) != self.rehearsal.expected[workload.label]:
            return {"error": "the output is not the one that it has under the C library's malloc"}
        row.pop("threads", None)
        return row if cores is None else {**row, "cores": cores}

    def step(self, number_of_round, workload, peers):
        """A workload in a round, under all peers."""
        for peer in peers:
            self.progress.begin(f"round {number_of_round}: {workload.label} under {peer.name}")
            start = time.monotonic()
            row = self.row(workload, peer)
            self.progress.end(workload.label, time.monotonic() - start)
            self.journal.add({"workload": workload.label, "peer": peer.name, "round": number_of_round, **row})


def everything(workloads, peers, options, journal, method):
    """All runs, in the order in which they were measured; and label -> why a workload is not among them."""
    measurement = Measurement(options, journal, method)
    present = [workload for workload in workloads if not workload.missing]
    for number_of_round, workload, order in steps(measurement.begin(present, peers), peers, options.rounds):
        if not journal.has(workload.label, number_of_round):
            measurement.step(number_of_round, workload, order)
    measurement.progress.show("")
    missing = {workload.label: workload.missing for workload in workloads if workload.missing}
    return journal.rows, missing | measurement.rehearsal.failures
