"""Prompts: where they come from, and how long they may be."""

import os
import resource

from program import ENVIRONMENT, USAGE, Case


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
        if "ASAN_OPTIONS" not in os.environ:  # AddressSanitizer keeps memory that was given back
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
