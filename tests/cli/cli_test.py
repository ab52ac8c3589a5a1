"""The program as a user meets it: what it prints where, what it exits with, and how it refuses.

Run by CTest, or by hand: python3 cli_test.py build/release/bin/zmlx [TEST ...]
"""

import contextlib
import itertools
import json
import os
import pty
import resource
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import tiny_model

PROGRAM = str(Path(sys.argv.pop(1)).resolve()) if len(sys.argv) > 1 else ""
COMMANDS = ["bench", "check", "doctor", "generate", "kernels", "patch", "show", "validate"]
SMOLLM2 = Path(__file__).parents[2] / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
LIMIT = 60  # seconds that no call may take: a hang is a failure of its own test
OK, FAILED, USAGE, ENVIRONMENT, INTERRUPTED = 0, 1, 2, 3, 130


def run(*args, stdin=b"", env=None, **streams):
    """The program's exit code, stdout and stderr; a signal would be a negative code."""
    if isinstance(stdin, bytes):
        streams["input"] = stdin
    else:
        streams["stdin"] = stdin
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    done = subprocess.run([PROGRAM, *map(str, args)], env={**os.environ, **(env or {})}, timeout=LIMIT, **streams)
    return done.returncode, (done.stdout or b"").decode(errors="replace"), (done.stderr or b"").decode(errors="replace")


def start(*args, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL):
    return subprocess.Popen([PROGRAM, *map(str, args)], stdin=stdin, stdout=subprocess.PIPE, stderr=stderr)


def finish(process):
    out, err = process.communicate(timeout=LIMIT)
    return process.returncode, out.decode(errors="replace"), (err or b"").decode(errors="replace")


