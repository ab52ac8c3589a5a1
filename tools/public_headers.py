#!/usr/bin/env python3
"""Checks ZMLX's public headers, which are zmlx/zmlx.h and the headers that it includes.

  public_headers.py check [ROOT]     what public headers, README, docs and examples include
  public_headers.py exports LIBRARY [ROOT]   whether the library has what the public headers declare

`check` fails, with file and line, on

- a public header that includes a header of ours that is not public, or one of a library that users need not have;
- an example or a snippet of README.md and docs/ that includes a header of ours that is not public;
- a family of kernels (zmlx/kernels/*.h) that is not public.

`exports` reads the headers' declarations and asks `nm` for the library's symbols. It fails on a function without a body
in its header, and on a kernel of the catalogue, that the library does not export. Templates are not looked at.
"""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

THE_LIST = "zmlx/zmlx.h"
# What a user of ours has besides the standard library (zmlxConfig.cmake finds them).
KNOWN_LIBRARIES = {"mlx/mlx.h", "fmt/format.h"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)
COMMENT_OR_LITERAL = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)


def includes_of(text):
    """(line, header, whether it is one of ours) of each #include."""
    return [(text.count("\n", 0, m.start(2)) + 1, m[2], m[2].startswith("zmlx/")) for m in INCLUDE.finditer(text)]


def public_headers(root):
    text = (root / THE_LIST).read_text(encoding="utf-8")
    headers = [header for _, header, ours in includes_of(text) if ours]
    if not headers:
        raise SystemExit(f"{THE_LIST} includes no header of ours")
    return [THE_LIST, *headers]


def users_of(root):
    docs = sorted((root / "docs").glob("*.md"))
    return [root / "README.md", *docs, *sorted((root / "examples").glob("*.cpp"))]


def check(root):
    public = public_headers(root)
    problems = []
    for name in public:
        if not (root / name).is_file():
            problems.append(f"{THE_LIST}: {name} is no file")
            continue
        for line, header, ours in includes_of((root / name).read_text(encoding="utf-8")):
            if ours and header not in public:
                problems.append(
                    f"{name}:{line}: a public header includes {header}, which is not one; list that in {THE_LIST}, "
                    "or declare what is needed of it"
                )
            elif "/" in header and not ours and header not in KNOWN_LIBRARIES:
                problems.append(f"{name}:{line}: a public header includes {header}, which users need not have")
    for path in users_of(root):
        shown = path.relative_to(root).as_posix()
        for line, header, ours in includes_of(path.read_text(encoding="utf-8")):
            if ours and header not in public:
                problems.append(f"{shown}:{line}: {header} is not public ({THE_LIST} lists what is)")
    for path in sorted((root / "zmlx/kernels").glob("*.h")):
        shown = path.relative_to(root).as_posix()
        if shown not in public:
            problems.append(f"{shown}: a family of kernels that {THE_LIST} does not include")
    return public, problems


def statements_of(text):
    """(scope, statement, has a body) of each declaration, where scope is its namespaces and classes.

    Bodies of functions and initialisers are skipped. Scopes that are templates or have no name are None.
    """
    text = COMMENT_OR_LITERAL.sub(lambda m: "" if m[0].startswith("/") else '""', text)
    text = re.sub(r"(?m)^\s*#(?:.*\\\n)*.*$", "", text)
    scopes, statement, skipped = [], "", 0
    for token in re.findall(r"[{};]|[^{};]+", text):
        if skipped:
            skipped += {"{": 1, "}": -1}.get(token, 0)
            if not skipped and re.search(r"\)[\w\s]*$|\)\s*:", statement) and "=" not in statement.split("(")[0]:
                yield scopes, statement, True  # a function; else an initialiser, which ends with its semicolon
                statement = ""
            continue
        if token == "{":
            head = re.sub(r"\b(public|protected|private)\s*:", " ", statement).strip()
            opens = re.match(
                r"(template\b.*?>\s*)?(namespace|class|struct)\s+(?:ZMLX_API\s+)?([\w:]*)[^()=]*$", head, re.DOTALL
            )
            if opens and not head.startswith("enum"):
                scopes = [*scopes, None if opens[1] or not opens[3] else opens[3]]
                statement = ""
            else:
                skipped = 1
        elif token == "}":
            scopes, statement = scopes[:-1], ""
        elif token == ";":
            yield scopes, statement, False
            statement = ""
        else:
            statement += token


def declared(text):
    """The functions without a body and the kernels that a header declares: Counter of qualified names."""
    names = Counter()
    for scopes, statement, has_body in statements_of(text):
        statement = re.sub(r"\b(public|protected|private)\s*:", " ", statement)
        statement = " ".join(statement.split())
        if None in scopes or re.match(r"(template|using|typedef|friend|enum|static_assert)\b", statement):
            continue
        kernel = re.match(r"(?:ZMLX_API )?inline const op::Op ?&? ?(\w+)", statement)
        if kernel:
            names["::".join([*scopes, kernel[1]])] += 1
            continue
        function = re.match(r"([^=(]*?)(operator ?(?:\(\)|[^\s\w(]+)|~?\w+)\(", statement)
        if has_body or not function or re.search(r"=\s*(default|delete|0)$", statement):
            continue
        if function[1].count("<") != function[1].count(">") or function[2].isupper():
            continue  # a field such as std::function<void()>; a macro
        if re.search(r"\b(inline|constexpr)\b", function[1]):
            continue
        names["::".join([*scopes, function[2].replace("operator ", "operator")])] += 1
    return names


def exported(library):
    """Qualified names that the library defines, each with how many signatures."""
    lines = subprocess.run(
        ["nm", "--dynamic", "--defined-only", "--demangle", library], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    symbols = {line.split(" ", 2)[2] for line in lines if len(line.split(" ", 2)) == 3}
    names = Counter()
    for symbol in symbols:
        symbol = re.sub(r"\[abi:\w+\]", "", symbol)
        names[re.sub(r"(operator\(\)|[^(])\(.*", r"\1", symbol)] += 1
    return names


def exports(library, root):
    wanted = Counter()
    for name in public_headers(root):
        wanted += declared((root / name).read_text(encoding="utf-8"))
    has = exported(library)
    problems = [
        f"{name}: public headers declare {count}, {Path(library).name} exports {has[name]}; is ZMLX_API missing?"
        for name, count in sorted(wanted.items())
        if has[name] < count
    ]
    return wanted, problems


def main():
    here = Path(__file__).resolve().parent.parent
    words = sys.argv[1:]
    if words[:1] == ["check"] and len(words) <= 2:
        public, problems = check(Path(words[1]) if len(words) > 1 else here)
        said = f"{len(public)} public headers, which include public headers alone"
    elif words[:1] == ["exports"] and 2 <= len(words) <= 3:
        wanted, problems = exports(words[1], Path(words[2]) if len(words) > 2 else here)
        said = f"{sum(wanted.values())} functions and kernels of public headers are exported"
    else:
        raise SystemExit(__doc__)
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(1)
    print(said)


if __name__ == "__main__":
    main()
