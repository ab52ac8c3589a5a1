"""What each command prints and writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import program
import tiny_model
from program import ENVIRONMENT, FAILED, USAGE, Case, run


class Output(Case):
    def test_generate_prints_text_alone_on_stdout(self):
        out, err = self.succeeds("generate", self.model, "-p", "hello", "-m", "12")
        got = self.document("generate", self.model, "-p", "hello", "-m", "12")
        self.assertEqual(out, got["text"] + "\n")
        self.assertRegex(
            err,
            r"^patched: \d+ launches a token\n\nprompt  5 tokens, .* tok/s\ndecode  12 tokens, .*\nmemory  .*\n$",
        )
        self.assertEqual((got["finish"], got["prompt_tokens"]), ("length", 5))

    def test_generate_says_what_runs(self):
        odd = tiny_model.write_folder(self.root / "odd", bits=3)  # no kernel yet multiplies by 3 bits
        cases = [
            (self.model, [], r"patched: \d+ launches a token"),
            (self.model, ["--patch", "off"], r"not patched: --patch off; runs as stock MLX"),
            (odd, [], r"patched without a plan: .*3 bits.*; runs as MLX arrays with \d+ kernels"),
        ]
        for model, more, expected in cases:
            args = ["generate", model, "-p", "hello", "-m", "3", *more]
            _, err = self.succeeds(*args)
            self.assertRegex(err.split("\n")[0], f"^{expected}$")
            self.assertRegex(self.document(*args)["runs"], f"^{expected}$")

    def test_generate_without_a_step_measures_no_rate(self):
        args = ["generate", self.model, "-p", "hello", "-m", "1"]
        _, err = self.succeeds(*args)
        self.assertIn("\ndecode  1 tokens, not measured (length)\n", err)
        self.assertIsNone(self.document(*args)["decode"]["tok_s"])

    def test_peak_memory_is_that_of_the_process(self):
        # The system counts for a process what its parent held when it began: one that is small stands in between.
        script = (
            "import resource, subprocess, sys; out = subprocess.check_output(sys.argv[1:]); "
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); print(out.decode())"
        )
        shape = {"hidden_size": 1024, "intermediate_size": 8192, "num_attention_heads": 8}
        model = tiny_model.write_folder(self.root / "large", bits=8, **shape)
        for patch in ["auto", "off"]:
            args = [program.PROGRAM, "generate", model, "-p", "x" * 20, "-m", "5", "--json", "--patch", patch]
            out = subprocess.check_output([sys.executable, "-c", script, *map(str, args)], timeout=program.LIMIT)
            largest, document = out.split(b"\n", 1)
            peak = json.loads(document)["peak_memory_bytes"]
            share = peak / (int(largest) << 10)  # the system's figure for who waits is less exact
            self.assertTrue(0.9 < share < 1.1, share)
            self.assertGreater(peak, (model / "model.safetensors").stat().st_size)

    def test_bench_model(self):
        page = self.root / "bench.html"
        args = ["bench", "model", self.packed, "-p", "16", "-n", "4", "-d", "0,8", "-r", "2", "--busy", "0,1"]
        entries = self.document(*args, "--html", page)
        self.assertIn("<svg", page.read_text())
        tests = [(e["n_prompt"], e["n_gen"], e["n_depth"], e["n_busy"], e["backend"]) for e in entries]
        kinds = [(16, 0), (0, 4)]
        sides = ["mlx", "zmlx"]
        expected = [(p, g, d, b, side) for d in [0, 8] for p, g in kinds for b in [0, 1] for side in sides]
        self.assertEqual(tests, expected)
        for entry in entries:
            self.assertEqual((len(entry["samples_ns"]), len(entry["samples_ts"])), (2, 2))
            tokens = entry["n_prompt"] + entry["n_gen"]
            self.assertAlmostEqual(entry["samples_ts"][0] * entry["samples_ns"][0] / 1e9, tokens, places=3)
            self.assertEqual(entry["speedup"] is None, entry["backend"] == "mlx")
        lines = self.succeeds(*args, "-o", "csv")[0].splitlines()
        self.assertEqual(len(lines), 1 + len(expected))
        self.assertTrue(lines[0].startswith("backend,cpu_info,mlx_version,model_filename,"))
        table, _ = self.succeeds(*args)
        self.assertIn("\ntg4 @ d8, 1 busy ", table)
        self.assertLessEqual(max(map(len, table.splitlines()[:10])), 80)
        markdown, _ = self.succeeds(*args, "-o", "markdown", "--sides", "patched")
        self.assertRegex(markdown, r"\n\| pp16 \| - \| [0-9.]+ \| \d+ % \| - \| - \|\n")

    def test_a_busy_machine_is_told(self):
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count())]
        try:
            args = ["generate", self.long, "-p", "x" * 1000, "-m", "3000"]
            self.assertGreater(self.document(*args)["other_cpus"], 0.2)
            _, err = self.succeeds(*args)
            self.assertRegex(err, r"\nbusy    \d+\.\d of \d+ CPUs went to other programs meanwhile\n")
        finally:
            for process in busy:
                process.kill()
                process.wait()

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

    def test_validate_without_a_reference(self):
        args = ["validate", self.packed, "-m", "1", "-p", "hello", "--runs", "1", "--reference", "off"]
        got = self.document(*args)
        self.assertEqual((got["verdict"], got["reference"]), ("identical", "off"))
        basis = "greedy tokens alone (1); distributions were not compared"
        self.assertEqual(got["basis"], basis)
        for name in ["top1_unpatched", "top1_patched", "kl_unpatched", "kl_patched", "speedup", "share_of_read_rate"]:
            self.assertIsNone(got[name], name)
        for side in ["unpatched", "patched"]:
            self.assertIsNone(got[side]["tok_s"])
        out, _ = self.succeeds(*args)
        for row in ["decode, tok/s", "quartiles", "top-1 agreement", "KL to reference"]:
            self.assertRegex(out, rf"\n{row} +not measured +not measured\n")
        self.assertIn("\nspeedup  not measured\n", out)
        self.assertIn(f"\nverdict  identical\nbasis    {basis}\n", out)

    def test_damaged_weights_fail(self):
        nan, tensor = float("nan"), "model.layers.0.mlp.gate_proj.weight"
        for damage in [(tensor, 7, nan), ("model.embed_tokens.weight", 65, nan)]:
            model = tiny_model.write_folder(self.root / "damaged", damage=damage)
            expected = (
                r"the model's logits at position 5 give no next token: the largest, of token \d+, is nan; "
                r"its weights or their format are damaged"
            )
            for more in [[], ["--patch", "off"], ["--temp", "1"], ["--patch", "off", "--temp", "1", "--top-k", "3"]]:
                code, out, err = run("generate", model, "-p", "hello", "--json", *more)
                self.assertEqual((code, out), (FAILED, ""), err)
                self.assertRegex(err, f"^zmlx: {expected}\n$")
            for more in [[], ["--reference", "off"]]:
                args = ["validate", model, "-p", "hello", "-m", "4", "--runs", "1", *more]
                code, out, err = run(*args)
                self.assertEqual((code, err), (FAILED, ""))
                self.assertRegex(out, rf"\nverdict  failed: prompt 1, unpatched: {expected}\n")
                code, out, _ = run(*args, "--json")
                self.assertEqual((code, json.loads(out)["verdict"]), (FAILED, "failed"))

    def test_notes_of_folds(self):
        # Random float32 weights are not those of 16 bits.
        notes = [note for note in self.document("patch", self.model)["notes"] if note["fold"] == "narrow_constants"]
        reason = "neither float16 nor bfloat16 holds its float32 constants exactly"
        self.assertEqual({note["reason"] for note in notes}, {reason})
        self.assertIn(["model.layers.1.mlp.down_proj"], [note["places"] for note in notes])
        out, _ = self.succeeds("patch", self.model)
        self.assertRegex(out, r"\nfold that did not fit +kernel +count +first place +why not\n")
        self.assertRegex(out, rf"\nnarrow_constants .* {reason}\n")

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

    def test_show_the_only_input(self):
        self.assertEqual(self.document("show", "x")["inputs"], ["x float32"])

    def test_show_the_code_of_loops(self):
        listed = r"loop of pass 0\n  v0 is float32 of memory 0\n(.*\n)+  \d+ bytes of code\n(.*\n)+"
        picks = ["take(table, ids) * x", "--inputs", "table,ids,x"]
        for what in (["swiglu"], ["softmax_lastdim"], ["x * sin(x)"], picks):
            out, err = self.succeeds("show", *what, "--asm")
            self.assertRegex(out, rf"^({listed}|Nothing is assembled: .*\.\n)$")
            self.assertEqual(err, "")
            self.assertEqual(self.document("show", *what, "--asm"), {"assembly": out})

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
        commands = [
            ["generate", self.model, "-p", "hi"],
            ["generate", self.root / "nothing", "-p", "hi"],  # refused before anything is read
            ["patch", "--list"],
            ["kernels"],
            ["show", "silu"],
            ["doctor"],
            ["--version"],
        ]
        for command in commands:
            for name in ["ZMLX_THREADS", "ZMLX_LOG"]:
                self.refuses(USAGE, *command, env={name: "many"}, expected=[name, "'many'"])
