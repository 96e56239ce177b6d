"""Runs workloads under allocators, interleaved, and keeps the reports of the runs.

A workload with one thread is confined to one core, so that it does not move around; others have all cores, or as many
as asked for.
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
    """The value of a field: a whole number, a fraction or a text."""
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
    """What a command prints. The command runs in its own process group, so that all of it can be ended if it takes too
    long. Failed if it did, or if it wrote a message, because a library that cannot be preloaded causes only a message.
    """
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
    """The digest of what a program has printed and written."""
    files = sorted(directory.glob(pattern)) if pattern else ()
    return programs.digest(output, *(path.read_bytes() for path in files))


def reported(workload, environment, timeout, wrapper):
    """The report of a run, by name, from launch and the workload. Each run starts in an empty directory."""
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
    """One run: its report, by name. It has `cores` cores, or all. `wrapper` is a command that starts the workload's,
    such as a tracer."""
    if cores is not None:
        environment = {**environment, "BENCH_CORES": str(cores)}
    result = reported(workload, environment, timeout, wrapper)
    if "user" in result:
        result["cpu"] = round(result["user"] + result["system"], 6)
    return {name: value for name, value in result.items() if name not in ("status", "workload")}


class Progress:
    """What is being done, and how long the rest will take at the present pace."""

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
        """As text, how long the remaining runs will take."""
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
    """Runs each workload once under the C library's malloc, without counting it. That brings the program's files into
    memory, and determines

        expected   label -> the digest of a real program's output
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
    """How a row of the results is made: run(workload, peer, timeout, cores), and an estimate of how long that takes for
    a workload of some seconds."""
    run: Callable
    seconds: Callable


def plain_run(workload, peer, timeout, cores):
    """The figures of one run."""
    return run(workload, peer.environment(), timeout, cores)


PLAIN = Method(plain_run, lambda seconds: seconds)


def in_turn(peers, turn):
    """The peers in a different order for each turn: every second time backwards, and then starting elsewhere."""
    start = turn // 2 % len(peers)
    order = peers[start:] + peers[:start]
    return order if turn % 2 == 0 else order[::-1]


def steps(workloads, peers, rounds):
    """(round, workload, peers) in the order in which they are measured."""
    for number_of_round in range(1, rounds + 1):
        for index, workload in enumerate(workloads):
            yield number_of_round, workload, in_turn(peers, index + number_of_round)


class TimeLimit:
    """Whether another round may begin. A round is expected to take as long as the longest one before it."""

    def __init__(self, minutes):
        self.begun = self.start = time.monotonic()
        self.minutes, self.round, self.longest = minutes, None, 0

    def allows(self, number_of_round):
        """To be asked before each workload of a round; the first round always may begin."""
        if number_of_round != self.round:
            now = time.monotonic()
            if self.round is not None:
                self.longest = max(self.longest, now - self.begun)
                if self.minutes is not None and now + self.longest > self.start + 60 * self.minutes:
                    return False
            self.round, self.begun = number_of_round, now
        return True


class Measurement:
    """Runs workloads under peers by a method. `journal` has the rows of an interrupted run, and gets the others as they
    are made."""

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
        """One run: its report, or the error."""
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
    """All runs, in the order in which they were measured; and label -> why a workload is missing."""
    measurement = Measurement(options, journal, method)
    present = [workload for workload in workloads if not workload.missing]
    limit = TimeLimit(options.minutes)
    for number_of_round, workload, order in steps(measurement.begin(present, peers), peers, options.rounds):
        if not limit.allows(number_of_round):
            break
        if not journal.has(workload.label, number_of_round):
            measurement.step(number_of_round, workload, order)
    measurement.progress.show("")
    missing = {workload.label: workload.missing for workload in workloads if workload.missing}
    return journal.rows, missing | measurement.rehearsal.failures
