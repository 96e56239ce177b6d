#!/usr/bin/env python3
"""Compares `mems profile --json` with the output of the program sites.

usage: profile.py KIND LIST PROFILE

The true value must be within four standard errors; without an error (sample=1) the values must be equal. Of what the
first site allocated, some may have been before sampling began.
"""

import json
import sys


def main():
    """Exit status 1 if they do not agree."""
    kind, told_path, profile_path = sys.argv[1:]
    with open(told_path, encoding="utf-8") as lines:
        told = [line.split() for line in lines]
    with open(profile_path, encoding="utf-8") as text:
        profile = json.load(text)
    key = {"live": "site"}.get(kind, kind)
    wrong = []
    before = {"small_site": profile["held_before"] // 48 * 48}
    for _, name, blocks, size in (words for words in told if words[0] == key):
        sites = [site for site in profile["sites"] if any(frame["function"] == name for frame in site["frames"])]
        for unit, truth in (("blocks", int(blocks)), ("bytes", int(size))):
            value = sum(site[unit] for site in sites)
            error = sum(site[unit + "_stderr"] ** 2 for site in sites) ** 0.5
            missed = before.get(name, 0) * truth / int(size)
            print(f"{kind} {name} {unit}: {truth}, estimated {value:.0f} +- {error:.0f}, missed up to {missed:.0f}")
            if not truth - missed - 4 * error - 0.5 <= value <= truth + 4 * error + 0.5:
                wrong.append(f"{name} {unit}")
    total = sum(site["bytes"] for site in profile["sites"]) + profile["other"]["bytes"]
    if abs(total - profile["total"]["bytes"]) > 1:
        wrong.append("the sum of the sites")
    if wrong:
        sys.exit("not within the bars: " + ", ".join(wrong))


main()
