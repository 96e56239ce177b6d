"""The allocators to measure: those of the distribution, where it puts them, and any others by path."""

import dataclasses
import os
import pathlib
import platform
import re
import subprocess

import programs

MACHINE = platform.machine()
FOLDERS = [f"/usr/lib/{MACHINE}-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib"]
BASE = "glibc"

# name -> (its file, Debian's package); glibc's malloc is what a program has when nothing is preloaded. musl's malloc
# is not among them: it cannot be had apart from musl's libc.
KNOWN = {
    "jemalloc": ("libjemalloc.so.2", "libjemalloc2"),
    "mimalloc": ("libmimalloc.so.2", "libmimalloc2.0"),
    "tcmalloc": ("libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
    "tbbmalloc": ("libtbbmalloc_proxy.so.2", "libtbbmalloc2"),
    "scudo": (f"llvm-*/lib/clang/*/lib/linux/libclang_rt.scudo_standalone-{MACHINE}.so", "libclang-rt-dev"),
}


@dataclasses.dataclass(frozen=True)
class Peer:
    """An allocator. `library` is None for the C library's own, and for a missing one; `missing` says what that lacks.
    """
    name: str
    version: str
    library: pathlib.Path | None = None
    options: str | None = None
    missing: str | None = None

    @property
    def sha256(self):
        """The start of the library's SHA-256."""
        return programs.digest(self.library.read_bytes()) if self.library else None

    def identity(self):
        """What must not change while it is measured."""
        return {"version": self.version, "options": self.options, "sha256": self.sha256}

    @property
    def ours(self):
        """Whether it belongs to this project, so that the others are its peers."""
        return self.library is not None and self.library.name.startswith(("libmems", "libhmm"))

    def environment(self):
        """The environment of a program that runs under it; bench/launch preloads what BENCH_PRELOAD names."""
        return programs.environment(self.library, self.options, "BENCH_PRELOAD")

    def described(self):
        """Its description in the results."""
        return {"name": self.name, **self.identity(), "ours": self.ours, "missing": self.missing}


def version_of(library):
    """The first line of the file LIBRARY.so.version, for one built by hand; otherwise the version of the library's
    package; otherwise the file's name and the start of its SHA-256."""
    for stated in (pathlib.Path(f"{library}.version"), pathlib.Path(f"{library.resolve()}.version")):
        if stated.is_file():
            return stated.read_text(encoding="utf-8").partition("\n")[0].strip()
    library = library.resolve()
    for path in (library, pathlib.Path(str(library).removeprefix("/usr"))):
        try:
            owner = subprocess.run(["dpkg-query", "-S", path], capture_output=True, text=True, check=False).stdout
        except FileNotFoundError:
            break
        if owner:
            return subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}", owner.split(": ")[0]],
                                  capture_output=True, text=True, check=True).stdout
    return f"{library.name} {programs.digest(library.read_bytes())}"


def base():
    """The C library's malloc."""
    return Peer(BASE, os.confstr("CS_GNU_LIBC_VERSION") or "of this machine")


def known(name):
    """A known allocator, or libmems, by name."""
    if name == BASE:
        return base()
    if name == "mems":
        if not programs.LIBRARY.is_file():
            return Peer(name, "", missing="it is not built yet (make)")
        return Peer(name, version_of(programs.LIBRARY), programs.LIBRARY)
    pattern, package = KNOWN[name]
    found = sorted(path for folder in FOLDERS for path in pathlib.Path(folder).glob(pattern))
    if not found:
        return Peer(name, "", missing=f"no {pathlib.Path(pattern).name} here (Debian's package {package})")
    return Peer(name, version_of(found[-1]), found[-1])


def by_path(name, path, options):
    """An allocator named on the command line."""
    library = pathlib.Path(path).absolute()
    if not library.is_file():
        raise ValueError(f"{path}: no such library")
    return Peer(name, version_of(library), library.resolve(), options)


def parsed(text):
    """The peers in a list such as "glibc,mems,deferred=build/libmems.so,check=deferred", in order; spaces separate them
    as well as commas.

    NAME is a known one, NAME=LIBRARY.so another, and options for it follow. If the list names no known one, all are
    used.
    """
    names, others = [], []
    for piece in filter(None, re.split(r"[,\s]+", text)):
        name, separator, value = piece.partition("=")
        if not separator and name in (BASE, "mems", *KNOWN):
            names.append(name)
        elif re.search(r"\.so[.0-9]*$", value):
            others.append((name, value, []))
        elif separator and others:
            others[-1][2].append(piece)
        else:
            raise ValueError(f"{piece}: neither {', '.join((BASE, 'mems', *KNOWN))} nor NAME=LIBRARY.so")
    named = {name: by_path(name, path, ",".join(options) or None) for name, path, options in others}
    if len(named) < len(others) or set(named) & set(names):
        raise ValueError("each peer needs a name of its own")
    chosen = names or [name for name in (BASE, *KNOWN, "mems") if name not in named]
    return [known(name) for name in chosen] + list(named.values())
