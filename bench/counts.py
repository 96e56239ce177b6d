"""Counts of a run, which hardly depend on the machine's speed and need no quiet machine.

Instructions are those of all processes of the workload in user mode, counted by valgrind's callgrind; system calls are
counted by strace. Both cover the whole life of the processes, including the loader's part. Page faults come from a run
without either. Threads that wait for each other in turns make the counts vary.
"""

import pathlib
import re
import tempfile

import measure

COMMANDS = ("valgrind", "strace")


def callgrind(directory):
    """The command that counts another command's instructions into files in a directory."""
    return ("valgrind", "-q", "--tool=callgrind", "--trace-children=yes",
            f"--callgrind-out-file={directory}/callgrind.%p")


def instructions(directory):
    """The sum over these files, for all processes."""
    texts = [path.read_text(encoding="utf-8") for path in pathlib.Path(directory).glob("callgrind.*")]
    return sum(int(total) for text in texts for total in re.findall(r"^totals: (\d+)$", text, re.MULTILINE))


def system_calls(summary):
    """The calls in the last line of `strace -c`: "100.00 0.000296 1 157 5 total", where the column of errors may be
    empty."""
    total = summary.rstrip().rpartition("\n")[2].split()
    if len(total) < 5 or total[-1] != "total":
        raise measure.Failed("strace has counted nothing")
    return int(total[3])


def faults(workload, peer, timeout, cores):
    """The faults of a run without a tracer, with the digest of its output."""
    row = measure.run(workload, peer.environment(), timeout, cores)
    return {name: row[name] for name in ("minor_faults", "output") if name in row}


def traced_instructions(workload, peer, timeout, cores):
    """The instructions of a run."""
    with tempfile.TemporaryDirectory(prefix="mems-bench.") as directory:
        measure.run(workload, peer.environment(), timeout, cores, callgrind(directory))
        return {"instructions": instructions(directory)}


def traced_calls(workload, peer, timeout, cores):
    """The system calls of a run. strace itself keeps the C library's malloc."""
    environment = peer.environment()
    preload = environment.pop("BENCH_PRELOAD", None)
    with tempfile.TemporaryDirectory(prefix="mems-bench.") as directory:
        summary = pathlib.Path(directory, "calls")
        wrapper = ("strace", "-f", "-qq", "-c", "-o", str(summary))
        if preload is not None:
            wrapper += ("-E", f"LD_PRELOAD={preload}")
        measure.run(workload, environment, timeout, cores, wrapper)
        return {"system_calls": system_calls(summary.read_text(encoding="utf-8"))}


def uncounted(workload):
    """Why a workload cannot be counted."""
    if workload.program is not None and workload.program.measures_itself:
        return "several processes run at once, and it says of one only what it took"
    return None


def run(workload, peer, timeout, cores):
    """One row of counts of a workload under a peer. Some allocators cannot be traced: "lacking" names the missing
    counts, and why."""
    row, lacking = faults(workload, peer, timeout, cores), {}
    for name, count in (("instructions", traced_instructions), ("system_calls", traced_calls)):
        try:
            row |= count(workload, peer, timeout, cores)
        except measure.Failed as reason:
            lacking[name] = str(reason)
    return {**row, "lacking": lacking} if lacking else row


METHOD = measure.Method(run, lambda seconds: 1.5 + 40 * seconds)
