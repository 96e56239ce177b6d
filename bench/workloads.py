"""The workloads: the programs of bench/workloads, and real programs."""

import dataclasses
import fnmatch
import os
import subprocess

import programs
import real

# Small enough for `make bench QUICK=1`, and yet of every kind.
QUICK_REAL = {"real/lua", "real/redis", "real/sqlite3"}
# The workload programs that QUICK=1 leaves out: slow ones, and those that differ from another one only in a size.
NOT_QUICK = ("return/*_trim", "return/busy_large", "owners/freer_2", "owners/freer_16", "pool/mixed", "growth/holes",
             "pairs/32k", "pairs/200k", "pairs/30m", "pairs/touched_200k", "pairs/touched_1m", "batches/batch_40k",
             "batches/batch_200k", "batches/batch_30m", "calloc/recycled_64k", "calloc/recycled_256k",
             "calloc/recycled_8m")

# Libraries that some of them need besides the C library.
LIBRARIES = {"delete": ["-lstdc++"]}


@dataclasses.dataclass(frozen=True)
class Workload:
    """A workload program of this project, or a real one; `missing` says what that lacks here."""
    label: str
    command: tuple
    program: real.Real | None = None
    missing: str | None = None

    def matches(self, pattern):
        """Whether a pattern matches: FAMILY, VARIANT, FAMILY/VARIANT or all of FAMILY/VARIANT@THREADS, with * and ?"""
        path = self.label.partition("@")[0]
        return any(fnmatch.fnmatchcase(name, pattern) for name in (self.label, path, *path.split("/")))


def thread_counts(quick):
    """One thread, as many as cores, four times as many."""
    cores = os.cpu_count() or 1
    return sorted({1, cores} if quick else {1, cores, 4 * cores})


def synthetic(percent, quick):
    """Each variant of each program in bench/workloads, with each number of threads if it takes one."""
    for source in sorted((programs.BENCH / "workloads").glob("*.c")):
        program = programs.compiled(f"workloads/{source.stem}", LIBRARIES.get(source.stem, ()))
        variants = subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines()
        for variant, _, threads in (line.partition(" ") for line in variants):
            label, command = f"{source.stem}/{variant}", (str(program), variant, "--percent", str(percent))
            if quick and any(fnmatch.fnmatchcase(label, pattern) for pattern in NOT_QUICK):
                continue
            if not threads:
                yield Workload(label, command)
            for count in thread_counts(quick) if threads else ():
                yield Workload(f"{label}@{count}", (*command, "--threads", str(count)))


def real_programs(quick, scratch):
    """The programs of real.py; those that lack something here say so."""
    for program in real.everything(scratch):
        if not quick or program.label in QUICK_REAL:
            missing = program.missing()
            yield Workload(program.label, program.command, program, f"no {', '.join(missing)}" if missing else None)


def chosen(options, scratch):
    """The workloads that the command line asks for; `scratch` is a directory for what they need."""
    everything = [*(synthetic(options.percent, options.quick) if options.real is not True else ()),
                  *(real_programs(options.quick, scratch) if options.real is not False else ())]
    patterns = options.workloads.split(",") if options.workloads else ["*"]
    for pattern in patterns:
        if not any(workload.matches(pattern) for workload in everything):
            raise ValueError(f"no workload is {pattern}; --list shows them")
    return [workload for workload in everything if any(workload.matches(pattern) for pattern in patterns)]
