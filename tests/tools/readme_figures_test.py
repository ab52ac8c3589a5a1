"""The figures in the README are those of the reports in docs/results."""

import json
import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


class ReadmeFigures(unittest.TestCase):
    def setUp(self):
        self.readme = (ROOT / "README.md").read_text()

    def test_decode_of_smollm2(self):
        d = json.loads((ROOT / "docs/results/smollm2-135m-cpu.json").read_text())
        low, high = d["speedup_interval"]
        for text in (
            f"| {d['unpatched']['tok_s']:.1f} | {d['patched']['tok_s']:.0f} |",
            f"{d['speedup']:.1f}x ({low:.1f} .. {high:.1f})",
            f"read {d['read_bytes_per_second'] / 1e9:.1f} GB/s",
            f"| {100 * d['share_of_read_rate']:.0f} % |",
            f"{d['tokens_equal']} of {d['tokens_total']}: {d['verdict']}",
            f"{d['unpatched']['peak_memory_bytes'] / 1e6:.0f} MB",
            f"{d['patched']['peak_memory_bytes'] / 1e6:.0f} MB",
        ):
            self.assertIn(text, self.readme)

    def test_share_of_triad(self):
        report = json.loads((ROOT / "docs/results/elementwise-cpu.json").read_text())
        share = {k["kernel"]: k["of_triad"] for k in report["kernels"]}["silu(a) * b"]
        self.assertIn(f"{100 * share:.0f} % of the machine's triad", " ".join(self.readme.split()))

    def test_kernels_beside_mlx(self):
        report = json.loads((ROOT / "docs/results/kernels-cpu.json").read_text())
        speedups = {b["name"].split("/")[0]: b["speedup"] for b in report["benchmarks"]}
        readme = " ".join(self.readme.split())
        for kernel, digits in (("swiglu2", 0), ("softmax_lastdim", 0), ("softmax_cross_entropy", 0), ("rmsnorm", 1)):
            self.assertIn(f"`{kernel}` {speedups[kernel]:.{digits}f}x", readme)
        fast = sum(s >= 1 for s in speedups.values())
        self.assertIn(f"{fast} of {len(speedups)} are at least as fast", readme)

    def test_number_of_kernels(self):
        page = (ROOT / "docs/kernels.md").read_text()
        count = re.search(r"The (\d+) kernels of the catalogue", page)[1]
        self.assertIn(f"{count} of them ship", self.readme)


if __name__ == "__main__":
    unittest.main()
