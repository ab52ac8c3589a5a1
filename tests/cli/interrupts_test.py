"""Ctrl-C."""

import json
import select
import signal
import subprocess
import time

from program import INTERRUPTED, LIMIT, Case, finish, start


def wait_for_handler(process):
    """Until the program catches Ctrl-C: before, the system ends it."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        with open(f"/proc/{process.pid}/status") as status:
            caught = next(int(line.split()[1], 16) for line in status if line.startswith("SigCgt:"))
        if caught >> (signal.SIGINT - 1) & 1:
            return
        time.sleep(0.01)
    raise AssertionError("the program does not catch SIGINT")


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

    def test_generate_stops_within_a_prompt(self):
        for patch, first in [("auto", b"patched: "), ("off", b"not patched: ")]:
            process = start("generate", self.long, "-p", "-", "--patch", patch, stdin=subprocess.PIPE)
            process.stdin.write(b"x" * 400_000)  # minutes of reading
            process.stdin.close()
            process.stdin = None
            self.assertTrue(process.stderr.readline().startswith(first))
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            code, out, err = finish(process)
            self.assertEqual((code, out), (INTERRUPTED, "\n"))
            self.assertIn("decode  0 tokens, not measured (cancelled)", err)

    def test_validate_stops_within_a_prompt(self):
        process = start("validate", self.long, "-p", "x" * 100_000, "-m", "1")
        time.sleep(1)
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        self.assertEqual(finish(process), (INTERRUPTED, "", "zmlx: interrupted\n"))

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
        wait_for_handler(process)
        process.send_signal(signal.SIGINT)
        code, out, _ = finish(process)
        self.assertEqual((code, out), (INTERRUPTED, ""))
