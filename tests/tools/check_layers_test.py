"""tools/check_layers.py on small trees: each thing it forbids, and what it lets pass."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools" / "check_layers.py"
CMAKE = """
# zmlx_layer(comment DEPENDS nothing)
zmlx_layer(base LINK fmt::fmt)
zmlx_layer(lang DEPENDS base)
zmlx_layer(nn DEPENDS base MLX)
zmlx_layer(plan DEPENDS lang nn MLX LINK hwy)
"""


class CheckLayers(unittest.TestCase):
    def run_on(self, files, cmake=CMAKE):
        with tempfile.TemporaryDirectory() as root:
            for name, text in {"CMakeLists.txt": cmake, **files}.items():
                path = Path(root, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            done = subprocess.run([sys.executable, TOOL, root], capture_output=True, text=True)
            return done.returncode, done.stdout + done.stderr

    def test_downward_includes_pass(self):
        code, text = self.run_on(
            {
                "zmlx/export.h": "#pragma once\n",
                "zmlx/base/a.h": '#include <string>\n#include "zmlx/export.h"\n',
                "zmlx/plan/deep/p.cpp": '#include <mlx/mlx.h>\n#include "zmlx/base/a.h"\n#include "zmlx/nn/b.h"\n',
            }
        )
        self.assertEqual((code, text), (0, "layers: 4 rooms, no include goes upward\n"))

    def test_an_include_upward_fails_with_its_line(self):
        code, text = self.run_on({"zmlx/base/a.cpp": '\n#include "zmlx/lang/x.h"\n'})
        self.assertEqual(code, 1)
        self.assertEqual(text, "zmlx/base/a.cpp:2: room base may include base; zmlx/lang/x.h is not below it\n")

    def test_an_include_sideways_fails(self):
        code, text = self.run_on({"zmlx/nn/a.cpp": '#  include "zmlx/lang/x.h"\n'})
        self.assertEqual(code, 1)
        self.assertIn("zmlx/nn/a.cpp:1: room nn may include base, nn;", text)

    def test_mlx_in_a_room_without_it_fails(self):
        code, text = self.run_on({"zmlx/lang/a.h": "#include <mlx/mlx.h>\n"})
        self.assertEqual(code, 1)
        self.assertIn("zmlx/lang/a.h:1: room lang has no MLX, but includes mlx/mlx.h", text)

    def test_inner_mlx_headers_are_counted(self):
        files = {f"zmlx/nn/{i}.cpp": "#include <mlx/primitives.h>\n" for i in range(5)}
        self.assertEqual(self.run_on(files)[0], 0)
        files["zmlx/plan/e.cpp"] = "#include <mlx/array.h>\n"
        code, text = self.run_on(files)
        self.assertEqual(code, 1)
        self.assertIn("zmlx/plan/e.cpp:1: MLX headers other than mlx/mlx.h are in 6 files", text)

    def test_getenv_has_one_home(self):
        call = "auto x = std::getenv(name);\n"
        self.assertEqual(self.run_on({"zmlx/base/settings.cpp": call})[0], 0)
        self.assertEqual(self.run_on({"zmlx/base/a.cpp": "// no getenv(x) here\n"})[0], 0)
        for place in ("zmlx/base/a.cpp", "cli/main.cpp", "tests/base/t.cpp"):
            code, text = self.run_on({place: call})
            self.assertEqual(code, 1)
            self.assertIn(f"{place}:1: getenv outside", text)

    def test_a_folder_that_is_no_room_fails(self):
        code, text = self.run_on({"zmlx/extra/a.h": "\n"})
        self.assertEqual(code, 1)
        self.assertIn("folder zmlx/extra is no room", text)

    def test_cmake_that_says_nothing_fails(self):
        self.assertEqual(self.run_on({}, cmake="project(x)\n")[0], 1)
        code, text = self.run_on({}, cmake="zmlx_layer(a DEPENDS b)\nzmlx_layer(b)\n")
        self.assertEqual(code, 1)
        self.assertIn("room a depends on b, which is not before it", text)


if __name__ == "__main__":
    unittest.main()
