"""Shared by the benchmark scripts: where the library and the measured programs are, and how these are compiled."""

import hashlib
import os
import pathlib
import shlex
import subprocess
import sys

BENCH = pathlib.Path(__file__).resolve().parent
ROOT = BENCH.parent
BUILD = ROOT / "build"
LIBRARY = BUILD / "libmems.so"

# A compiler that knows malloc removes a call whose block is freed unread.
OPTIONS = ["-std=c17", "-D_GNU_SOURCE", "-O2", "-pthread", "-fno-builtin"]


# For a program that calls libmems by name.
WITH_MEMS = [f"-I{ROOT / 'include'}", f"-L{BUILD}", f"-Wl,-rpath,{BUILD}", "-lmems"]


def compiler():
    """The command of the C compiler, as a list."""
    return shlex.split(os.environ.get("CC", "cc"))


def compiled(name, options=()):
    """The path of the program BENCH/name.c, which is first compiled if it is older than its source or a header beside
    that. Ends on an error. Scripts that compile it at the same time do not interfere, because it appears complete."""
    source = BENCH / f"{name}.c"
    program = BUILD / "bench" / source.stem
    youngest = max(path.stat().st_mtime for path in [source, *source.parent.glob("*.h")])
    if not program.exists() or program.stat().st_mtime < youngest:
        program.parent.mkdir(parents=True, exist_ok=True)
        part = program.with_name(f"{program.name}.{os.getpid()}")
        if subprocess.run([*compiler(), *OPTIONS, "-o", part, source, *options], check=False).returncode != 0:
            sys.exit(f"{source} does not compile")
        part.replace(program)
    return program


def digest(*contents):
    """The start of the SHA-256 of some bytes."""
    result = hashlib.sha256()
    for content in contents:
        result.update(content)
    return result.hexdigest()[:12]


def environment(preload=None, options=None, variable="LD_PRELOAD"):
    """This process's environment, with a library to preload and options for it in place of its own. `variable` gets the
    library's path; the options are libhmm's or libmems', depending on the library's name."""
    ours = ("LD_PRELOAD", "BENCH_PRELOAD", "BENCH_CORES", "MEMS_OPTIONS", "HMM_OPTIONS")
    result = {name: value for name, value in os.environ.items() if name not in ours}
    if preload is not None:
        result[variable] = str(preload)
    if options is not None:
        result["HMM_OPTIONS" if pathlib.Path(preload).name.startswith("libhmm") else "MEMS_OPTIONS"] = options
    return result
