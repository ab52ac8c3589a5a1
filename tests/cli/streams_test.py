"""Output that cannot be written, and output to a terminal."""

import contextlib
import json
import os
import pty

from program import ENVIRONMENT, OK, USAGE, Case, finish, run, start


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
