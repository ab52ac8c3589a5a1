"""Runs what the documentation shows.

  doc_snippets.py split FILE.md... --out FOLDER   the C++ snippets, each as a source file; prints their paths
  doc_snippets.py check FILE.md... --programs FOLDER --zmlx Z   run them and compare what they print

A fenced block is a snippet by its language: `cpp` is a complete program and is compiled as it is printed; where a
`text` block follows at once it is run, and must end with 0 and print that. `console` has lines that begin with
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
    """C++ snippets by name, with what they must print (None: they are compiled alone)."""
    for path in paths:
        blocks = blocks_of(path)
        for block, after in zip(blocks, blocks[1:] + [None], strict=True):
            if block.language != "cpp":
                continue
            last = block.line + block.text.count("\n")
            follows = after and after.language == "text" and after.line == last + 3
            yield f"{path.stem.lower()}_{block.line}", block, after.text if follows else None


def split(paths, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, block, _ in snippets_of(paths):
        source = folder / f"{name}.cpp"
        text = f'#line {block.line} "{block.file}"\n{block.text}\n'
        if not source.is_file() or source.read_text() != text:
            source.write_text(text)
        print(source)


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


def check_programs(paths, folder):
    failed = count = 0
    for name, block, expected in snippets_of(paths):
        count += 1
        if expected is None:
            continue
        ran = subprocess.run([folder / name], capture_output=True, text=True, check=False)
        ended = f"(it ended with {ran.returncode})\n" if ran.returncode else ""
        if not matches(ended + ran.stdout + ran.stderr, expected):
            failed += complain(block, ended + ran.stdout + ran.stderr, expected)
    return failed, count


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
    parser.add_argument("what", choices=["split", "check"])
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--programs", type=pathlib.Path)
    parser.add_argument("--zmlx")
    options = parser.parse_args()
    if options.what == "split":
        split(options.files, options.out)
        return 0
    failed, snippets = check_programs(options.files, options.programs)
    failed_commands, commands = check_console(options.files, options.zmlx)
    if not snippets:
        raise SystemExit("no C++ snippet was found")
    print(f"{snippets} snippets and {commands} commands, {failed + failed_commands} failed")
    return 1 if failed + failed_commands else 0


if __name__ == "__main__":
    sys.exit(main())
