"""WIMHF's recorded figures through our corrections, and its example pairs, which are no sample of anything."""

from pathlib import Path

import numpy as np
from preferences.wimhf_features import DemoFeature, feature_table

from evalsuite.cli import main
from evalsuite.features.contract import Effect
from evalsuite.preferences.effects import faithful, mark
from evalsuite.preferences.loading import load
from evalsuite.reporting.preferences_files import read_explanation

FILE = "wimhf/feature_data_for_demo.json"
# Movva and others (2025): of 32 features each, with a description that holds; and significant among these
PUBLISHED = {
    "ChatbotArena": (22, 7), "CommunityAlign": (31, 29), "HH-RLHF": (24, 15), "PKU": (16, 7), "Reddit": (25, 12),
    "PRISM": (23, 13), "Tulu": (19, 15),
}  # fmt: skip
BY_WIN_RATE = (5, 27, 13, 9, 11, 10, 15)
"""What the win rate's p would give, which is not what the paper counts."""


def counted(table: list[DemoFeature], p: str) -> dict[str, tuple[int, int]]:
    counts = {}
    for name in dict.fromkeys(f.dataset for f in table):
        own = [f for f in table if f.dataset == name]
        held = faithful([f.fidelity for f in own], [f.fidelity_p for f in own])
        effects = [Effect(f.beta, None, None, f.change, None, None, getattr(f, p), 0) for f in own]
        counts[name] = (sum(held), sum(e.significant_bonferroni for e in mark(effects, 0.05, held)))
    return counts


def test_published_counts(public_data) -> None:
    table = feature_table(public_data(FILE))
    assert counted(table, "p") == PUBLISHED
    assert tuple(n for _, n in counted(table, "change_p").values()) == BY_WIN_RATE


def test_the_report_says_how_its_pairs_were_chosen(public_data, tmp_path: Path, capsys) -> None:
    pairs = load(public_data(FILE))
    # Each dataset's features as activations: what a pair was chosen by is a column of its own.
    names = sorted(
        {(d, int(f)) for d, f in zip(pairs.column("metadata.dataset"), pairs.column("metadata.feature"), strict=True)}
    )
    rows = {name: i for i, name in enumerate(names)}
    x = np.zeros((len(pairs), len(names)), dtype=np.float32)
    for i, pair in enumerate(pairs):
        x[i, rows[pair.metadata["dataset"], pair.metadata["feature"]]] = pair.metadata["z"]
    np.save(tmp_path / "x.npy", x)
    words = [
        "--embeddings",
        str(tmp_path / "x.npy"),
        "--out",
        str(tmp_path / "out"),
        "--sae",
        "epochs=2",
        "--sae",
        "batch=256",
    ]
    assert main(["preferences", "explain", str(public_data(FILE)), *words]) == 0
    out = capsys.readouterr()
    said = "The pairs are the strongest 2% of each feature, chosen by it: effects in them mean nothing."
    warned = "These pairs were chosen by their features, so no effect below says anything of the data they come from."
    assert said in " ".join(out.out.split())
    assert warned in " ".join(out.out.split())
    found = read_explanation(tmp_path / "out")
    assert (found.n, len(found.features)) == (2234, 32)
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    page = html[html.index("<body>") :]
    assert page.index(said) < page.index(warned) < page.index('id="effects"')
    assert page.index('id="notes"') < page.index(said) < page.index('class="feature"')  # above each feature's view too


def test_activations_and_labels_go_together_as_published(public_data) -> None:
    """On pairs of features with p < .0023 the label agrees with the sign of beta times activation in 788 of 1,128."""
    path = public_data(FILE)
    strong = {(f.dataset, f.index): f.beta for f in feature_table(path) if f.p < 0.0023}
    agree = total = 0
    for pair in load(path):
        beta = strong.get((pair.metadata["dataset"], pair.metadata["feature"]))
        if beta is not None and pair.preference in (0.0, 1.0):
            total += 1
            agree += (beta * pair.metadata["activation"] > 0) == (pair.preference > 0.5)
    assert (agree, total) == (788, 1128)


def test_a_part_of_it_is_read_by_its_name(public_data, capsys) -> None:
    words = ["describe", str(public_data(FILE)), "--where", "metadata.dataset=PKU", "--sample", "50"]
    assert main(["preferences", *words]) == 0
    out = capsys.readouterr().out
    assert "320 pairs" in out
    assert "effects in them mean nothing" in out
