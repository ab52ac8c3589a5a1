"""A model that someone trained."""

import unittest
from pathlib import Path

from program import USAGE, Case

SMOLLM2 = Path(__file__).parents[2] / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"


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
