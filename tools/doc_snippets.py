"""Runs what the documentation shows.

  doc_snippets.py program FILE.md... --out FILE.cpp   the C++ snippets as one program
  doc_snippets.py check FILE.md... --program P --zmlx Z   run them and compare what they print

A fenced block is a snippet by its language: `cpp` is compiled and run, each in a function of its own (its #include
lines go to the top of the file); the `text` block that follows is what it prints. `console` has lines that begin with
`$ zmlx`, which are run, each followed by what it prints; a line `...` there stands for any number of lines.
"""

import argparse
import dataclasses
import pathlib
import re
import shlex
import subprocess
import sys


@dataclasses.dataclass
class Block:
    file: str
    line: int  # of its first line of content
    language: str
    text: str


def blocks_of(path):
    """The fenced blocks of a Markdown file."""
    blocks, language, lines, start = [], None, [], 0
    for number, line in enumerate(path.read_text().splitlines(), 1):
        fence = re.match(r"^```(\S*)\s*$", line)
        if fence and language is None:
            language, lines, start = fence[1], [], number + 1
        elif fence:
            blocks.append(Block(str(path), start, language, "\n".join(lines)))
            language = None
        elif language is not None:
            lines.append(line)
    if language is not None:
        raise SystemExit(f"{path}: the block of line {start - 1} has no end")
    return blocks


def snippets_of(paths):
    """C++ snippets with what they must print (None where no text block follows)."""
    for path in paths:
        blocks = blocks_of(path)
        for block, after in zip(blocks, blocks[1:] + [None], strict=True):
            if block.language == "cpp":
                yield block, after.text if after and after.language == "text" else None


def program_of(snippets):
    includes, bodies, calls = {"#include <iostream>": None, "#include <mlx/mlx.h>": None}, [], []
    for number, (block, _) in enumerate(snippets):
        lines = block.text.splitlines()
        includes.update(dict.fromkeys(line for line in lines if line.startswith("#include")))
        code = "\n".join("" if line.startswith("#include") else line for line in lines)
        bodies.append(f'static void snippet_{number}() {{\n#line {block.line} "{block.file}"\n{code}\n}}\n')
        calls.append(f'  std::cout << "== {number}\\n";\n  snippet_{number}();\n')
    return (
        "\n".join(includes)
        + "\n\nnamespace mx = mlx::core;\nusing namespace zmlx;\n\n"
        + "\n".join(bodies)
        + "\nint main() {\n"
        + "".join(calls)
        + "}\n"
    )


def trimmed(text):
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def matches(got, expected):
    """Whether two texts are equal, where a line `...` of the second is any lines."""
    parts = re.split(r"(?m)^\.\.\.$\n?", trimmed(expected) + "\n")
    pattern = r"(?:.*\n)*?".join(re.escape(part) for part in parts)
    return re.fullmatch(pattern, trimmed(got) + "\n") is not None


def complain(block, got, expected):
    where = f"{block.file}, line {block.line}"
    print(f"{where}: it prints\n{trimmed(got)}\nand the text says\n{trimmed(expected)}\n", file=sys.stderr)
    return 1


def check_program(paths, program):
    snippets = list(snippets_of(paths))
    ran = subprocess.run([program], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        print(f"{program} ended with {ran.returncode}\n{ran.stdout}{ran.stderr}", file=sys.stderr)
        return 1, len(snippets)
    outputs = re.split(r"(?m)^== \d+\n", ran.stdout)[1:]
    failed = 0
    for (block, expected), got in zip(snippets, outputs, strict=True):
        if not matches(got, expected or ""):
            failed += complain(block, got, expected or "")
    return failed, len(snippets)


def check_console(paths, zmlx):
    failed = count = 0
    for path in paths:
        for block in blocks_of(path):
            if block.language != "console":
                continue
            for part in re.findall(r"(?ms)^\$ .*?(?=^\$ |\Z)", block.text):
                command, _, expected = part.partition("\n")
                words = shlex.split(command[2:])
                ran = subprocess.run([zmlx, *words[1:]], capture_output=True, text=True, check=False)
                count += 1
                if not matches(ran.stdout + ran.stderr, expected):
                    failed += complain(block, ran.stdout + ran.stderr, expected)
    return failed, count


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["program", "check"])
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--program")
    parser.add_argument("--zmlx")
    options = parser.parse_args()
    if options.what == "program":
        options.out.write_text(program_of(list(snippets_of(options.files))))
        return 0
    failed, snippets = check_program(options.files, options.program)
    failed_commands, commands = check_console(options.files, options.zmlx)
    print(f"{snippets} snippets and {commands} commands, {failed + failed_commands} failed")
    return 1 if failed + failed_commands else 0


if __name__ == "__main__":
    sys.exit(main())
