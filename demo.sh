#!/usr/bin/env bash
# From a fresh clone to a real model that runs side by side through stock MLX and through our plan.
# Further arguments go to `zmlx validate`.
set -euo pipefail
cd "$(dirname "$0")"
. tools/setup.sh
exec </dev/null

install_packages
make_venv requirements.txt
fetch_model
build zmlx_cli
step "zmlx validate $model --max-tokens 200 $*"
exec build/release/bin/zmlx validate "$model" --max-tokens 200 "$@"
