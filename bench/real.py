"""Real programs as workloads. Their inputs are in bench/real; most of them generate their data."""

import dataclasses
import shutil

import programs

INPUTS = programs.BENCH / "real"
PYTHON = "/usr/bin/python3"  # not what a version manager may have put in its place: a script that starts it


@dataclasses.dataclass(frozen=True)
class Real:
    """A program with one thread, and the files that it writes in its working directory. If `measures_itself`, it
    reports like the workload programs: several processes run at once, and one is measured."""
    name: str
    command: tuple
    environment: tuple = ()
    outputs: str | None = None  # a pattern; what is printed counts always
    measures_itself: bool = False
    needs: tuple = ()

    @property
    def label(self):
        """Its name among all workloads."""
        return f"real/{self.name}"

    def missing(self):
        """The commands that it needs and that are missing."""
        return [command for command in self.needs or self.command[:1] if shutil.which(command) is None]


def sources(scratch):
    """This project's sources, copied, so that they do not change during the measurement."""
    for folder in ("include", "src"):
        shutil.copytree(programs.ROOT / folder, scratch / folder)
    return sorted(str(path) for folder in ("base", "engine") for path in (scratch / "src" / folder).rglob("*.c"))


def everything(scratch):
    """All of them; what they need besides bench/real is put into a directory."""
    return [
        Real("cc1", ("gcc", "-std=c17", "-D_GNU_SOURCE", "-O2", f"-I{scratch}/src", f"-I{scratch}/include", "-S",
                     *sources(scratch)), outputs="*.s"),
        Real("cc1plus", ("g++", "-std=c++17", "-O1", "-S", f"{INPUTS}/templates.cpp"), outputs="*.s"),
        Real("ghostscript", ("gs", "-q", "-dNOPAUSE", "-dBATCH", "-dSAFER", "-sDEVICE=ppmraw", "-r200",
                             "-sOutputFile=page.ppm", f"{INPUTS}/page.ps"), outputs="*.ppm"),
        Real("lua", ("lua5.4", f"{INPUTS}/lua.lua")),
        Real("perl", ("perl", f"{INPUTS}/perl.pl"), environment=(("PERL_HASH_SEED", "0"),)),
        Real("python3", (PYTHON, f"{INPUTS}/python3.py"), environment=(("PYTHONHASHSEED", "0"),)),
        # Without Python's own pools for small objects.
        Real("python3_malloc", (PYTHON, f"{INPUTS}/python3.py"),
             environment=(("PYTHONHASHSEED", "0"), ("PYTHONMALLOC", "malloc"))),
        Real("redis", ("sh", f"{INPUTS}/redis.sh"), measures_itself=True,
             needs=("redis-server", "redis-cli", "redis-benchmark")),
        Real("sqlite3", ("sqlite3", "-batch", "-bail", "-init", f"{INPUTS}/sqlite3.sql", ":memory:", ".exit")),
        Real("z3", ("z3", f"{INPUTS}/z3.smt2")),
    ]
