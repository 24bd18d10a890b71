"""The features that WIMHF's authors published with their demonstration, as a table that tests compare figures with."""

from dataclasses import dataclass
from pathlib import Path

from evalsuite.data import read_rows


@dataclass(frozen=True, slots=True)
class DemoFeature:
    """One feature of WIMHF's demonstration file. `change` is its change in win rate (a share, whatever the file calls
    it), `prevalence` a share of pairs, `fidelity` Pearson's r on 300 pairs."""

    dataset: str
    index: int
    description: str
    name: str
    beta: float
    p: float
    change: float
    change_p: float
    prevalence: float
    fidelity: float
    fidelity_p: float
    examples: int


def feature_table(path: Path) -> list[DemoFeature]:
    """All features of WIMHF's demonstration file, in its order."""
    (table,) = read_rows(path)
    return [
        DemoFeature(
            dataset,
            int(f["feature_idx"]),
            str(f["interpretation"]),
            str(f["abbreviated_interpretation"]),
            float(f["logit_coef"]),
            float(f["logit_p_value"]),
            float(f["win_rate_percentage"]),
            float(f["win_rate_p_value"]),
            float(f["prevalence_percentage"]) / 100,
            float(f["fidelity_correlation"]),
            float(f["fidelity_p_value"]),
            sum(map(len, f["examples"].values())),
        )
        for dataset, features in table.items()
        for f in features.values()
    ]
