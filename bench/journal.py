"""Keeps what a run has measured in a file, so that it can be resumed after a Ctrl-C, a kill or a reboot.

The first line says what is measured; each further line is a row of the results. All rows of a workload in a round
belong together, because ratios are taken among them; an incomplete group is dropped.
"""

import fcntl
import itertools
import json
import os
import sys


class Refused(Exception):
    """Why a run cannot be begun or resumed."""


def differences(before, after, path=""):
    """Where two nested dictionaries differ, as texts."""
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from differences(old, new, f"{path}{name}, ")
        elif old != new:
            yield f"{path}{name}: {json.dumps(old)} is now {json.dumps(new)}"


class Journal:
    """The file, which only this process has open for writing. `settings` must be the same for a resumed run; `machine`
    describes the machine at the start. `stops` is how often the run has been interrupted."""

    def __init__(self, path, settings, machine, resume):
        self.path, self.settings, self.machine, self.resume = path, settings, machine, resume
        self.rows, self.stops, self.complete = [], 0, set()
        path.parent.mkdir(parents=True, exist_ok=True)
        if resume and not path.exists():
            raise Refused(f"there is nothing to resume: no {path}")
        self.file = self.open()
        if not resume and path.stat().st_size > 0:
            old = path.with_name(f"{path.name}.old")
            path.rename(old)
            print(f"what a stopped run has left is in {old} now", file=sys.stderr, flush=True)
            self.file.close()
            self.file = self.open()

    def open(self):
        """The file, locked, so that no other run writes it."""
        file = open(self.path, "a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as reason:
            raise Refused(f"another run writes {self.path}: give this one another file by --state") from reason
        return file

    def begin(self, identities):
        """Writes the first line, or compares with it; `identities` are those of what is measured, by kind and name. The
        list starts with an older run's rows."""
        head = {"settings": self.settings, **identities}
        if self.resume:
            self.read(head)
        lines = [{**head, "machine": self.machine, "stops": self.stops}, *self.rows]
        self.file.truncate(0)
        self.file.write("".join(f"{json.dumps(line)}\n" for line in lines))
        self.sync()

    def read(self, head):
        """Reads the older run's rows. Refused if it measured something else."""
        self.file.seek(0)
        lines = [line for line in self.file if line.endswith("\n")]  # the last one may be half written
        try:
            before, *rows = map(json.loads, lines)
        except ValueError as reason:
            raise Refused(f"{self.path} is not the state of a run") from reason
        self.machine, self.stops = before.pop("machine"), before.pop("stops") + 1
        changed = list(differences(before, json.loads(json.dumps(head))))
        if changed:
            raise Refused("\n".join(["the stopped run cannot be resumed, since what it measures has changed:", *changed,
                                     "the same command without --resume starts anew"]))
        for group, members in itertools.groupby(rows, lambda row: (row["workload"], row["round"])):
            members = list(members)
            if len(members) == len(head["peers"]):
                self.rows += members
                self.complete.add(group)

    def has(self, workload, number_of_round):
        """Whether the older run has measured a workload in a round."""
        return (workload, number_of_round) in self.complete

    def add(self, row):
        """Adds a row, which is in the file when this returns."""
        self.rows.append(row)
        self.file.write(f"{json.dumps(row)}\n")
        self.sync()

    def sync(self):
        """Makes what is written survive a power failure."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def remove(self):
        """Called when the run is complete and its results are elsewhere."""
        self.path.unlink()
        self.file.close()
