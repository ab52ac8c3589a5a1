"""Model folders and GGUF files of the Llama family, small enough that the program runs them in milliseconds.

Weights are random and repeatable; the tokenizer has one token a byte, so a text of n bytes is n tokens. Written with
the standard library alone: nothing here shares code with what reads it.
"""

import json
import random
import struct
from pathlib import Path

VOCABULARY = 272  # the 256 bytes, <|end|>, and ids without a token
END = 256


def config(**changes):
    """A config.json. END never ends a text unless `eos_token_id` says so."""
    return {
        "model_type": "llama",
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "intermediate_size": 96,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "max_position_embeddings": 512,
        "vocab_size": VOCABULARY,
        "tie_word_embeddings": True,
        **changes,
    }


def byte_letters():
    """The letter that stands for each byte in a byte-level vocabulary, as GPT-2 has it."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in printable}
    for byte in range(256):
        letters.setdefault(byte, chr(256 + len(letters) - len(printable)))
    return [letters[byte] for byte in range(256)]


def tokenizer():
    """A tokenizer.json."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "added_tokens": [{"id": END, "content": "<|end|>", "special": True}],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": {c: i for i, c in enumerate(byte_letters())}, "merges": []},
    }


class Weights:
    """Tensors by name, in the order in which they were added: (shape, type, bytes)."""

    def __init__(self, seed=0):
        self.random = random.Random(seed)
        self.tensors = {}

    def uniform(self, name, shape, middle=0.0, width=0.2):
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        values = [middle + width * (self.random.random() - 0.5) for _ in range(count)]
        self.tensors[name] = (shape, "F32", struct.pack(f"<{count}f", *values))

    def packed(self, name, rows, columns, bits, group=32):
        """Affine: values scale * q + bias."""
        groups = rows * columns // group
        scale, bias = struct.pack("<e", 0.3 / 2**bits), struct.pack("<e", -0.15)
        words = columns * bits // 32
        self.tensors[f"{name}.weight"] = ((rows, words), "U32", self.random.randbytes(rows * words * 4))
        self.tensors[f"{name}.scales"] = ((rows, columns // group), "F16", scale * groups)
        self.tensors[f"{name}.biases"] = ((rows, columns // group), "F16", bias * groups)


def llama_weights(c, bits=0):
    """The tensors of a config, under Hugging Face's names; packed in so many bits, or dense."""
    weights = Weights()
    hidden, ffn = c["hidden_size"], c["intermediate_size"]
    keys = hidden // c["num_attention_heads"] * c["num_key_value_heads"]

    def linear(name, rows, columns):
        if bits:
            weights.packed(name, rows, columns, bits)
        else:
            weights.uniform(f"{name}.weight", (rows, columns))

    linear("model.embed_tokens", c["vocab_size"], hidden)
    for layer in range(c["num_hidden_layers"]):
        prefix = f"model.layers.{layer}"
        weights.uniform(f"{prefix}.input_layernorm.weight", (hidden,), middle=1)
        linear(f"{prefix}.self_attn.q_proj", hidden, hidden)
        linear(f"{prefix}.self_attn.k_proj", keys, hidden)
        linear(f"{prefix}.self_attn.v_proj", keys, hidden)
        linear(f"{prefix}.self_attn.o_proj", hidden, hidden)
        weights.uniform(f"{prefix}.post_attention_layernorm.weight", (hidden,), middle=1)
        linear(f"{prefix}.mlp.gate_proj", ffn, hidden)
        linear(f"{prefix}.mlp.up_proj", ffn, hidden)
        linear(f"{prefix}.mlp.down_proj", hidden, ffn)
    weights.uniform("model.norm.weight", (hidden,), middle=1)
    return weights.tensors


def safetensors(tensors):
    """The bytes of a safetensors file."""
    header, end = {"__metadata__": {"format": "mlx"}}, 0
    for name, (shape, kind, data) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [end, end + len(data)]}
        end += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values())


def damaged(tensors, name, row, value):
    """The tensors with one row of a dense matrix set to a value."""
    shape, kind, data = tensors[name]
    size = 4 * shape[1]
    data = data[: row * size] + struct.pack("<f", value) * shape[1] + data[(row + 1) * size :]
    return {**tensors, name: (shape, kind, data)}


def write_folder(folder, bits=0, damage=None, **changes):
    """A model folder that loads; `changes` are keys of its config, `damage` is (tensor, row, value). Returns it."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    c = config(**changes)
    if bits:
        c["quantization"] = {"group_size": 32, "bits": bits}
    tensors = llama_weights(c, bits)
    if damage:
        tensors = damaged(tensors, *damage)
    (folder / "config.json").write_text(json.dumps(c))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer()))
    (folder / "model.safetensors").write_bytes(safetensors(tensors))
    return folder


def gguf_string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def gguf_value(value):
    """Type and content of a metadata value."""
    if isinstance(value, str):
        return 8, gguf_string(value)
    if isinstance(value, float):
        return 6, struct.pack("<f", value)
    if isinstance(value, int):
        return 4, struct.pack("<I", value)
    kind = gguf_value(value[0])[0] if value else 8
    items = b"".join(gguf_value(item)[1] for item in value)
    return 9, struct.pack("<IQ", kind, len(value)) + items


GGUF_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "model.layers": "blk",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf():
    """The bytes of a GGUF file, version 3, float32."""
    c = config()
    letters = byte_letters()
    metadata = {
        "general.architecture": "llama",
        "llama.embedding_length": c["hidden_size"],
        "llama.block_count": c["num_hidden_layers"],
        "llama.attention.head_count": c["num_attention_heads"],
        "llama.attention.head_count_kv": c["num_key_value_heads"],
        "llama.feed_forward_length": c["intermediate_size"],
        "llama.attention.layer_norm_rms_epsilon": c["rms_norm_eps"],
        "llama.context_length": c["max_position_embeddings"],
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": [*letters, "<|end|>", *(f"<unused {i}>" for i in range(VOCABULARY - END - 1))],
        "tokenizer.ggml.merges": [],
    }
    out = [b"GGUF", struct.pack("<I", 3)]
    tensors = llama_weights(c)
    out.append(struct.pack("<QQ", len(tensors), len(metadata)))
    for key, value in metadata.items():
        kind, content = gguf_value(value)
        out.append(gguf_string(key) + struct.pack("<I", kind) + content)
    offset, data = 0, []
    for name, (shape, _, content) in tensors.items():
        for long, short in GGUF_NAMES.items():
            name = name.replace(long, short)
        dims = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        out.append(gguf_string(name) + dims + struct.pack("<IQ", 0, offset))
        padding = b"\0" * (-len(content) % 32)
        data.append(content + padding)
        offset += len(content) + len(padding)
    head = b"".join(out)
    return head + b"\0" * (-len(head) % 32) + b"".join(data)
