#!/usr/bin/env python3
"""Compares zmlx's tokenizer with Hugging Face's `tokenizers` on random text.

    pip install tokenizers gguf
    ninja -C build/release tokenizer_dump
    tools/tokenizer_oracle.py MODEL [--count 100000] [--dump build/release/bin/tokenizer_dump]
    tools/tokenizer_oracle.py MODEL --count 400 --fixture tests/data/tokenizer_smollm2.jsonl

MODEL is a .gguf file (whose vocabulary and merges become a tokenizer of
`tokenizers`), a tokenizer.json, or a folder with one. The texts mix scripts,
digits, blanks, emoji, combining marks and the model's special tokens; every
code point is assigned in Unicode 14. For each, the ids must be equal, and
decode(encode(text)) must be the text: its NFC where the tokenizer normalises,
and without the bytes for which the vocabulary has no token at all.
Prints the number of mismatches; exits with 1 when there are any.

--fixture writes {"text", "ids"} lines for the unit tests and compares nothing.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")


def from_gguf(path):
    from gguf import GGUFReader

    fields = GGUFReader(path).fields
    get = lambda key: fields["tokenizer.ggml." + key].contents()
    tokens, types = get("tokens"), get("token_type")
    merges = [tuple(merge.split(" ")) for merge in get("merges")]
    vocab = {token: i for i, token in enumerate(tokens)}
    pre = get("pre")
    result = Tokenizer(
        models.BPE(vocab, merges, ignore_merges=pre == "llama-bpe")
    )
    words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    bytes_only = pre_tokenizers.ByteLevel(
        add_prefix_space=False, use_regex=False
    )
    split = lambda regex: pre_tokenizers.Split(Regex(regex), "isolated")
    steps = {
        "smollm": [pre_tokenizers.Digits(individual_digits=True), words],
        "gpt-2": [words],
        "default": [words],
        "llama-bpe": [split(LLAMA3), bytes_only],
        "qwen2": [split(QWEN2), bytes_only],
    }[pre]
    if pre == "qwen2":
        result.normalizer = normalizers.NFC()
    result.pre_tokenizer = pre_tokenizers.Sequence(steps)
    result.decoder = decoders.ByteLevel()
    control, user_defined = 3, 4
    for token, kind in zip(tokens, types):
        if kind in (control, user_defined):
            added = AddedToken(
                token, special=kind == control, normalized=False
            )
            result.add_tokens([added])
    return result


def load(path):
    path = pathlib.Path(path)
    if path.suffix == ".gguf":
        return from_gguf(str(path))
    if path.is_dir():
        path = path / "tokenizer.json"
    return Tokenizer.from_file(str(path))


class Texts:
    """Random texts from runs of one kind of character each."""

    def __init__(self, specials, seed):
        self.random = random.Random(seed)
        self.specials = specials or ["<|none|>"]
        # Python's own tables may be newer, or older than 14: 3.11 has 14.
        if unicodedata.unidata_version != "14.0.0":
            sys.exit(
                "run with Python 3.11: the texts need Unicode 14 tables, "
                f"these are {unicodedata.unidata_version}"
            )
        unwanted = {"Cn", "Cs"}
        self.assigned = [
            chr(c)
            for c in range(0x110000)
            if unicodedata.category(chr(c)) not in unwanted
        ]
        kinds = {}
        for c in self.assigned:
            kinds.setdefault(unicodedata.category(c), []).append(c)
        self.marks = kinds["Mn"] + kinds["Mc"] + kinds["Me"]
        self.numbers = kinds["Nd"] + kinds["Nl"] + kinds["No"]
        self.categories = list(kinds.values())
        self.controls = kinds["Cc"] + kinds["Cf"]
        spans = lambda *pairs: [
            chr(c)
            for low, high in pairs
            for c in range(low, high)
            if unicodedata.category(chr(c)) not in unwanted
        ]
        self.scripts = [
            spans((0x41, 0x5B), (0x61, 0x7B)),
            spans((0xC0, 0x250)),
            spans((0x370, 0x400)),
            spans((0x400, 0x530)),
            spans((0x590, 0x600)),
            spans((0x600, 0x700)),
            spans((0x900, 0x980)),
            spans((0xE00, 0xE80)),
            spans((0x3040, 0x3100)),
            spans((0x4E00, 0xA000)),
            spans((0xAC00, 0xD7A4)),
        ]
        self.emoji = spans((0x1F300, 0x1F700), (0x1F900, 0x1FA00)) + [
            "\u200d",
            "\ufe0f",
            "\u20e3",
        ]
        self.blanks = list(" " * 8 + "\n\n\n\t\r\v\f")
        self.blanks += [
            chr(c)
            for c in [0x85, 0xA0, 0x1680, 0x180E, 0x2028, 0x2029, 0x202F]
            + [0x205F, 0x3000, 0x200B, 0x2060, 0xFEFF]
            + list(range(0x2000, 0x200B))
        ]
        self.words = (
            "the of and to in is that it was for on are as with his they at "
            "be this from I'm don't we'll they're can't he'd you've IT'S "
            "function return import class def self None print tokenizer "
            "Hello World decode naïve café Straße"
        ).split()

    def piece(self):
        r = self.random
        run = lambda pool, most: "".join(
            r.choices(pool, k=r.randint(1, most))
        )
        kind = r.randrange(16)
        if kind < 3:
            return " ".join(r.choices(self.words, k=r.randint(1, 4)))
        if kind == 3:
            return run(r.choice(self.scripts), 8)
        if kind == 4:
            return run("0123456789", 6)
        if kind == 5:
            return run(self.numbers, 3)
        if kind == 6:
            return r.choice(" \n\t\u00a0") * r.randint(1, 6)
        if kind == 7:
            return run(self.blanks, 4)
        if kind == 8:
            return run(self.emoji, 4)
        if kind == 9:
            return r.choice(r.choice(self.scripts)) + run(self.marks, 3)
        if kind == 10:
            return r.choice(self.specials)
        if kind == 11:
            special = r.choice(self.specials)
            return special[: r.randint(1, len(special))]
        if kind == 12:
            return run("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", 5)
        if kind == 13:
            return run(self.assigned, 4)
        if kind == 14:
            return run(r.choice(self.categories), 3)
        return r.choice("'’") + r.choice(["s", "t", "re", "LL", "ſ", "d"])

    def text(self):
        glue = self.random.choice(["", " ", " ", "mixed"])
        pieces = [self.piece() for _ in range(self.random.randint(0, 9))]
        if glue != "mixed":
            return glue.join(pieces)
        return "".join(p + self.random.choice(["", " "]) for p in pieces)


def byte_spelling():
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    spelling = {b: chr(b) for b in printable}
    spelling.update({b: chr(0x100 + i) for i, b in enumerate(others)})
    return spelling


def expected_text(text, oracle, missing):
    """What is left of a text after encode and decode."""
    if oracle.normalizer is not None:
        text = oracle.normalizer.normalize_str(text)
    left = bytes(b for b in text.encode() if b not in missing)
    return left.decode(errors="replace")


def zmlx_encodings(dump, model, texts):
    lines = "".join(json.dumps(t) + "\n" for t in texts)
    done = subprocess.run(
        [dump, model], input=lines.encode(), capture_output=True
    )
    if done.returncode != 0:
        sys.exit(f"{dump} failed: {done.stderr.decode().strip()}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("--dump", default="build/release/bin/tokenizer_dump")
    parser.add_argument("--fixture", metavar="FILE")
    args = parser.parse_args()

    oracle = load(args.model)
    specials = [t.content for t in oracle.get_added_tokens_decoder().values()]
    source = Texts(specials, args.seed)
    texts = [source.text() for _ in range(args.count)]
    expected = [
        e.ids for e in oracle.encode_batch(texts, add_special_tokens=False)
    ]
    if args.fixture:
        with open(args.fixture, "w") as out:
            for text, ids in zip(texts, expected):
                out.write(json.dumps({"text": text, "ids": ids}) + "\n")
        print(f"{args.fixture}: {len(texts)} texts")
        return

    vocab = oracle.get_vocab()
    missing = {b for b, c in byte_spelling().items() if c not in vocab}
    got = zmlx_encodings(args.dump, args.model, texts)
    if len(got) != len(texts):
        sys.exit(f"{args.dump}: {len(got)} lines for {len(texts)} texts")
    wrong_ids = wrong_texts = exact = 0
    for text, ids, ours in zip(texts, expected, got):
        if ours["ids"] != ids:
            wrong_ids += 1
            if wrong_ids <= 5:
                print(f"{text!r}\n  zmlx       {ours['ids']}\n  tokenizers {ids}")
        left = expected_text(text, oracle, missing)
        exact += left == text
        if ours["text"] != left:
            wrong_texts += 1
            if wrong_texts <= 5:
                print(f"{text!r}\n  decodes to {ours['text']!r}")
    tokens = sum(len(ids) for ids in expected)
    print(
        f"{args.model}: {len(texts)} texts, {tokens} tokens: "
        f"{wrong_ids} encodings differ, {wrong_texts} do not decode to "
        f"themselves ({len(texts) - exact} hold what the vocabulary cannot "
        "spell or the normalizer changes)"
    )
    sys.exit(1 if wrong_ids or wrong_texts else 0)


if __name__ == "__main__":
    main()
