"""Runs workloads under allocators, interleaved, and keeps what each run reports."""

import hashlib
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import programs


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
                raise Failed(f"took longer than {timeout:g} s") from reason
            raise
    if process.returncode != 0 or messages:
        message = messages.decode(errors="replace").strip().partition("\n")[0]
        message = re.sub(r"/\S*/", "", message)  # the folders of this machine mean nothing to others
        raise Failed(f"exit status {process.returncode}: {message or 'no message'}")
    return output


def digest(output, directory, pattern):
    """The start of the SHA-256 of what a program has printed and written."""
    result = hashlib.sha256(output)
    for path in sorted(directory.glob(pattern)) if pattern else ():
        result.update(path.read_bytes())
    return result.hexdigest()[:12]


def run(workload, environment, timeout):
    """One run: what it reports, by name. Each begins in an empty directory."""
    program = workload.program
    if program is not None:
        environment = {**environment, **dict(program.environment), "LC_ALL": "C"}
    with tempfile.TemporaryDirectory(prefix="mems-bench.", ignore_cleanup_errors=True) as scratch:
        report, directory = pathlib.Path(scratch, "report"), pathlib.Path(scratch, "work")
        directory.mkdir()
        if program is not None and program.measures_itself:
            return fields(call(workload.command, environment, directory, timeout).decode())
        output = call([programs.compiled("launch"), report, *workload.command], environment, directory, timeout)
        result = fields(report.read_text(encoding="ascii"))
        if program is None:
            result |= fields(output.decode())
        else:
            result["output"] = digest(output, directory, program.outputs)
    return {name: value for name, value in result.items() if name not in ("status", "workload", "threads")}


class Progress:
    """A line on a terminal: what is being done, and the time that the rest will take if each workload goes on taking as
    long as it did."""

    def __init__(self, shown):
        self.shown = shown
        self.left = {}  # label -> how many runs
        self.seconds = {}  # label -> those of each run

    def show(self, text):
        """Replaces the line."""
        if self.shown:
            print(f"\r{text:<100.100}", end="" if text else "\r", file=sys.stderr, flush=True)

    def begin(self, text):
        """A run begins."""
        known = {label: statistics.fmean(values) for label, values in self.seconds.items()}
        usual = statistics.fmean(known.values()) if known else 0
        rest = round(sum(count * known.get(label, usual) for label, count in self.left.items()))
        self.show(f"{text}; {rest // 60} min {rest % 60:02} s left" if known else text)

    def end(self, label, seconds):
        """A run has ended."""
        self.left[label] -= 1
        self.seconds.setdefault(label, []).append(seconds)


def expectations(workloads, timeout):
    """label -> the digest of what a real program puts out under the C library's malloc, and label -> why it fails
    there. As a first run that does not count, it also brings the program's files into memory."""
    outputs, failures = {}, {}
    for workload in workloads:
        if workload.program is not None:
            try:
                outputs[workload.label] = run(workload, programs.environment(), timeout)["output"]
            except Failed as reason:
                failures[workload.label] = f"fails under the C library's malloc: {reason}"
    return outputs, failures


def checked_run(workload, peer, expected, timeout):
    """One run, as a row of the results: what it reports, or the error."""
    try:
        row = run(workload, peer.environment(), timeout)
        if row.pop("output", None) != expected.get(workload.label):
            raise Failed("the output is not the one that it has under the C library's malloc")
        return row
    except Failed as reason:
        return {"error": str(reason)}


def in_turn(peers, turn):
    """The peers in another order for each turn: begun elsewhere, and every second time backwards."""
    start = turn % len(peers)
    order = peers[start:] + peers[:start]
    return order if turn % 2 == 0 else order[::-1]


def everything(workloads, peers, options):
    """All runs, in the order in which they were measured; and label -> why a workload is not among them."""
    progress = Progress(options.progress)
    progress.show("the real programs once, for their output")
    missing = {workload.label: workload.missing for workload in workloads if workload.missing}
    workloads = [workload for workload in workloads if not workload.missing]
    expected, failures = expectations(workloads, options.timeout)
    workloads = [workload for workload in workloads if workload.label not in failures]
    progress.left = {workload.label: len(peers) * options.rounds for workload in workloads}
    runs = []
    for number_of_round in range(1, options.rounds + 1):
        for index, workload in enumerate(workloads):
            for peer in in_turn(peers, index + number_of_round):
                progress.begin(f"round {number_of_round}: {workload.label} under {peer.name}")
                start = time.monotonic()
                row = checked_run(workload, peer, expected, options.timeout)
                progress.end(workload.label, time.monotonic() - start)
                runs.append({"workload": workload.label, "peer": peer.name, "round": number_of_round, **row})
    progress.show("")
    return runs, missing | failures
