"""What the benchmark scripts share: where the library and the measured programs are, and how the latter are compiled."""

import os
import pathlib
import shlex
import subprocess
import sys

BENCH = pathlib.Path(__file__).resolve().parent
BUILD = BENCH.parent / "build"
LIBRARY = BUILD / "libmems.so"

# A compiler that knows malloc removes a call whose block is freed unread.
OPTIONS = ["-std=c17", "-D_GNU_SOURCE", "-O2", "-pthread", "-fno-builtin"]


def compiled(name):
    """The path of the program BENCH/name.c, which is compiled first when its source is younger. Ends on an error."""
    source, program = BENCH / f"{name}.c", BUILD / "bench" / name
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        program.parent.mkdir(parents=True, exist_ok=True)
        compiler = shlex.split(os.environ.get("CC", "cc"))
        if subprocess.run([*compiler, *OPTIONS, "-o", program, source], check=False).returncode != 0:
            sys.exit(f"{source} does not compile")
    return program


def environment(preload=None, options=None):
    """This process's environment, with a library to preload and options for it in place of those that it has."""
    result = {name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "MEMS_OPTIONS")}
    if preload is not None:
        result["LD_PRELOAD"] = str(preload)
    if options is not None:
        result["MEMS_OPTIONS"] = options
    return result
