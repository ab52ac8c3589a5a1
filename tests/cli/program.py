"""What all tests of the program share: calls of it, models, and what refusals have in common."""

import json
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

import tiny_model

PROGRAM = ""  # its path; cli_test.py says it
COMMANDS = ["bench", "check", "doctor", "generate", "kernels", "patch", "show", "validate"]
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
        cls.packed = tiny_model.write_folder(cls.root / "packed", bits=4)
        # Room for a generation that lasts until it is interrupted.
        cls.long = tiny_model.write_folder(cls.root / "long", max_position_embeddings=1_000_000)
        cls.gguf = cls.root / "model.gguf"
        cls.gguf.write_bytes(tiny_model.gguf())

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def refuses(self, code, *args, expected=(), **more):
        """One message on stderr that has all the texts of `expected`; nothing on stdout.

        What runs may stand before it, where generate came that far.
        """
        got, out, err = run(*args, **more)
        err = re.sub(r"^(not )?patched: .*\n", "", err)
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
