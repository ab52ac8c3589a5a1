#!/usr/bin/env python3
"""Writes tests/data/tokenizers.json: small tokenizers and what Hugging Face's
`tokenizers` makes of random texts with them, for the unit tests of zmlx/io.

    pip install tokenizers
    tools/tokenizer_fixtures.py

Each variant changes one thing of one small byte-level tokenizer: how text is
normalized, split, merged, or which tokens are added.
"""

import json
import pathlib

from tokenizer_oracle import LLAMA3, QWEN2, Texts
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

OUT = pathlib.Path(__file__).parent.parent / "tests/data/tokenizers.json"
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEXTS = 40

bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


def trained():
    """A byte-level vocabulary of 700 tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = gpt2
    source = Texts(SPECIALS, seed=1)
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [source.text() for _ in range(3000)]
    tokenizer.train_from_iterator(texts, trainer)
    return json.loads(tokenizer.to_str())["model"]


def split(regex, behavior="isolated", invert=False):
    step = pre_tokenizers.Split(Regex(regex), behavior, invert)
    return pre_tokenizers.Sequence([step, bytes_only])


def byte_level_variants():
    """name -> (pre-tokenizer, normalizer, model options, added tokens)"""
    n, p = normalizers, pre_tokenizers
    yield "gpt2", gpt2, None, {}, []
    digits = [p.Digits(individual_digits=True), gpt2]
    yield "smollm", p.Sequence(digits), None, {}, []
    runs = [p.Digits(individual_digits=False), bytes_only]
    yield "digit runs", p.Sequence(runs), None, {}, []
    yield "llama 3", split(LLAMA3), None, {"ignore_merges": True}, []
    yield "qwen 2", split(QWEN2), n.NFC(), {}, []
    prefixed = p.ByteLevel(add_prefix_space=True, use_regex=True)
    yield "prefix space", prefixed, None, {}, []
    for behavior in [
        "removed",
        "isolated",
        "merged_with_previous",
        "merged_with_next",
        "contiguous",
    ]:
        yield behavior, split(r"\s+|\w", behavior), None, {}, []
        inverted = split(r"\w+", behavior, True)
        yield behavior + " inverted", inverted, None, {}, []
        literal = p.Sequence([p.Split(" ", behavior), bytes_only])
        yield behavior + " literal", literal, None, {}, []
    yield "lines", split(r"^.|\d+$|.\n|\u0041\v"), None, {}, []
    strip = n.Sequence([n.NFD(), n.Lowercase(), n.Strip()])
    yield "lower", gpt2, strip, {}, []
    steps = [n.Replace(Regex(r"\s{2,}"), " "), n.Replace("a", "bb")]
    yield "replace", gpt2, n.Sequence(steps + [n.Prepend(">")]), {}, []
    added = [
        AddedToken("the", single_word=True, normalized=True),
        AddedToken("<X>", lstrip=True, normalized=False),
        AddedToken("<Y>", rstrip=True, normalized=False, special=True),
        AddedToken("IT'S", normalized=True),
        AddedToken("  ", normalized=False),
        AddedToken("\n\n", normalized=False, rstrip=True, lstrip=True),
        AddedToken("naïve", normalized=False, single_word=True),
    ]
    yield "added tokens", gpt2, n.Lowercase(), {}, added


def character_variants():
    """Tokenizers of characters, as Llama 2 has them, and their unknowns."""
    tokens = ["<unk>", "<s>", "</s>"]
    tokens += [f"<0x{b:02X}>" for b in range(256)]
    tokens += [chr(c) for c in range(0x21, 0x7F)] + ["▁", "é"]
    merges = [("t", "h"), ("▁", "th"), ("▁th", "e"), ("h", "e"), ("▁", "▁")]
    merges += [("1", "1"), ("e", "r"), ("i", "n")]
    tokens += [a + b for a, b in merges]
    vocab = {token: i for i, token in enumerate(tokens)}
    fallback = {"byte_fallback": True, "unk_token": "<unk>"}
    fuse = {"unk_token": "<unk>", "fuse_unk": True}
    for name, options in [
        ("byte fallback", fallback),
        ("unknown", {"unk_token": "<unk>"}),
        ("unknown fused", fuse),
        ("unknown dropped", {}),
    ]:
        t = Tokenizer(models.BPE(vocab, merges, **options))
        n, d = normalizers, decoders
        t.normalizer = n.Sequence([n.Prepend("▁"), n.Replace(" ", "▁")])
        steps = [d.Replace("▁", " "), d.ByteFallback(), d.Fuse()]
        t.decoder = d.Sequence(steps + [d.Strip(" ", 1, 0)])
        t.add_special_tokens(["<unk>", "<s>", "</s>"])
        t.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
        )
        yield name, t


def newer_than_hf_normalizes(text):
    """Its normalizer knows Unicode 9: leave text that a newer one changes."""
    nfc = normalizers.NFC().normalize_str(text)
    nfd = normalizers.NFD().normalize_str(text)
    import unicodedata

    return nfc != unicodedata.normalize(
        "NFC", text
    ) or nfd != unicodedata.normalize("NFD", text)


def cases(tokenizer, seed):
    specials = [
        token.content for token in tokenizer.get_added_tokens_decoder().values()
    ]
    source = Texts(specials, seed)
    texts = [""]
    while len(texts) < TEXTS:
        text = source.text()
        if not newer_than_hf_normalizes(text):
            texts.append(text)
    for text in texts:
        ids = tokenizer.encode(text).ids
        decoded = tokenizer.decode(ids, skip_special_tokens=False)
        yield {"text": text, "ids": ids, "decoded": decoded}


def main():
    model = trained()
    shared = {"vocab": model["vocab"], "merges": model["merges"]}
    variants = []

    def add(name, tokenizer, shares):
        spec = json.loads(tokenizer.to_str())
        if shares:
            del spec["model"]["vocab"], spec["model"]["merges"]
        made = list(cases(tokenizer, len(variants)))
        variants.append({"name": name, "tokenizer": spec, "cases": made})

    merges = [tuple(m) for m in shared["merges"]]
    for name, pre, normalizer, options, added in byte_level_variants():
        t = Tokenizer(models.BPE(shared["vocab"], merges, **options))
        t.pre_tokenizer = pre
        if normalizer is not None:
            t.normalizer = normalizer
        t.decoder = decoders.ByteLevel()
        t.add_special_tokens(SPECIALS)
        t.add_tokens(added)
        add(name, t, shares=True)
    for name, tokenizer in character_variants():
        add(name, tokenizer, shares=False)
    OUT.parent.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(v) for v in variants)
    OUT.write_text(
        f'{{"shared": {json.dumps(shared)},\n"variants": [\n{lines}]}}\n'
    )
    print(f"{OUT}: {len(variants)} tokenizers, {TEXTS} texts each")


if __name__ == "__main__":
    main()
