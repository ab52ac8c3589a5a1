#!/usr/bin/env bash
# Everything that must hold before a change is shared, from a fresh clone on.
# With arguments it runs what ctest finds by them, e.g. `./test.sh -R test_lang`.
set -euo pipefail
cd "$(dirname "$0")"
. tools/setup.sh
exec </dev/null

# The style differs from version to version of clang-format; 14 is the one the sources were formatted with.
check_format() {
  local program
  program=$(command -v clang-format-14 || command -v clang-format || true)
  if [ -z "$program" ] || ! "$program" --version | grep -q 'version 14\.'; then
    step "format: skipped, clang-format 14 is not here"
    return
  fi
  step "format: clang-format 14"
  find zmlx cli tests benchmarks \( -name '*.h' -o -name '*.cpp' \) -print0 | xargs -0 "$program" --dry-run --Werror
}

install_packages
make_venv requirements-dev.txt
fetch_model
step "layers"
.venv/bin/python tools/check_layers.py
check_format
step "python: ruff"
.venv/bin/ruff check --quiet .
build
if [ $# -gt 0 ]; then
  step "tests: $*"
  exec ctest --test-dir build/release -j 2 --output-on-failure --no-tests=error "$@"
fi
# The tests on the test peer run below, where they cannot fall back on the CPU's peer.
step "tests"
ctest --test-dir build/release -j 2 --output-on-failure --no-tests=error -LE peer
step "tests without the CPU's peer"
cmake --preset no-cpu-peer >/dev/null
cmake --build --preset no-cpu-peer >/dev/null
ctest --preset no-cpu-peer
