import json
import pathlib
import shutil
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import report_sources  # noqa: E402


class ReportSources(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        for source in report_sources.SOURCES:
            target = self.root / source
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, target)
            else:
                shutil.copy(ROOT / source, target)
        self.report = self.root / "report.json"
        self.report.write_text(json.dumps({"decode": 1.5}))

    def tearDown(self):
        self.folder.cleanup()

    def test_a_report_without_sources_is_refused(self):
        self.assertIn("does not say which sources", report_sources.fault(self.report, self.root))

    def test_a_stamped_report_is_new_until_a_source_changes(self):
        report_sources.stamp(self.report, self.root)
        self.assertIsNone(report_sources.fault(self.report, self.root))
        self.assertEqual(json.loads(self.report.read_text())["decode"], 1.5)
        changed = self.root / "zmlx/plan/plan.cpp"
        changed.write_text(changed.read_text() + "\n")
        self.assertIn("older than the code", report_sources.fault(self.report, self.root))

    def test_a_new_file_counts(self):
        report_sources.stamp(self.report, self.root)
        (self.root / "zmlx/graph/folds/another.cpp").write_text("// another\n")
        self.assertIn("measure it again", report_sources.fault(self.report, self.root))

    def test_a_missing_source_is_an_error(self):
        (self.root / "zmlx/backend/cpu/pool.cpp").unlink()
        with self.assertRaises(FileNotFoundError):
            report_sources.digest(self.root)


if __name__ == "__main__":
    unittest.main()