class Case(unittest.TestCase):
    """Models that all tests share, and what every refusal has in common."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="zmlx_cli_")
        cls.root = Path(cls.folder.name)
        cls.model = tiny_model.write_folder(cls.root / "dense")
        cls.packed = tiny_model.write_folder(cls.root / "packed", quantized=True)
        # Room for a generation that lasts until it is interrupted.
        cls.long = tiny_model.write_folder(cls.root / "long", max_position_embeddings=1_000_000)
        cls.gguf = cls.root / "model.gguf"
        cls.gguf.write_bytes(tiny_model.gguf())

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def refuses(self, code, *args, expected=(), **more):
        """One message on stderr that has all the texts of `expected`; nothing on stdout."""
        got, out, err = run(*args, **more)
        self.assertEqual((got, out), (code, ""), err)
        self.assertEqual(err.count("zmlx: "), 1, err)
        self.assertTrue(err.startswith("zmlx: ") and err.endswith("\n"), err)
        self.assertNotIn("internal error", err)
        for text in expected:
            self.assertIn(text, err)
        return err

    def succeeds(self, *args, **more):
        code, out, err = run(*args, **more)
        self.assertEqual(code, OK, err)
        return out, err

    def document(self, *args, **more):
        """The one JSON document on stdout, with nothing on stderr."""
        out, err = self.succeeds(*args, "--json", **more)
        self.assertEqual(err, "")
        return json.loads(out)


class Help(Case):
    def test_help_names_each_command(self):
        out, err = self.succeeds("--help")
        self.assertEqual(err, "")
        for command in COMMANDS:
            self.assertIn(f"\n  {command} ", out)

    def test_help_of_each_command_names_each_flag(self):
        flags = {
            "bench": "kernels op",
            "check": "--csv --json",
            "doctor": "--json",
            "generate": "--prompt --max-tokens --temp --top-p --min-p --top-k --seed --system-prompt "
            "--ignore-chat-template --patch --json",
            "kernels": "--json --markdown",
            "patch": "--patterns --exclude --list --plan --dot --json",
            "show": "--inputs --scalars --with --type --gradient --json",
            "validate": "--max-tokens --runs --prompt --patterns --reference --ignore-chat-template --json",
        }
        self.assertEqual(sorted(flags), COMMANDS)
        for command in COMMANDS:
            out, err = self.succeeds(command, "--help")
            self.assertEqual(err, "")
            self.assertIn(f"Usage: zmlx {command}", out)
            for flag in flags[command].split():
                self.assertIn(flag, out, command)
            self.assertEqual(out, self.succeeds(command, "-h")[0])

    def test_version(self):
        out, err = self.succeeds("--version")
        self.assertRegex(out, r"^zmlx \d+\.\d+\.\d+ \(MLX \d+\.\d+\.\d+\)\n$")
        self.assertEqual(err, "")


class WrongArguments(Case):
    def test_no_command(self):
        self.refuses(USAGE, expected=COMMANDS)

    def test_unknown_command(self):
        self.refuses(USAGE, "genrate", expected=['"genrate"', "Did you mean 'generate'?", *COMMANDS])
        self.assertNotIn("Did you mean", self.refuses(USAGE, "frobnicate", expected=['"frobnicate"']))

    def test_unknown_flags_name_the_nearest(self):
        for args, nearest in [
            (["--versoin"], "--version"),
            (["generate", "m", "--promt", "hi"], "--prompt"),
            (["generate", "m", "-p", "hi", "--max-token=3"], "--max-tokens"),
            (["validate", "m", "--pattern", "x"], "--patterns"),
            (["kernels", "--jsn"], "--json"),
            (["show", "silu", "--typ", "float32"], "--type"),
            (["patch", "m", "--exclud", "x"], "--exclude"),
            (["doctor", "--josn"], "--json"),
            (["check", "--cvs", "x"], "--csv"),
        ]:
            self.refuses(USAGE, *args, expected=["unknown flag", f"Did you mean '{nearest}'?"])
        self.refuses(USAGE, "generate", "m", "-p", "hi", "-x", expected=['unknown flag "-x"', "generate --help"])

    def test_values_of_wrong_types(self):
        for flag, value in [
            *itertools.product(
                ["--max-tokens", "--top-k", "--seed"],
                ["ten", "-1", "1.5", "", " 1", "0x10", "99999999999999999999"],
            ),
            *itertools.product(["--temp", "--top-p", "--min-p"], ["x", "", "1,5", "nan", "inf"]),
        ]:
            self.refuses(USAGE, "generate", "m", "-p", "hi", f"{flag}", value, expected=[f"{flag}: ", f'got "{value}"'])
        for flag, value in itertools.product(["--max-tokens", "--runs"], ["0", "-3", "many", "1e3", "5000000000"]):
            self.refuses(USAGE, "validate", "m", flag, value, expected=[f"{flag}: ", f'got "{value}"'])
        self.refuses(USAGE, "validate", "m", "--reference", "of", expected=["--reference", "Did you mean 'off'?"])
        self.refuses(USAGE, "show", "silu", "--type", "float", expected=["--type", "float16", "float32"])

    def test_values_out_of_range(self):
        for flag, value in [("--temp", "-1"), ("--top-p", "2"), ("--min-p", "-0.1")]:
            err = self.refuses(USAGE, "generate", "m", "-p", "hi", flag, value, expected=[flag[2:], value])
            self.assertIn("must be in", err)

    def test_missing_and_superfluous_arguments(self):
        self.refuses(USAGE, "generate", expected=["generate: model is required"])
        self.refuses(USAGE, "generate", "m", expected=["--prompt is required"])
        self.refuses(USAGE, "generate", "m", "-p", expected=["--prompt", "expected a value"])
        self.refuses(USAGE, "generate", "m", "-p", "a", "-p", "b", expected=["--prompt", "2 times"])
        self.refuses(USAGE, "generate", "m", "-p", "hi", "more", expected=['unexpected argument "more"'])
        self.refuses(USAGE, "validate", expected=["model is required"])
        self.refuses(USAGE, "patch", expected=["expected a model"])
        self.refuses(USAGE, "show", expected=["kernel is required"])
        self.refuses(USAGE, "bench", expected=["expected what to measure: kernels or op"])
        self.refuses(USAGE, "bench", "kernls", expected=['"kernls"'])

    def test_leading_zeros_are_decimal(self):
        self.assertEqual(len(self.document("generate", self.model, "-p", "hi", "-m", "010")["tokens"]), 10)

    def test_unknown_rules_before_the_model_is_looked_at(self):
        for text, hint in [("merge_map", "'merge_maps'"), ("Auto", "'auto'"), ("rope_cache,lm_hed", "'lm_head'")]:
            self.refuses(
                USAGE, "generate", "/no", "-p", "hi", "--patch", text, expected=["--patch", f"Did you mean {hint}"]
            )
        for text in ["", ",", "merge_maps,", "off,merge_maps", "frobnicate"]:
            self.refuses(USAGE, "generate", "/no", "-p", "hi", "--patch", text, expected=["--patch", "unknown pattern"])
        for command, flag in [("validate", "--patterns"), ("patch", "--patterns"), ("patch", "--exclude")]:
            self.refuses(USAGE, command, "/no", flag, "swiglu_mpl", expected=["Did you mean 'swiglu_mlp'?"])

    def test_formulas_and_kernels(self):
        self.refuses(USAGE, "show", "sliu", expected=["'sliu'", "Did you mean 'silu'?"])
        self.refuses(USAGE, "show", "x + ", expected=["line 1, column", "^"])
        self.refuses(USAGE, "show", "softmx(x)", expected=["'softmx'", "Did you mean 'softmax'?"])
        self.refuses(USAGE, "show", "x + eps", "--scalars", "esp", expected=["'eps'", "Did you mean 'esp'?"])
        self.refuses(USAGE, "show", "silu", "--with", "bits", expected=["NAME=NUMBER"])
        for command in [["check"], ["bench", "kernels"]]:
            self.refuses(USAGE, *command, "sliu", expected=["'sliu'", "Did you mean 'silu'?"])
        self.refuses(USAGE, "bench", "kernels", "--type", "float64", expected=["--type", "float32", "bfloat16"])


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
            self.refuses(USAGE, "generate", self.configured(**change), "-p", "hi", expected=[tensor, "expected"])

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


class Prompts(Case):
    def test_empty(self):
        self.refuses(USAGE, "generate", self.model, "-p", "", expected=["prompt is empty"])
        self.refuses(USAGE, "generate", self.model, "-p", "-", stdin=b"", expected=["prompt is empty"])
        self.refuses(USAGE, "validate", self.model, "-p", "", expected=["prompt is empty"])

    def test_stdin(self):
        args = ["generate", self.model, "-m", "8"]
        typed = self.document(*args, "-p", "hello\nthere")
        piped = self.document(*args, "-p", "-", stdin=b"hello\nthere")
        self.assertEqual(piped["prompt_tokens"], 11)
        self.assertEqual(piped["tokens"], typed["tokens"])

    def test_not_utf8(self):
        self.refuses(USAGE, "generate", self.model, "-p", "-", stdin=b"ab\xff", expected=["not UTF-8", "byte 2"])

    def test_a_million_tokens(self):
        prompt = ["-p", "-"]
        expected = ["1,000,000 tokens", "context of 512"]
        self.refuses(USAGE, "generate", self.model, *prompt, stdin=b"x" * 1_000_000, expected=expected)
        largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # of all calls up to here, in KiB
        self.assertLess(largest, 1 << 20)

    def test_stdin_without_end(self):
        with open("/dev/zero", "rb") as zeros:
            self.refuses(USAGE, "generate", self.model, "-p", "-", stdin=zeros, expected=["longer than"])

    def test_closed_stdin(self):
        self.refuses(
            ENVIRONMENT,
            "generate",
            self.model,
            *["-p", "-"],
            stdin=None,
            preexec_fn=lambda: os.close(0),
            expected=["stdin"],
        )

    def test_system_prompt_without_template(self):
        self.refuses(
            USAGE, "generate", self.model, "-p", "hi", "--system-prompt", "x", expected=["--system-prompt", "template"]
        )

    def test_the_context_ends(self):
        for patch in ["auto", "off"]:
            got = self.document("generate", self.model, "-p", "x" * 500, "-m", "100", "--patch", patch)
            self.assertEqual(got["finish"], "context")
            weights = (self.model / "model.safetensors").stat().st_size
            self.assertGreater(got["peak_memory_bytes"], 0.9 * weights)
            # The last token needs no place: it is not fed back.
            self.assertEqual(len(got["tokens"]), 13)
        full = self.document("generate", self.model, "-p", "x" * 512, "-m", "100")
        self.assertEqual((full["finish"], len(full["tokens"])), ("context", 1))
        self.refuses(USAGE, "generate", self.model, "-p", "x" * 513, expected=["513 tokens", "context of 512"])
        self.refuses(
            USAGE, "validate", self.model, "-p", "x" * 500, "-m", "100", expected=["prompt 1", "500", "100", "512"]
        )

    def test_no_tokens_wanted(self):
        self.assertEqual(self.document("generate", self.model, "-p", "hi", "-m", "0")["tokens"], [])


class Output(Case):
    def test_generate_prints_text_alone_on_stdout(self):
        out, err = self.succeeds("generate", self.model, "-p", "hello", "-m", "12")
        got = self.document("generate", self.model, "-p", "hello", "-m", "12")
        self.assertEqual(out, got["text"] + "\n")
        self.assertRegex(err, r"^\nprompt  5 tokens, .* tok/s\ndecode  12 tokens, .*\nmemory  .*\n$")
        self.assertEqual((got["finish"], got["prompt_tokens"]), ("length", 5))

    def test_every_way_to_run_gives_the_same_tokens(self):
        for model in [self.model, self.packed, self.gguf]:
            ways = [
                self.document("generate", model, "-p", "hello", "-m", "40", "--patch", patch)["tokens"]
                for patch in ["off", "auto", "rope_cache,merge_maps", "FUSED_ACTIVATIONS"]
            ]
            self.assertEqual(len(ways[0]), 40)
            for tokens in ways[1:]:
                self.assertEqual(tokens, ways[0])

    def test_the_seed_repeats_a_sample(self):
        args = ["generate", self.model, "-p", "hello", "-m", "30", "--temp", "1", "--top-p", "0.95", "--seed"]
        one, again, other = (self.document(*args, seed)["tokens"] for seed in ["7", "7", "8"])
        self.assertEqual(one, again)
        self.assertNotEqual(one, other)

    def test_a_stop_token_ends_the_text(self):
        first = self.document("generate", self.model, "-p", "hello", "-m", "1")["tokens"][0]
        model = tiny_model.write_folder(self.root / "stops", eos_token_id=first)
        got = self.document("generate", model, "-p", "hello")
        self.assertEqual((got["finish"], got["tokens"], got["text"]), ("stop", [], ""))

    def test_validate_has_the_promised_fields(self):
        got = self.document("validate", self.packed, "-m", "20", "--runs", "2")
        promised = (
            "model device mlx_version prompt_tokens max_tokens tokens_total tokens_equal first_divergence "
            "top1_unpatched top1_patched kl_unpatched kl_patched unpatched patched speedup verdict"
        )
        self.assertLessEqual(set(promised.split()), set(got))
        for side in ["unpatched", "patched"]:
            self.assertLessEqual({"tok_s", "runs", "peak_memory_bytes"}, set(got[side]))
            self.assertEqual(len(got[side]["runs"]), 2)
            self.assertGreater(got[side]["tok_s"], 0)
            self.assertGreater(got[side]["peak_memory_bytes"], got["weight_bytes_per_token"])
        self.assertEqual((got["model"], got["max_tokens"]), (str(self.packed), 20))
        self.assertEqual(got["tokens_equal"], got["tokens_total"])
        self.assertEqual((got["first_divergence"], got["verdict"]), (None, "identical"))

    def test_validate_as_a_table(self):
        # Long enough for progress to show, were this a terminal.
        out, err = self.succeeds("validate", self.long, "-m", "400", "-p", "one", "-p", "two")
        self.assertEqual(err, "")
        self.assertNotIn("\r", out)
        self.assertNotIn("\033", out)
        for text in ["unpatched", "patched", "speedup", "400 of 400 greedy tokens equal", "verdict  identical"]:
            self.assertIn(text, out)

    def test_documents_of_the_other_commands(self):
        patch = self.document("patch", self.packed)
        self.assertGreater(patch["patched_count"], 0)
        self.assertTrue(patch["sites"])
        self.assertTrue(self.document("kernels"))

    def test_show_a_kernel(self):
        got = self.document("show", "silu")
        self.assertEqual((got["name"], got["formula"]), ("silu", "x * sigmoid(x)"))
        self.assertEqual((got["inputs"], got["operations"], got["bytes"]), (["x float32"], 2, 8))
        self.assertIn("output 0 = r2", got["program"])
        gradient = got["gradients"]["x"]
        self.assertEqual(gradient["formula"], "let t1 = sigmoid(x);\nd_x = d_out * x * (t1 * (1 - t1)) + d_out * t1;")
        self.assertEqual((gradient["operations"], gradient["bytes"]), (7, 12))
        self.assertNotIn("program", gradient)
        more = self.document("show", "silu", "--gradient")["gradients"]["x"]
        self.assertIn("output 0 += ", more["program"])

    def test_show_a_formula(self):
        text = "take(table, ids) * s"
        got = self.document("show", text, "--inputs", "table,ids", "--scalars", "s", "--type", "float16")
        self.assertEqual(got["inputs"], ["table float16", "ids int32", "s float16"])
        self.assertEqual(sorted(got["gradients"]), ["s", "table"])
        self.assertEqual(got["gradients"]["table"]["formula"], "d_table = d_out * s;\nd_table_row = ids;")
        none = self.document("show", "top_values(x, 2)")["gradients"]["x"]
        self.assertEqual(none, {"why_none": "top_values has no derivative here"})
        out, err = self.succeeds("show", "a / b", "--inputs", "a,b")
        self.assertEqual(err, "")
        for line in ["formula  a / b", "gradient of a", "formula  d_a = d_out / b;", "gradient of b", "stage map"]:
            self.assertIn(line + "\n", out)
        self.assertNotIn("gradient of a: stage", out)
        out, _ = self.succeeds("show", "a / b", "--inputs", "a,b", "--gradient")
        self.assertIn("gradient of a: stage", out)
        self.assertIn("gradient of b: stage", out)

    def test_check_of_two_kernels(self):
        path = self.root / "support.csv"
        got = self.document("check", "silu", "add", "silu", "--csv", path)
        self.assertEqual([kernel["kernel"] for kernel in got["kernels"]], ["add", "silu"])
        self.assertTrue(got["passed"])
        self.assertGreater(got["comparisons"], 100)
        self.assertEqual(path.read_text().count("\n"), 3)
        out, err = self.succeeds("check", "silu")
        self.assertEqual(err, "")
        self.assertIn("all as they should be", out)

    def test_bench_writes_a_page(self):
        path = self.root / "bench.html"
        got = self.document("bench", "kernels", "silu", "--quick", "--html", path)
        self.assertEqual(got["benchmarks"][0]["name"], "silu/float32")
        self.assertIn("<svg ", path.read_text())
        self.assertGreater(self.document("bench", "op")["mx_add_seconds"], 0)

    def test_the_page_of_kernels_is_current(self):
        page = Path(__file__).parents[2] / "docs" / "kernels.md"
        self.assertEqual(page.read_text(), self.succeeds("kernels", "--markdown")[0])

    def test_patch_writes_the_graph(self):
        path = self.root / "step.dot"
        self.succeeds("patch", self.model, "--dot", path)
        printed, _ = self.succeeds("patch", self.model, "--dot", "-")
        self.assertEqual(path.read_text(), printed)
        self.assertTrue(printed.startswith("digraph ") and printed.rstrip().endswith("}"))
        self.refuses(ENVIRONMENT, "patch", self.model, "--dot", self.root / "no" / "x", expected=["cannot write"])
        fifo = self.root / "pipe"
        os.mkfifo(fifo)
        self.refuses(ENVIRONMENT, "patch", self.model, "--dot", fifo, expected=["expected a regular file"])
        self.assertTrue(fifo.is_fifo())

    def test_doctor_judges_the_cache_folder(self):
        cache = self.root / "cache"
        got = self.document("doctor", env={"XDG_CACHE_HOME": str(cache)})
        self.assertTrue(got["healthy"])
        self.assertGreater(got["read_bytes_per_second"], 0)
        foreign = self.root / "foreign"
        (foreign / "zmlx").mkdir(parents=True)
        (foreign / "zmlx").chmod(0o777)
        code, out, err = run("doctor", env={"XDG_CACHE_HOME": str(foreign)})
        self.assertEqual((code, err), (ENVIRONMENT, ""))
        self.assertRegex(out, rf"cache folder +BAD +{foreign}/zmlx")

    def test_no_cache_is_needed_to_generate(self):
        self.succeeds("generate", self.model, "-p", "hi", "-m", "3", env={"XDG_CACHE_HOME": "/dev/null"})

    def test_wrong_settings(self):
        for name in ["ZMLX_THREADS", "ZMLX_LOG"]:
            self.refuses(USAGE, "generate", self.model, "-p", "hi", env={name: "many"}, expected=[name, "'many'"])


@unittest.skipUnless(SMOLLM2.exists(), "needs SmolLM2, which demo.sh fetches")
class RealModel(Case):
    def test_it_answers(self):
        args = ["generate", SMOLLM2, "-p", "What is the capital of France?", "-m", "12"]
        got = self.document(*args)
        self.assertEqual((got["text"], got["finish"]), ("The capital of France is Paris.", "stop"))
        longer = self.document(*args, "--system-prompt", "You are a helpful and very polite teacher of geography.")
        shorter = self.document(*args, "--ignore-chat-template")
        self.assertLess(shorter["prompt_tokens"], got["prompt_tokens"])
        self.assertNotEqual(longer["prompt_tokens"], got["prompt_tokens"])

    def test_a_million_tokens(self):
        text = b" ".join(b"%d" % i for i in range(200_000))
        self.refuses(USAGE, "generate", SMOLLM2, "-p", "-", stdin=text, expected=["tokens", "context of 8,192"])


class BrokenStreams(Case):
    def commands(self):
        return [
            ["--help"],
            ["--version"],
            ["generate", "--help"],
            ["generate", self.model, "-p", "hi"],
            ["generate", self.model, "-p", "hi", "--json"],
            ["patch", self.model],
            ["patch", "--list"],
            ["kernels"],
            ["show", "silu"],
        ]

    def test_a_full_disk(self):
        for args in self.commands():
            with self.subTest(args=args), open("/dev/full", "wb") as full:
                self.refuses(ENVIRONMENT, *args, stdout=full, expected=["cannot write output", "No space left"])

    def test_a_closed_stdout(self):
        for args in self.commands():
            with self.subTest(args=args):
                self.refuses(
                    ENVIRONMENT, *args, stdout=None, preexec_fn=lambda: os.close(1), expected=["cannot write output"]
                )

    def test_a_reader_that_went_away(self):
        for args in self.commands():
            with self.subTest(args=args):
                reader, writer = os.pipe()
                os.close(reader)
                with open(writer, "wb") as gone:
                    self.refuses(ENVIRONMENT, *args, stdout=gone, expected=["cannot write output", "Broken pipe"])

    def test_what_is_printed_never_lands_in_a_file_that_is_written(self):
        path = self.root / "alone.dot"
        run("patch", self.model, "--dot", path, stdout=None, preexec_fn=lambda: os.close(1))
        self.assertEqual(path.read_text(), self.succeeds("patch", self.model, "--dot", "-")[0])

    def test_without_stderr(self):
        for args, expected in [(["generate", self.model, "-p", "hi", "-m", "3"], OK), (["generate"], USAGE)]:
            code, _, _ = run(*args, stderr=None, preexec_fn=lambda: os.close(2))
            self.assertEqual(code, expected)
            with open("/dev/full", "wb") as full:
                self.assertEqual(run(*args, stderr=full)[0], expected)


class Interrupts(Case):
    def endless(self, *more):
        return ["generate", self.long, "-p", "hello", "-m", "1000000", *more]

    def wait_for_text(self, process):
        text = process.stdout.read1(100)
        self.assertTrue(text, process.stderr)
        return text.decode(errors="replace")

    def test_generate_keeps_the_text_so_far(self):
        for patch in ["auto", "off"]:
            process = start(*self.endless("--patch", patch))
            self.wait_for_text(process)
            process.send_signal(signal.SIGINT)
            code, out, err = finish(process)
            self.assertEqual(code, INTERRUPTED)
            self.assertTrue(out.endswith("\n"))
            self.assertIn("(cancelled)", err)

    def test_generate_gives_a_whole_document(self):
        process = start(*self.endless("--json"))
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        code, out, err = finish(process)
        self.assertEqual((code, err), (INTERRUPTED, ""))
        got = json.loads(out)
        self.assertEqual(got["finish"], "cancelled")
        self.assertGreater(len(got["tokens"]), 0)
        self.assertTrue(got["text"])

    def test_a_second_interrupt_ends_at_once(self):
        # The first is not seen while the pipe is full and nobody reads.
        process = start(*self.endless())
        deadline = time.monotonic() + LIMIT
        while select.select([process.stdout], [], [], 0)[0] == [] and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(1)
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        self.assertEqual(process.wait(LIMIT), INTERRUPTED)
        finish(process)

    def test_validate_prints_nothing(self):
        for more in [["--json"], []]:
            process = start("validate", self.long, "-m", "100000", "-p", "hello", *more)
            time.sleep(0.5)
            self.assertIsNone(process.poll())
            process.send_signal(signal.SIGINT)
            self.assertEqual(finish(process), (INTERRUPTED, "", "zmlx: interrupted\n"))

    def test_while_waiting_for_the_prompt(self):
        process = start("generate", self.model, "-p", "-", stdin=subprocess.PIPE)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(LIMIT), INTERRUPTED)
        self.assertEqual(finish(process)[1:], ("", "zmlx: interrupted\n"))

    def test_commands_without_steps(self):
        process = start("doctor")
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        code, out, _ = finish(process)
        self.assertEqual((code, out), (INTERRUPTED, ""))


class Terminal(Case):
    def on_terminal(self, *args):
        """Exit code, stdout, and what a terminal got on stderr."""
        ours, theirs = pty.openpty()
        try:
            process = start(*args, stderr=theirs)
        finally:
            os.close(theirs)
        seen = b""
        with contextlib.suppress(OSError):  # EIO: the program closed its end
            while more := os.read(ours, 4096):
                seen += more
        os.close(ours)
        code, out, _ = finish(process)
        return code, out, seen.decode(errors="replace")

    def test_progress_is_drawn_and_erased(self):
        code, out, seen = self.on_terminal("validate", self.long, "-m", "400", "-p", "hello", "--json")
        self.assertEqual(code, OK)
        self.assertIn("prompt 1 patched", seen)
        self.assertIn(" %", seen)
        self.assertTrue(seen.endswith("\r\033[K"), repr(seen[-80:]))
        self.assertEqual(json.loads(out)["tokens_total"], 400)


if __name__ == "__main__":
    # Inherited as ignored where a shell starts the tests in the background; children get the default.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not PROGRAM:
        sys.exit("usage: cli_test.py PROGRAM [TEST ...]")
    unittest.main()
