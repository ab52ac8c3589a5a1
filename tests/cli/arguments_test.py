"""Help, and arguments that make no sense."""

import itertools

from program import COMMANDS, USAGE, Case


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
        self.refuses(USAGE, "bench", expected=["expected what to measure: kernels, op or model"])
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
        for arguments, message in [
            (
                ["a * b"],
                "formula, line 1, column 1: unknown name 'a'; known are x. Name the arrays of a formula with "
                "--inputs a,b.\n  a * b\n  ^",
            ),
            (
                ["a * b", "--inputs", "a"],
                "formula, line 1, column 5: unknown name 'b'; known are a.\n  a * b\n      ^",
            ),
            (
                ["x ^ 2"],
                "formula, line 1, column 1: ^ needs integers, got float32 and int32; for a power write "
                "pow(a, b)\n  x ^ 2\n  ^^^^^",
            ),
            (
                ["exp(x) + (y\n  + x >> 1)", "--inputs", "x,y", "--type", "float16"],
                "formula, line 1, column 11: >> needs integers, got float32 and int32\n  exp(x) + (y\n            ^",
            ),
        ]:
            self.assertEqual(self.refuses(USAGE, "show", *arguments), f"zmlx: {message}\n")
        for command in [["check"], ["bench", "kernels"]]:
            self.refuses(USAGE, *command, "sliu", expected=["'sliu'", "Did you mean 'silu'?"])
        self.refuses(USAGE, "bench", "kernels", "--type", "float64", expected=["--type", "float32", "bfloat16"])
