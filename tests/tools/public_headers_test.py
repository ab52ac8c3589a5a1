"""tools/public_headers.py on small trees and libraries: what it finds, and what it lets pass."""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools" / "public_headers.py"
TREE = {
    "README.md": "",
    "zmlx/zmlx.h": '#pragma once\n#include "zmlx/export.h"\n#include "zmlx/base/a.h"\n',
    "zmlx/export.h": '#define ZMLX_API __attribute__((visibility("default")))\n',
    "zmlx/base/a.h": '#include <vector>\n#include <mlx/mlx.h>\n#include "zmlx/export.h"\n',
}
HEADER = """
#include "zmlx/export.h"
namespace op { struct Op { int x; }; }
namespace zmlx {
using Call = void (*)(int);
enum class Kind { a, b };
struct Given {
  void (*f)(int) = nullptr;
  int count() const { return 1; }
};
/// Not declared(int);
struct %(api)s Report {
  explicit Report(int n) : n_{n} {}
  virtual ~Report() = default;
  int summary() const;
  bool operator()(int n) const;
  struct Inner {
    void fits(const char* name = "(");
  };

 private:
  int n_;
};
%(api)s int patch(
    int model,
    const Given& given = {});
%(api)s int patch(double model);
template <typename T>
T twice(T x);
static_assert(sizeof(Given) > 0);
inline int half(int x) { return x / 2; }
inline const ::op::Op loose{1};
%(api)s inline const op::Op kernel{2};
} // namespace zmlx
"""
SOURCE = """
#include "zmlx/base/a.h"
namespace zmlx {
int Report::summary() const { return half(n_) + loose.x + kernel.x; }
bool Report::operator()(int n) const { return n == n_; }
void Report::Inner::fits(const char*) {}
int patch(int model, const Given&) { return model; }
int patch(double) { return 0; }
const void* keep() { return &kernel; }
}
"""


class Tree(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        self.write(TREE)

    def write(self, files):
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def run_tool(self, *words):
        done = subprocess.run([sys.executable, TOOL, *words, self.root], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr


class Check(Tree):
    def test_public_headers_may_include_each_other_and_mlx(self):
        self.assertEqual(self.run_tool("check"), (0, "3 public headers, which include public headers alone\n"))

    def test_an_internal_header_behind_a_public_one(self):
        self.write({"zmlx/base/a.h": '\n#include "zmlx/base/inner.h"\n'})
        self.assertEqual(
            self.run_tool("check"),
            (
                1,
                "zmlx/base/a.h:2: a public header includes zmlx/base/inner.h, which is not one; list that in "
                "zmlx/zmlx.h, or declare what is needed of it\n",
            ),
        )

    def test_a_library_that_users_need_not_have(self):
        self.write({"zmlx/base/a.h": "#include <nlohmann/json.hpp>\n"})
        self.assertEqual(
            self.run_tool("check"),
            (1, "zmlx/base/a.h:1: a public header includes nlohmann/json.hpp, which users need not have\n"),
        )

    def test_docs_and_examples_use_public_headers(self):
        self.write({"docs/a.md": '```cpp\n#include "zmlx/b.h"\n```\n', "examples/e.cpp": '#include "zmlx/c.h"\n'})
        self.assertEqual(
            self.run_tool("check"),
            (
                1,
                "docs/a.md:2: zmlx/b.h is not public (zmlx/zmlx.h lists what is)\n"
                "examples/e.cpp:1: zmlx/c.h is not public (zmlx/zmlx.h lists what is)\n",
            ),
        )

    def test_every_family_of_kernels_is_public(self):
        self.write({"zmlx/kernels/norms.h": ""})
        self.assertEqual(
            self.run_tool("check"),
            (1, "zmlx/kernels/norms.h: a family of kernels that zmlx/zmlx.h does not include\n"),
        )

    def test_an_empty_list_is_refused(self):
        self.write({"zmlx/zmlx.h": "#pragma once\n"})
        self.assertEqual(self.run_tool("check"), (1, "zmlx/zmlx.h includes no header of ours\n"))


@unittest.skipUnless(shutil.which("g++") and shutil.which("nm"), "needs g++ and nm")
class Exports(Tree):
    def library(self, api):
        self.write({"zmlx/base/a.h": HEADER % {"api": api}, "a.cpp": SOURCE})
        library = self.root / "liba.so"
        subprocess.run(
            ["g++", "-std=c++20", "-shared", "-fPIC", "-fvisibility=hidden", "-I", self.root, self.root / "a.cpp"]
            + ["-o", library],
            check=True,
        )
        return library

    def test_what_is_declared_and_exported(self):
        self.assertEqual(
            self.run_tool("exports", self.library("ZMLX_API")),
            (0, "6 functions and kernels of public headers are exported\n"),
        )

    def test_each_that_is_not_exported_is_named(self):
        code, text = self.run_tool("exports", self.library(""))
        end = "liba.so exports 0; is ZMLX_API missing?\n"
        self.assertEqual(code, 1)
        self.assertEqual(
            text,
            f"zmlx::Report::Inner::fits: public headers declare 1, {end}"
            f"zmlx::Report::operator(): public headers declare 1, {end}"
            f"zmlx::Report::summary: public headers declare 1, {end}"
            f"zmlx::kernel: public headers declare 1, {end}"
            f"zmlx::patch: public headers declare 2, {end}",
        )


if __name__ == "__main__":
    unittest.main()
