"""Shared by the command lines of bench/run and bench/compare."""

import argparse
import dataclasses
import pathlib
import shutil
import sys
import tempfile

import counts
import journal
import machine
import measure

TIMED = {"rounds": 3, "percent": 20, "timeout": 120}
COUNTED = {"rounds": 1, "percent": 1, "timeout": 600}
SAME_MACHINE = ("processor", "cores", "kernel", "transparent_huge_pages", "libc")


def count(text):
    """A number for the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 on")
    return int(text)


def add_measuring(parser, state):
    """Adds the arguments that say what is measured and how; `state` is the default of --state."""
    parser.add_argument("--rounds", type=count, help="how often everything is measured")
    parser.add_argument("--minutes", type=float, metavar="N",
                        help="begin no further round that would end later than after N minutes")
    parser.add_argument("--percent", type=count,
                        help="how much of its work a workload program does (real programs do all)")
    parser.add_argument("--workloads", metavar="PATTERN,...",
                        help="only these: a family, a variant, FAMILY/VARIANT, or FAMILY/VARIANT@THREADS")
    parser.add_argument("--real", action=argparse.BooleanOptionalAction, help="only real programs, or none of them")
    parser.add_argument("--cores", type=count, metavar="N",
                        help="workloads with several threads have N cores (all); those with one thread have one")
    parser.add_argument("--counts", action="store_true",
                        help="count instructions, page faults and system calls, which needs no quiet machine; real "
                             "programs only with --real or by their names")
    parser.add_argument("--timeout", type=float, help="seconds after which a run has failed")
    parser.add_argument("--resume", action="store_true", help="go on with the run that was stopped")
    parser.add_argument("--state", type=pathlib.Path, default=state, metavar="FILE",
                        help="where a run writes what it has measured until it is complete")
    parser.add_argument("--progress", action="store_true", default=sys.stderr.isatty(),
                        help="show the time remaining; so it is on a terminal")


def set_defaults(parser, options, **values):
    """Sets what the command line has left open; `values` take precedence over this module's defaults."""
    for name, value in ((COUNTED if options.counts else TIMED) | values).items():
        setattr(options, name, getattr(options, name) or value)
    if options.counts:
        lacking = [command for command in counts.COMMANDS if shutil.which(command) is None]
        if lacking:
            parser.error(f"--counts needs {' and '.join(lacking)}")
        if options.real is None and options.workloads is None:
            options.real = False


def measured(options, present, **more):
    """Measures, and returns the content of results.json. `present` are the available peers, `more` are settings that
    --resume compares. The state remains until the results are safe: remove it then. SystemExit if a run cannot be
    started."""
    if options.counts:
        options.workloads = [dataclasses.replace(workload, missing=workload.missing or counts.uncounted(workload))
                             for workload in options.workloads]
    settings = {"rounds": options.rounds, "percent": options.percent, "cores": options.cores, "counts": options.counts,
                **more}
    description = machine.description()
    same = {name: description[name] for name in SAME_MACHINE}
    try:
        state = journal.Journal(options.state, {**settings, "machine": same}, description, options.resume)
        runs, missing = measure.everything(options.workloads, present, options, state,
                                           counts.METHOD if options.counts else measure.PLAIN)
    except journal.Refused as reason:
        sys.exit(f"{sys.argv[0]}: {reason}")
    done = max((run["round"] for run in runs), default=options.rounds)
    return {"machine": state.machine, "settings": {**settings, "rounds": done, "stops": state.stops},
            "peers": [peer.described() for peer in options.peers], "missing": missing, "runs": runs}, state


def execute(main):
    """Calls main with a scratch directory, and ends this process with the status that it returns."""
    try:
        with tempfile.TemporaryDirectory(prefix="mems-bench.") as scratch:
            sys.exit(main(pathlib.Path(scratch)))
    except KeyboardInterrupt:
        sys.exit(130)
