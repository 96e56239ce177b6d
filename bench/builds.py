"""Builds the libraries of a commit once, with the release preset, and keeps them in build/compare by the commit's name.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

import programs

FOLDER = programs.BUILD / "compare"
LIBRARIES = ("libmems.so", "libhmm.so")


def git(*arguments):
    """What git prints, or None if it fails."""
    done = subprocess.run(["git", *arguments], cwd=programs.ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def commit_of(revision):
    """The full name of a commit, such as HEAD~2; ValueError if there is none."""
    name = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if not name:
        raise ValueError(f"{revision}: neither a commit nor a library")
    return name


def described(commit):
    """A commit's short name and subject."""
    return git("log", "-1", "--format=%h %s", commit)


def perform(*command, folder):
    """Runs a command; if it fails, shows its output and ends this program."""
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}{' '.join(map(str, command))} failed")


def build(commit, folder):
    """Builds a commit, and moves its libraries into `folder` in one step, so that an interruption leaves none of them.
    """
    with tempfile.TemporaryDirectory(prefix="scratch.", dir=FOLDER) as scratch:
        source, result = pathlib.Path(scratch, "source"), pathlib.Path(scratch, "libraries")
        source.mkdir()
        result.mkdir()
        perform("git", "archive", "--output", f"{scratch}/source.tar", commit, folder=programs.ROOT)
        perform("tar", "-xf", f"{scratch}/source.tar", folder=source)
        perform("cmake", "--preset", "release", folder=source)
        perform("cmake", "--build", "--preset", "release", folder=source)
        for name in LIBRARIES:
            shutil.copyfile(source / "build" / name, result / name)
        result.rename(folder)


def library(commit, name):
    """The path of a commit's library."""
    folder = FOLDER / commit
    if not folder.exists():
        print(f"building {described(commit)}", file=sys.stderr, flush=True)
        FOLDER.mkdir(parents=True, exist_ok=True)
        build(commit, folder)
    return folder / name
