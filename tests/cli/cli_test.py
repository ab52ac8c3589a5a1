"""The program as a user meets it: what it prints where, what it exits with, and how it refuses.

Runs the tests of this folder. By CTest, or by hand:

    python3 cli_test.py build/release/bin/zmlx [prompts_test.Prompts.test_stdin ...]
"""

import signal
import sys
import unittest
from pathlib import Path

import program


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: cli_test.py PROGRAM [TEST ...]")
    program.PROGRAM = str(Path(sys.argv[1]).resolve())
    # Inherited as ignored where a shell starts the tests in the background; children get the default.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    everything = ["discover", "-s", str(Path(__file__).parent), "-p", "*_test.py"]
    unittest.main(module=None, argv=[sys.argv[0], *(sys.argv[2:] or everything)])


if __name__ == "__main__":
    main()
