#!/usr/bin/env python3
"""Checks the rooms of the house: who may include what.

The `zmlx_layer` lines of CMakeLists.txt are the one source of truth. Fails, with file and line, on

- an include of a room that is not among the includer's own DEPENDS and theirs;
- an MLX header in a room that does not say MLX;
- MLX headers other than <mlx/mlx.h> in more than five files of zmlx/;
- getenv anywhere but in zmlx/base/settings.cpp.

Usage: tools/check_layers.py [ROOT]
"""

import re
import sys
from pathlib import Path

MOST_FILES_WITH_INNER_MLX_HEADERS = 5
THE_GETENV = "zmlx/base/settings.cpp"

LAYER = re.compile(r"^\s*zmlx_layer\(\s*(\w+)([^)]*)\)", re.MULTILINE)
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^">]+)[">]')
GETENV = re.compile(r"\b(?:secure_)?getenv\s*\(")
COMMENT = re.compile(r"//.*")


class Room:
    def __init__(self, name, words):
        self.name = name
        self.mlx = "MLX" in words
        self.depends = []
        keyword = None
        for word in words:
            if word in ("DEPENDS", "LINK"):
                keyword = word
            elif keyword == "DEPENDS" and word != "MLX":
                self.depends.append(word)


def read_rooms(text):
    """The rooms by name, lowest first. A room may depend only on those before it."""
    text = re.sub(r"#.*", "", text)
    rooms = {}
    for name, rest in LAYER.findall(text):
        room = Room(name, rest.split())
        unknown = [d for d in room.depends if d not in rooms]
        if unknown:
            raise SystemExit(f"CMakeLists.txt: room {name} depends on {unknown[0]}, which is not before it")
        rooms[name] = room
    if not rooms:
        raise SystemExit("CMakeLists.txt: no zmlx_layer line found")
    return rooms


def reach(rooms, name):
    """The room itself and all it stands on."""
    found = {name}
    for below in rooms[name].depends:
        found |= reach(rooms, below)
    return found


def sources(root, folder):
    base = root / folder
    return sorted(p for p in base.rglob("*") if p.suffix in (".h", ".cpp", ".cc", ".hpp")) if base.is_dir() else []


def lines_of(path):
    text = path.read_text(encoding="utf-8", errors="replace")
    return [(n, COMMENT.sub("", line)) for n, line in enumerate(text.splitlines(), 1)]


def check_includes(path, shown, room, allowed, rooms, problems):
    """Appends what is wrong with the includes of one file; says whether it has inner MLX headers."""
    inner_line = 0
    for number, line in lines_of(path):
        match = INCLUDE.match(line)
        if not match:
            continue
        header = match.group(1)
        parts = header.split("/")
        if parts[0] == "mlx":
            if not room.mlx:
                problems.append(f"{shown}:{number}: room {room.name} has no MLX, but includes {header}")
            if header != "mlx/mlx.h":
                inner_line = inner_line or number
        elif parts[0] == "zmlx" and len(parts) > 2:
            if parts[1] not in rooms:
                problems.append(f"{shown}:{number}: {header} is in no room of CMakeLists.txt")
            elif parts[1] not in allowed:
                problems.append(
                    f"{shown}:{number}: room {room.name} may include {', '.join(sorted(allowed))}; "
                    f"{header} is not below it"
                )
    return inner_line


def check(root):
    rooms = read_rooms((root / "CMakeLists.txt").read_text(encoding="utf-8"))
    problems = []
    inner = []
    for path in sources(root, "zmlx"):
        shown = path.relative_to(root).as_posix()
        parts = shown.split("/")
        if len(parts) < 3:
            continue  # zmlx/export.h and its like belong to no room
        if parts[1] not in rooms:
            problems.append(f"{shown}:1: folder zmlx/{parts[1]} is no room of CMakeLists.txt")
            continue
        room = rooms[parts[1]]
        line = check_includes(path, shown, room, reach(rooms, room.name), rooms, problems)
        if line:
            inner.append(f"{shown}:{line}")
    if len(inner) > MOST_FILES_WITH_INNER_MLX_HEADERS:
        problems += [
            f"{place}: MLX headers other than mlx/mlx.h are in {len(inner)} files, "
            f"at most {MOST_FILES_WITH_INNER_MLX_HEADERS} may have them"
            for place in inner
        ]
    for folder in ("zmlx", "cli", "python", "benchmarks", "examples", "tests"):
        for path in sources(root, folder):
            shown = path.relative_to(root).as_posix()
            for number, line in lines_of(path):
                if shown != THE_GETENV and GETENV.search(line):
                    problems.append(f"{shown}:{number}: getenv outside {THE_GETENV}; add a field to Settings")
    return rooms, problems


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    rooms, problems = check(root)
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(1)
    print(f"layers: {len(rooms)} rooms, no include goes upward")


if __name__ == "__main__":
    main()
