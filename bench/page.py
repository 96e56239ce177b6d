"""The results as one HTML page that needs nothing but itself: bench/page.html, with the figures of all rounds in it."""

import html
import json

import programs
import report
from analysis import CPU, FAULTS, MEMORY, TIME, Results

TEMPLATE = programs.BENCH / "page.html"
FIELDS = ((TIME, "time", "s", 1), (CPU, "CPU time", "s", 1), (MEMORY, "peak RSS", "MiB", 1024),
          (FAULTS, "page faults", "", 1))


def figures(results):
    """What the page's program reads."""
    fields = [field for field in FIELDS if results.able(field[0])]
    peers = {peer["name"]: peer for peer in results.data["peers"]}
    return {
        "rounds": results.rounds,
        "fields": [{"name": name, "title": title, "unit": unit, "scale": scale} for name, title, unit, scale in fields],
        "peers": [{"name": name, "version": report.peer_line(peers[name]).strip().partition(" ")[2].strip(),
                   "ours": peers[name]["ours"]} for name in results.names],
        # By field and peer; null where a run has failed.
        "workloads": [{"name": workload, "rounds": [[results.values(workload, peer, field[0]) for peer in results.names]
                                                    for field in fields]} for workload in results.compared()],
    }


def text(data):
    """The page."""
    machine = html.escape("\n".join(list(report.machine_lines({**data, "peers": []}))))
    # A "</" would end the script.
    content = json.dumps(figures(Results(data)), separators=(",", ":")).replace("</", "<\\/")
    return TEMPLATE.read_text(encoding="utf-8").replace("@MACHINE@", machine).replace("@FIGURES@", content)
