#!/usr/bin/env bash
# Every benchmark of this folder in turn, peers beside ours: benchmarks/engine/run_all.sh [--quick] [--fresh] [--KEY=VALUE]
# An option goes to each script that knows it. Goes on after a missed goal and says at the end which scripts missed one;
# exit status 1 then. Run benchmarks/engine/peers.sh once before. All of it takes about two hours on two cores that do
# nothing else, --quick a quarter of an hour.
set -uo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
missed=()
for name in scoring generation samples parity oom overhead memory ray_scaling server gpu; do
  script=benchmarks/engine/$name.py
  [ -f "$script" ] || { echo "== $name: not here"; continue; }
  known=$("$python" "$script" --help)
  given=()
  for option in "$@"; do
    grep -q -- "${option%%=*}" <<<"$known" && given+=("$option")
  done
  [ "$name" = server ] && given+=(--vllm)
  echo "== $name ${given[*]}"
  "$python" "$script" "${given[@]}" || missed+=("$name")
done
if [ ${#missed[@]} -gt 0 ]; then
  echo "goals missed, or not run to the end: ${missed[*]}"
  exit 1
fi
echo "all goals reached"
