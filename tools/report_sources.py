#!/usr/bin/env python3
"""Says whether a committed report is older than the code that it measured.

    report_sources.py stamp FILE    writes what the sources are now into the report
    report_sources.py check FILE... exit code 1 where a report was made with others

A report is one JSON object, whose key "rests_on" holds the SHA-256 of the sources that decide how fast and how well a
model decodes. Comments count too: whoever changes a file there measures again.
"""

import argparse
import hashlib
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = [
    "zmlx/backend/stages",
    "zmlx/backend/cpu/pool.cpp",
    "zmlx/backend/cpu/sequence.cpp",
    "zmlx/graph/folds",
    "zmlx/graph/fuse.cpp",
    "zmlx/plan",
]


def files_of(root):
    for source in SOURCES:
        path = root / source
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.suffix in (".h", ".cpp"))
        elif path.is_file():
            yield path
        else:
            raise FileNotFoundError(f"{source}: no such file or folder below {root}")


def digest(root=ROOT):
    total = hashlib.sha256()
    for path in files_of(root):
        total.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def stamp(report, root=ROOT):
    data = json.loads(report.read_text())
    data["rests_on"] = {"sources": SOURCES, "sha256": digest(root)}
    report.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def fault(report, root=ROOT):
    """What is wrong with a report; nothing when it is as new as the code."""
    rests_on = json.loads(report.read_text()).get("rests_on", {})
    if rests_on.get("sources") != SOURCES:
        return f"{report}: it does not say which sources it rests on; `report_sources.py stamp` writes them"
    if rests_on.get("sha256") != digest(root):
        return f"{report}: older than the code it rests on ({', '.join(SOURCES)}); measure it again"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["stamp", "check"])
    parser.add_argument("reports", nargs="+", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.action == "stamp":
        for report in arguments.reports:
            stamp(report)
        return 0
    faults = [f for f in map(fault, arguments.reports) if f]
    print("\n".join(faults) or f"{len(arguments.reports)} reports are as new as the code they rest on")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
