#!/usr/bin/env python3
"""Decode speed of mlx_lm's own generate_step beside that of our plain path.

Same GGUF weights, float32, CPU, same prompt and number of tokens; runs of the
two take turns, and the medians are compared. Run it on a quiet machine:

    python3 -m venv /tmp/oracle && /tmp/oracle/bin/pip install mlx[cpu]==0.32.4 mlx-lm
    /tmp/oracle/bin/python benchmarks/mlx_lm_decode.py --zmlx build/release/bin/zmlx \
        --gguf models/SmolLM2-135M-Instruct.Q4_1.gguf
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import mlx.core as mx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from llama_oracle import gguf_model  # noqa: E402
from mlx_lm.generate import generate_step  # noqa: E402

PROMPT = "Tell me about the sea."


def ours(options):
    command = [options.zmlx, "generate", options.gguf, "--prompt", PROMPT]
    command += ["--ignore-chat-template", "--max-tokens", str(options.tokens)]
    command += ["--patch", "off", "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def theirs(model, prompt, tokens):
    """The tokens, and how many per second after the first."""
    out = []
    for token, _ in generate_step(mx.array(prompt), model, max_tokens=tokens):
        if not out:
            start = time.perf_counter()
        out.append(token)
    return out, (len(out) - 1) / (time.perf_counter() - start)


def prompt_ids(options):
    dump = subprocess.run(
        [options.tokenizer_dump, options.gguf, "--special"],
        input=json.dumps(PROMPT) + "\n",
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(dump.stdout)["ids"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--zmlx", required=True)
    parser.add_argument("--gguf", required=True)
    parser.add_argument("--tokenizer-dump", help="default: beside zmlx")
    parser.add_argument("--tokens", type=int, default=30)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    if not options.tokenizer_dump:
        options.tokenizer_dump = str(Path(options.zmlx).parent / "tokenizer_dump")
    mx.set_default_device(mx.cpu)
    model = gguf_model(options.gguf)
    prompt = prompt_ids(options)
    theirs(model, prompt, 2)  # mlx_lm compiles its activation at the first call
    speeds = {"mlx_lm": [], "zmlx": []}
    for _ in range(options.runs):
        tokens, speed = theirs(model, prompt, options.tokens)
        speeds["mlx_lm"].append(speed)
        result = ours(options)
        speeds["zmlx"].append(result["decode"]["tok_s"])
        shown = result["tokens"]
        assert tokens[: len(shown)] == shown, "the two paths chose different tokens"
    for name, runs in speeds.items():
        listed = " ".join(f"{speed:.2f}" for speed in runs)
        print(f"{name:7} {statistics.median(runs):6.2f} tok/s decode   runs: {listed}")
    ratio = statistics.median(speeds["zmlx"]) / statistics.median(speeds["mlx_lm"])
    print(f"zmlx / mlx_lm {ratio:.3f}")


if __name__ == "__main__":
    main()
