"""Models that are none, or broken."""

import json
import os
import struct
import tempfile
from pathlib import Path

import tiny_model
from program import USAGE, Case


class WrongModels(Case):
    def refuses_model(self, path, *expected, commands=("generate", "validate", "patch")):
        for command in commands:
            prompt = ["-p", "hi"] if command == "generate" else []
            self.refuses(USAGE, command, path, *prompt, expected=[str(path), *expected])

    def changed(self, name, change):
        """A copy of the model with one file changed: bytes to bytes, or None to leave it out."""
        folder = tiny_model.write_folder(Path(tempfile.mkdtemp(dir=self.root)))
        content = change((folder / name).read_bytes())
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(content)
        return folder

    def configured(self, **changes):
        return self.changed("config.json", lambda _: json.dumps(tiny_model.config(**changes)).encode())

    def test_paths_that_are_no_model(self):
        empty = self.root / "empty"
        empty.mkdir()
        text = self.root / "notes.txt"
        text.write_text("hello")
        fifo = self.root / "pipe.gguf"
        os.mkfifo(fifo)
        self.refuses_model(self.root / "nothing", "No such file", "expected a folder with config.json")
        self.refuses_model(self.root / "nothing.gguf", "No such file")
        self.refuses_model(self.root / ("x" * 5000), "File name too long")
        self.refuses_model(empty, "without config.json")
        self.refuses_model(text, "not a .gguf file")
        self.refuses_model(fifo, "expected a regular file")

    def test_missing_files(self):
        self.refuses_model(self.changed("config.json", lambda _: None), "without config.json")
        self.refuses_model(self.changed("tokenizer.json", lambda _: None), "tokenizer.json: no such file")
        self.refuses_model(self.changed("model.safetensors", lambda _: None), "expected model.safetensors")

    def test_malformed_json(self):
        for name in ["config.json", "tokenizer.json"]:
            self.refuses_model(self.changed(name, lambda b: b[: len(b) // 2]), name, "not valid JSON")
            self.refuses_model(self.changed(name, lambda _: b""), name, "not valid JSON")
            self.refuses_model(self.changed(name, lambda _: b"[]"), name)
            deep = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
            self.refuses_model(self.changed(name, lambda _, deep=deep: deep), name, "nested deeper")

    def test_absurd_configs(self):
        for key, value in [
            ("hidden_size", 0),
            ("hidden_size", 2**40),
            ("hidden_size", "64"),
            ("hidden_size", 65),
            ("num_hidden_layers", 10**9),
            ("num_hidden_layers", -1),
            ("num_attention_heads", 0),
            ("num_attention_heads", 3),
            ("num_key_value_heads", 3),
            ("vocab_size", 10**12),
            ("max_position_embeddings", -5),
            ("rms_norm_eps", "tiny"),
            ("rope_theta", 0),
            ("model_type", 7),
            ("rope_scaling", "big"),
        ]:
            with self.subTest(key=key, value=value):
                self.refuses_model(self.configured(**{key: value}), f"'{key}'", commands=["generate"])
        self.refuses_model(self.configured(eos_token_id=99999), "eos token id 99999")
        self.refuses_model(self.configured(model_type="lama"), "lama", "llama")

    def test_configs_of_other_weights(self):
        for change, tensor in [
            ({"hidden_size": 128}, "model.embed_tokens"),
            ({"num_hidden_layers": 3}, "model.layers.2"),
        ]:
            model = self.configured(**change)
            self.refuses(USAGE, "generate", model, "-p", "hi", expected=[f"{model}: ", tensor, "expected"])

    def test_truncated_safetensors(self):
        size = (self.model / "model.safetensors").stat().st_size
        for length in [0, 1, 7, 8, 100, size // 2, size - 1]:
            with self.subTest(length=length):
                folder = self.changed("model.safetensors", lambda b, n=length: b[:n])
                self.refuses_model(folder, "model.safetensors", "truncated", commands=["generate"])

    def test_malformed_safetensors(self):
        def header(change):
            def changed(data):
                length = struct.unpack("<Q", data[:8])[0]
                tensors = json.loads(data[8 : 8 + length])
                change(tensors)
                text = json.dumps(tensors).encode()
                return struct.pack("<Q", len(text)) + text + data[8 + length :]

            return self.changed("model.safetensors", changed)

        def norm(**fields):
            return header(lambda tensors: tensors["model.norm.weight"].update(fields))

        self.refuses_model(self.changed("model.safetensors", lambda b: b"\xff" * 8 + b[8:]), "model.safetensors")
        self.refuses_model(self.changed("model.safetensors", lambda b: b[:8] + b"{" * 64 + b[72:]), "model.safetensors")
        for fields in [
            {"shape": [-64]},
            {"shape": [2**62, 4]},
            {"shape": [65]},
            {"dtype": "F99"},
            {"data_offsets": [0, 2**63]},
            {"data_offsets": [256, 0]},
            {"data_offsets": [0, 256]},
            {"data_offsets": "all"},
        ]:
            with self.subTest(fields=fields):
                self.refuses_model(norm(**fields), "model.safetensors: tensor 'model.", commands=["generate"])

    def test_truncated_gguf(self):
        data = self.gguf.read_bytes()
        path = self.root / "truncated.gguf"
        for length in [0, 3, 4, 8, 23, 24, 40, 200, 2000, 5000, 6000, 8000, len(data) // 2, len(data) - 1]:
            with self.subTest(length=length):
                path.write_bytes(data[:length])
                self.refuses_model(path, commands=["generate"])

    def test_malformed_gguf(self):
        data = self.gguf.read_bytes()
        path = self.root / "malformed.gguf"

        def refuses(start, content):
            with self.subTest(start=start, content=content):
                path.write_bytes(data[:start] + content + data[start + len(content) :])
                self.refuses_model(path, commands=["generate"])

        huge = struct.pack("<Q", 2**60)
        refuses(0, b"GGML")
        refuses(4, struct.pack("<I", 1))
        refuses(8, huge)  # tensors
        refuses(16, huge)  # keys
        refuses(24, huge)  # the length of the first key
        tensor = data.index(b"token_embd.weight") + len("token_embd.weight")
        refuses(tensor, struct.pack("<I", 9))  # dimensions
        refuses(tensor + 4, huge)  # the first of them
        refuses(tensor + 20, struct.pack("<I", 999))  # type
        refuses(tensor + 24, huge)  # offset
