#!/usr/bin/env bash
# Every benchmark of this folder in turn, peers beside ours: benchmarks/engine/run_all.sh [--quick] [--fresh] [...]
# Options go to each script. Goes on after a missed goal and says at the end which scripts missed one; exit status 1 then.
# Run benchmarks/engine/peers.sh once before. The whole takes about an hour and a half on two cores, --quick a quarter.
set -uo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
missed=()
for name in scoring generation samples parity oom overhead memory ray_scaling server gpu; do
  script=benchmarks/engine/$name.py
  [ -f "$script" ] || { echo "== $name: not here"; continue; }
  echo "== $name"
  "$python" "$script" "$@" || missed+=("$name")
done
if [ ${#missed[@]} -gt 0 ]; then
  echo "goals missed, or not run to the end: ${missed[*]}"
  exit 1
fi
echo "all goals reached"
