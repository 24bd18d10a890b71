"""The alpaca-eval package's side of rank_speed.py, run by the interpreter of its own environment: JOB OUT.

The package fetches the gamed baselines' rows from a hub; here that call gives a file with the job's rows instead, which
is read anew at each call just as the package reads its cached download. Everything else is the package's own code.
"""

import contextlib
import io
import json
import logging
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from alpaca_eval.metrics import glm_winrate
from alpaca_eval.metrics.winrate import get_winrate

SHIPPED = glm_winrate.GLM_INFO["length_controlled_v1"]
# Its other path (no cross-validation), with a penalty of next to nothing and a solver that converges.
UNPENALISED = {
    **SHIPPED,
    "kwargs": {"n_splits": 0, "C": 1e10, "penalty": "l2", "solver": "newton-cholesky", "tol": 1e-10},
}


def frame(model: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "preference": [np.nan if row["preference"] is None else row["preference"] for row in rows],
            "index": [row["index"] for row in rows],
            "output_1": ["x" * row["len_output_1"] for row in rows],
            "output_2": ["x" * row["len_output_2"] for row in rows],
            "generator_1": "gpt4_1106_preview",
            "generator_2": model,
            "annotator": "weighted_alpaca_eval_gpt4_turbo",
        }
    )


def timed(work: Callable[[pd.DataFrame], Any], frames: dict[str, pd.DataFrame], repeats: int) -> tuple[Any, float]:
    found = {name: work(table) for name, table in frames.items()}
    seconds = []
    for _ in range(repeats):
        begun = time.perf_counter()
        for table in frames.values():
            work(table)
        seconds.append(time.perf_counter() - begun)
    return found, statistics.median(seconds)


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    frames = {model: frame(model, rows) for model, rows in job["models"].items()}
    out: dict[str, Any] = {
        "versions": {
            "python": sys.version.split()[0],
            **{p: version(p) for p in ("alpaca-eval", "scikit-learn", "pandas")},
        }
    }
    with tempfile.TemporaryDirectory() as folder:
        gamed = Path(folder) / "df_gamed.csv"
        pd.DataFrame(
            {
                "model": [row["variant"] for row in job["gamed"]],
                "index": [int(row["index"]) for row in job["gamed"]],
                "preference": [float(row["surrogate_preference"]) for row in job["gamed"]],
                "std_delta_len": np.arctanh([float(row["tanh_std_delta_len"]) for row in job["gamed"]]),
                "instruction_difficulty": [float(row["instruction_difficulty"]) for row in job["gamed"]],
                "not_gamed_baseline": False,
            }
        ).to_csv(gamed, index=False)
        glm_winrate.hf_hub_download = lambda **_: str(gamed)

        def controlled(info: dict[str, Any]) -> Callable[[pd.DataFrame], Any]:
            def work(table: pd.DataFrame) -> Any:
                with contextlib.redirect_stderr(io.StringIO()):
                    return glm_winrate.get_length_controlled_winrate(
                        table, save_weights_dir=None, is_add_glm_preference_inplace=False, glm_info=info
                    )

            return work

        for name, work, repeats in (
            ("win_rate", get_winrate, job["repeats"]),
            ("unpenalised", controlled(UNPENALISED), job["repeats"]),
            ("as_shipped", controlled(SHIPPED), 1),
        ):
            found, out[f"{name}_s"] = timed(work, frames, repeats)
            out[name] = {m: {k: float(v) for k, v in row.items() if np.isscalar(v)} for m, row in found.items()}
    Path(sys.argv[2]).write_text(json.dumps(out), encoding="utf-8")


if __name__ == "__main__":
    main()
