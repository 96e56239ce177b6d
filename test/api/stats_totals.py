"""For stats.sh: checks that the rows of the JSON reports on standard input add up."""
import json
import sys

PARTS = ("live", "slack", "cached", "free", "untouched", "dirty", "fresh")

reports = [json.loads(line) for line in sys.stdin]
for report in reports:
    classes = report["classes"]
    assert sum(report[part] for part in PARTS) == report["accessible"], report
    assert all(c["live"] + c["cached"] + c["free"] == c["slots"] for c in classes), report
    assert sum(c["live"] * c["size"] for c in classes) + report["large_bytes"] + report["sampled_bytes"] == report["live"], report
    put_by = report["cached"] - sum(c["cached"] * c["size"] for c in classes)  # large blocks and samples' spans, in units
    put_by += report["sampled_bytes"]  # these pages of the spans are in use
    assert put_by >= 0 and put_by % 65536 == 0, report
    assert report["resident"] > 0 and report["pid"] > 0
for report in reports:
    print(report["program"])
