#!/usr/bin/env bash
# Makes the environment in which the alpaca-eval package runs, apart from ours and safe to repeat:
# benchmarks/judging/peers.sh [FOLDER, default .venv-alpaca]
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:-.venv-alpaca}
packages=("alpaca-eval==${ALPACA_EVAL_VERSION:-0.6.6}" "scikit-learn" "patsy")

if command -v uv >/dev/null && uv --version >/dev/null 2>&1; then
  [ -x "$folder/bin/python" ] || uv venv --python "${PYTHON:-3.11}" "$folder"
  uv pip install --python "$folder/bin/python" "${packages[@]}"
else
  [ -x "$folder/bin/python" ] || "${PYTHON:-python3}" -m venv "$folder"
  "$folder/bin/python" -m pip install --quiet "${packages[@]}"
fi
"$folder/bin/python" -c 'from importlib.metadata import version as v; print("alpaca-eval", v("alpaca-eval"), "scikit-learn", v("scikit-learn"))'
