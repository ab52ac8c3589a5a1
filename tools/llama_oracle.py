#!/usr/bin/env python3
"""Compares the logits of our plain path with those of mlx_lm's llama.py.

Same weights, float32, CPU: the GGUF model given (weights read through mx.load,
renamed, traditional rope) and Llamas of odd sizes with random weights, saved as
mlx_lm saves models. For each the largest difference of two logits, as a share
of the largest logit, must be at most 1e-4.

    python3 -m venv /tmp/oracle && /tmp/oracle/bin/pip install mlx[cpu]==0.32.4 mlx-lm
    /tmp/oracle/bin/python tools/llama_oracle.py --dump build/release/bin/logits_dump \
        --gguf models/SmolLM2-135M-Instruct.Q4_1.gguf
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_map_with_path
from mlx_lm.models import llama

LIMIT = 1e-4

NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def renamed(name):
    stem, part = name.rsplit(".", 1)
    if match := re.fullmatch(r"blk\.(\d+)\.(\w+)", stem):
        return f"model.layers.{match[1]}.{LAYER_NAMES[match[2]]}.{part}"
    return f"{NAMES[stem]}.{part}"


def gguf_model(path):
    """mlx_lm's llama with the weights and sizes of a GGUF file."""
    arrays, metadata = mx.load(str(path), return_metadata=True)
    weights = {renamed(name): value for name, value in arrays.items()}

    def number(key, fallback=None):
        value = metadata.get(f"llama.{key}", fallback)
        return value.item() if isinstance(value, mx.array) else value

    heads = number("attention.head_count")
    args = llama.ModelArgs(
        model_type="llama",
        hidden_size=number("embedding_length"),
        num_hidden_layers=number("block_count"),
        intermediate_size=number("feed_forward_length"),
        num_attention_heads=heads,
        num_key_value_heads=number("attention.head_count_kv", heads),
        rms_norm_eps=number("attention.layer_norm_rms_epsilon"),
        vocab_size=weights["model.embed_tokens.weight"].shape[0],
        rope_theta=number("rope.freq_base", 10000.0),
        rope_traditional=True,
        tie_word_embeddings="lm_head.weight" not in weights,
    )
    model = llama.Model(args)

    def packing(name, layer):
        if f"{name}.scales" not in weights:
            return False
        columns = layer.weight.shape[-1]
        bits = weights[f"{name}.weight"].shape[-1] * 32 // columns
        group_size = columns // weights[f"{name}.scales"].shape[-1]
        return {"bits": bits, "group_size": group_size, "mode": "affine"}

    nn.quantize(model, class_predicate=packing)
    model.load_weights(list(weights.items()), strict=True)
    model.set_dtype(mx.float32)
    mx.eval(model.parameters())
    return model


def random_model(folder, args, bits, group_size):
    """A model with random weights in every place, saved into `folder`."""
    config = dict(model_type="llama", rms_norm_eps=1e-5, **args)
    model = llama.Model(llama.ModelArgs.from_dict(config))
    mx.random.seed(len(json.dumps(config)))

    def draw(name, value):
        if "norm" in name:
            return 1 + 0.1 * mx.random.normal(value.shape)
        return mx.random.normal(value.shape) * value.shape[-1] ** -0.5

    model.update(tree_map_with_path(draw, model.parameters()))
    if bits:
        fits = lambda _, m: hasattr(m, "to_quantized") and m.weight.shape[-1] % group_size == 0
        nn.quantize(model, group_size, bits, class_predicate=fits)
        config["quantization"] = {"group_size": group_size, "bits": bits}
    mx.save_safetensors(
        str(folder / "model.safetensors"), dict(tree_flatten(model.parameters())), {"format": "mlx"}
    )
    (folder / "config.json").write_text(json.dumps(config))
    model.set_dtype(mx.float32)
    return model


def their_logits(model, tokens, steps):
    cache = model.make_cache()
    if not steps:
        return model(mx.array([tokens]), cache=cache)[0]
    rows = []
    for token in tokens:
        rows.append(model(mx.array([[token]]), cache=cache)[0])
        mx.eval(rows[-1])
    return mx.concatenate(rows)


def our_logits(dump, path, tokens, steps):
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/logits.npy"
        command = [dump, str(path), ",".join(map(str, tokens)), out]
        subprocess.run(command + ["--steps"] * steps, check=True)
        logits = mx.load(out)
        mx.eval(logits)
        return logits


def compare(name, dump, path, model, tokens):
    passed = True
    for steps in (False, True):
        theirs = their_logits(model, tokens, steps)
        ours = our_logits(dump, path, tokens, steps)
        assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
        gap = (mx.abs(ours - theirs).max() / mx.abs(theirs).max()).item()
        same = (ours.argmax(-1) == theirs.argmax(-1)).sum().item()
        good = gap <= LIMIT  # false for a NaN
        passed = passed and good
        way = "a token a call" if steps else "one call"
        print(
            f"{'ok  ' if good else 'FAIL'} {name:58} {way:15} {gap:.2e}"
            f"  same greedy token {same}/{len(tokens)}",
            flush=True,
        )
    return passed


SMALL = dict(
    hidden_size=192,
    num_hidden_layers=2,
    intermediate_size=544,
    num_attention_heads=3,
    num_key_value_heads=1,
    vocab_size=1001,
    max_position_embeddings=2048,
    tie_word_embeddings=True,
)
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
RANDOM = [
    ("dense, tied, 1 kv head", {}, 0, 0),
    ("4 bits, groups of 32, tied", {}, 4, 32),
    ("8 bits, groups of 64, untied", {"tie_word_embeddings": False}, 8, 64),
    ("4 bits, groups of 128 (192 and 544 stay dense)", {}, 4, 128),
    (
        "4 bits, groups of 128, hidden 256, 4 heads of 32",
        {"hidden_size": 256, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32},
        4,
        128,
    ),
    ("3 bits, 3 kv heads", {"num_key_value_heads": 3}, 3, 32),
    ("biases", {"attention_bias": True, "mlp_bias": True}, 4, 32),
    ("dense, biases, untied", {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": False}, 0, 0),
    ("llama3 rope", {"rope_scaling": LLAMA3, "rope_theta": 500000.0}, 4, 32),
    ("linear rope", {"rope_scaling": {"type": "linear", "factor": 4.0}}, 0, 0),
    ("traditional rope", {"rope_traditional": True}, 4, 64),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dump", required=True, help="the program logits_dump")
    parser.add_argument("--gguf", help="a GGUF file of architecture llama")
    parser.add_argument("--positions", type=int, default=64)
    options = parser.parse_args()
    mx.set_default_device(mx.cpu)
    passed = True
    for name, args, bits, group_size in RANDOM:
        with tempfile.TemporaryDirectory() as folder:
            model = random_model(Path(folder), {**SMALL, **args}, bits, group_size)
            tokens = [(i * 389 + 7) % SMALL["vocab_size"] for i in range(options.positions)]
            passed &= compare(name, options.dump, folder, model, tokens)
    if options.gguf:
        model = gguf_model(options.gguf)
        vocab = model.args.vocab_size
        tokens = [(i * 7919 + 1) % vocab for i in range(options.positions)]
        passed &= compare(Path(options.gguf).name, options.dump, options.gguf, model, tokens)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
