"""Describes the machine that results come from."""

import datetime
import os
import pathlib
import platform
import re
import subprocess

import programs


def first_line(*command):
    """The first line that a command prints; None if the command is missing or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=programs.ROOT)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ""
    return done.stdout.partition("\n")[0]


def field(path, name):
    """The value behind a name in a file such as /proc/cpuinfo."""
    found = re.search(rf"^{name}\s*[:=]\s*(.*)$", pathlib.Path(path).read_text(encoding="utf-8"), re.MULTILINE)
    return found.group(1).strip('"') if found else ""


def transparent_huge_pages():
    """The kernel's mode: always, madvise or never."""
    path = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
    found = re.search(r"\[(\w+)\]", path.read_text(encoding="utf-8")) if path.exists() else None
    return found.group(1) if found else "none"


def description():
    """Machine, system and compiler, and the state of the project, by the name of each."""
    modified = "" if not first_line("git", "status", "--porcelain") else ", modified"
    return {
        "date": datetime.date.today().isoformat(),
        "processor": field("/proc/cpuinfo", "model name") or platform.machine(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(int(field("/proc/meminfo", "MemTotal").split()[0]) / 1024 / 1024, 1),
        "kernel": platform.release(),
        "transparent_huge_pages": transparent_huge_pages(),
        "distribution": field("/etc/os-release", "PRETTY_NAME"),
        "libc": os.confstr("CS_GNU_LIBC_VERSION"),
        "compiler": first_line(*programs.compiler(), "--version"),
        "project": first_line("git", "rev-parse", "--short", "HEAD") + modified,
        "load_at_start": os.getloadavg()[0],
    }
