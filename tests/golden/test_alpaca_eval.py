"""AlpacaEval's published figures out of its annotations: win rates, standard errors, counts, length control."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from evalsuite.cli import main
from evalsuite.judging import Annotation
from evalsuite.judging.importing import read_any, stem
from evalsuite.judging.importing.codings import of_top_logprobs
from evalsuite.judging.ranking.length import LengthControl, read_control
from evalsuite.judging.ranking.ranking import Choices, Standing, rank
from evalsuite.statistics import length_controlled, spearman

Public = Callable[[str], Path]
Table = dict[str, dict[str, float]]

# model: win rate, standard error (per cent), wins, losses, ties, n
AE1 = {
    "gpt4_1106_preview": (97.699005, 0.510485, 783, 16, 5, 804),
    "mistral-medium": (96.832298, 0.614532, 779, 25, 1, 805),
    "tulu-2-dpo-70b": (95.031056, 0.761310, 764, 39, 2, 805),
    "llama-2-70b-chat-hf": (92.661692, 0.911762, 743, 57, 4, 804),
    "claude-2": (91.355721, 0.989732, 734, 69, 1, 804),
    "mistral-orpo-beta": (91.158157, 0.998615, 731, 70, 2, 803),
    "gpt-3.5-turbo-0301": (89.365672, 1.078949, 716, 83, 5, 804),
    "zephyr-7b-alpha": (85.758706, 1.228545, 688, 113, 3, 804),
    "llama-2-7b-chat-hf": (71.366460, 1.593039, 574, 230, 1, 805),
    "minichat-3b": (48.818408, 1.758472, 390, 409, 5, 804),
    "falcon-40b-instruct": (45.714286, 1.752472, 366, 435, 4, 805),
    "falcon-7b-instruct": (45.714286, 1.752472, 366, 435, 4, 805),
    "alpaca-farm-ppo-human": (41.242236, 1.727181, 328, 469, 8, 805),
    "phi-2": (30.663329, 1.605620, 234, 543, 22, 799),
    "alpaca-7b": (26.459627, 1.535711, 205, 584, 16, 805),
}
# the same, then length-controlled (from coefficients) and discrete win rate
AE2 = {
    "gpt4_1106_preview": (50.000000, 0.000000, 0, 0, 805, 805, 50.0000, 50.0000),
    "NullModel": (76.919792, 0.909010, 676, 129, 0, 805, 86.3250, 83.9752),
    "FuseChat-Gemma-2-9B-Instruct": (70.497135, 1.342639, 575, 225, 5, 805, 70.1811, 71.7391),
    "FuseChat-Llama-3.2-3B-Instruct": (51.296677, 1.482579, 424, 378, 3, 805, 53.9988, 52.8571),
    "claude": (16.985344, 1.168796, 129, 676, 0, 805, 27.2895, 16.0248),
    "claude-2.1": (15.733507, 1.120316, 115, 688, 2, 805, 25.2519, 14.4099),
    "Mixtral-8x7B-Instruct-v0.1_concise": (13.744040, 1.071868, 105, 700, 0, 805, 22.9626, 13.0435),
    "gpt-3.5-turbo-1106_verbose": (12.763170, 1.044247, 94, 709, 2, 805, 22.0009, 11.8012),
    "gpt-3.5-turbo-1106": (9.177965, 0.890412, 64, 737, 4, 805, 19.3006, 8.1988),
    "gpt-3.5-turbo-1106_concise": (7.415865, 0.837444, 57, 744, 4, 805, 15.7695, 7.3292),
    "vicuna-13b-v1.5": (6.722122, 0.767417, 48, 753, 4, 805, 10.4844, 6.2112),
    "gpt4_gamed": (3.738337, 0.627880, 32, 771, 2, 805, 12.1888, 4.0994),
    "gemma-2b-it": (3.401971, 0.538998, 23, 782, 0, 805, 5.4375, 2.8571),
    "chatglm2-6b": (2.762185, 0.502076, 19, 781, 5, 805, 4.3593, 2.6708),
    "alpaca-7b": (2.591451, 0.487086, 17, 785, 3, 805, 5.8755, 2.2981),
    "phi-2": (2.350210, 0.449659, 15, 785, 3, 803, 4.3955, 2.0548),
    "text_davinci_003": (1.962148, 0.434675, 14, 787, 4, 805, None, 1.9876),
}


@pytest.fixture(scope="module")
def first(public_data: Public) -> list[Annotation]:
    folder = public_data("alpaca_eval/annotations_ae1_compact")
    return [row for path in sorted(folder.iterdir()) for row in read_any(path, "text_davinci_003")]


@pytest.fixture(scope="module")
def second(public_data: Public) -> list[Annotation]:
    folder = public_data("alpaca_eval/annotations_compact")
    return [row for path in sorted(folder.iterdir()) for row in read_any(path)]


@pytest.fixture(scope="module")
def control(public_data: Public) -> LengthControl:
    names = ("lc_weights_ae2", "derived_instruction_difficulty", "derived_gamed_baseline_surrogate")
    return read_control(*(public_data(f"alpaca_eval/{name}.csv") for name in names))


def leaderboard(path: Path) -> Table:
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {row[""]: {k: float(v) for k, v in row.items() if k not in ("", "mode") and v} for row in rows}


def by_model(rows: list[Annotation], choices: Choices) -> dict[str, Standing]:
    return {s.model: s for s in rank(rows, choices).standings}


def check(found: dict[str, Standing], published: Table, skip: tuple[str, ...] = ()) -> int:
    shared = [m for m in found if m in published and m not in skip]
    for model in shared:
        s, row = found[model], published[model]
        assert s.value == pytest.approx(row["win_rate"] / 100, abs=1e-8), model
        assert s.standard_error == pytest.approx(row["standard_error"] / 100, abs=1e-8), model
        counts = (row["n_wins"], row["n_wins_base"], row["n_draws"], row["n_total"])
        assert (s.wins, s.losses, s.ties, s.verdicts) == counts, model
        if "discrete_win_rate" in row:
            assert s.more["discrete"] == pytest.approx(row["discrete_win_rate"] / 100, abs=1e-8), model
    return len(shared)


def test_win_rates_of_alpaca_eval_1(first: list[Annotation], public_data: Public) -> None:
    found = by_model(first, Choices(baseline="text_davinci_003"))
    assert len(found) == 31
    for model, (value, error, *counts) in AE1.items():
        s = found[model]
        assert 100 * (s.value or 0) == pytest.approx(value, abs=1e-6)
        assert 100 * (s.standard_error or 0) == pytest.approx(error, abs=1e-6)
        assert [s.wins, s.losses, s.ties, s.verdicts] == counts
    table = leaderboard(public_data("alpaca_eval/leaderboard_ae1_alpaca_eval_gpt4.csv"))
    assert check(found, table) == 30
    assert set(found) - set(table) == {"mistral-orpo-beta"}


def test_the_copied_model_of_alpaca_eval_1_is_named(first: list[Annotation]) -> None:
    """Trap: falcon-7b-instruct is a byte copy of falcon-40b-instruct, and both stand on the leaderboard."""
    notes = rank(first).notes
    assert any("falcon-40b-instruct" in n and "falcon-7b-instruct" in n for n in notes)


def test_win_rates_of_alpaca_eval_2(second: list[Annotation], public_data: Public) -> None:
    found = by_model(second, Choices(baseline="baseline"))
    assert len(found) == 31
    for model, (value, error, *counts, _, discrete) in AE2.items():
        s = found[model]
        assert 100 * (s.value or 0) == pytest.approx(value, abs=1e-6)
        assert 100 * (s.standard_error or 0) == pytest.approx(error, abs=1e-6)
        assert [s.wins, s.losses, s.ties, s.verdicts] == counts
        assert 100 * (s.more["discrete"] or 0) == pytest.approx(discrete, abs=1e-4)
    table = leaderboard(public_data("alpaca_eval/leaderboard_ae2_weighted_alpaca_eval_gpt4_turbo.csv"))
    assert check(found, table) >= 30


@pytest.mark.parametrize(("file", "value"), [("alpaca-7b", 0.0259145054), ("NullModel", 0.7691979181)])
def test_full_annotations_go_through_the_command(
    file: str, value: float, public_data: Public, capsys: pytest.CaptureFixture[str]
) -> None:
    path = public_data(f"alpaca_eval/annotations_full/{file}.json.gz")
    assert main(["rank", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (standing,) = found["standings"]
    assert standing["value"] == pytest.approx(value, abs=1e-8)
    assert (standing["n"], found["baseline"]) == (805, "gpt4_1106_preview")
    assert found["metric"] == "win_rate[weighted_alpaca_eval_gpt4_turbo]"


def test_preferences_come_back_from_stored_logprobs(second: list[Annotation]) -> None:
    """A preference is P(m) of the first shown, turned where the answers were switched: of all 27 models that have
    log-probabilities."""
    rows = [r for r in second if r.mode == "logprobs"]
    turned, models = 0, set()
    for row in rows:
        first_shown = of_top_logprobs(row.details["top_logprobs"], "m", "M")
        assert first_shown is not None
        assert row.preference is not None
        gaps = (abs(first_shown - row.preference), abs(1 - first_shown - row.preference))
        assert min(gaps) < 5e-10
        assert row.order in ("", ("ab", "ba")[gaps[1] < gaps[0]])
        turned += gaps[1] < gaps[0]
        models.add(row.model_a)
    assert len(models) == 27
    assert len(rows) == 21_671
    assert 0.48 < turned / len(rows) < 0.52


@pytest.mark.parametrize(
    ("model", "longer", "decided"),
    [
        ("vicuna-13b-v1.5", 691, 764),
        ("claude-2.1", 665, 773),
        ("NullModel", 281, 794),
        ("FuseChat-Gemma-2-9B-Instruct", 469, 738),
    ],
)
def test_how_often_the_longer_text_wins(model: str, longer: int, decided: int, second: list[Annotation]) -> None:
    rows = [r for r in second if r.model_a == model and r.preference not in (None, 0.5)]
    apart = [r for r in rows if abs(r.length_a - r.length_b) > 30]
    wins = sum(((r.preference or 0) > 0.5) == (r.length_a > r.length_b) for r in apart)
    assert (wins, len(apart)) == (longer, decided)


def test_length_control_from_coefficients(control: LengthControl, public_data: Public) -> None:
    table = leaderboard(public_data("alpaca_eval/leaderboard_ae2_weighted_alpaca_eval_gpt4_turbo.csv"))
    difficulties = list(control.difficulty.values())
    found = {
        m: length_controlled((t.length, t.difficulty, t.model), difficulties) for m, t in control.coefficients.items()
    }
    gaps = {
        m: abs(100 * f.value - table[m]["length_controlled_winrate"])
        for m, f in found.items()
        if m in table and "length_controlled_winrate" in table[m]
    }
    assert len(gaps) == 172
    assert sum(gaps.values()) / len(gaps) == pytest.approx(0.00205, abs=5e-5)
    odd = {"dbrx-instruct": 0.1901, "NullModel": 0.133, "llama-2-70b-chat-hf": 0.0123, "platolm-7b": 0.0105}
    for model, gap in odd.items():
        assert gaps[model] == pytest.approx(gap, abs=5e-4)
    assert max(g for m, g in gaps.items() if m not in odd) <= 0.0042 + 5e-5
    for model, row in AE2.items():
        if row[6] is not None:
            assert 100 * found[model].value == pytest.approx(row[6], abs=5e-5), model
    errors = {m: table[m]["lc_standard_error"] for m in gaps if "lc_standard_error" in table[m]}
    near = [m for m, e in errors.items() if abs(100 * (found[m].error or 0) - e) < 5e-4]
    assert len(near) >= 35


def test_length_control_fitted_from_annotations(
    second: list[Annotation], control: LengthControl, public_data: Public
) -> None:
    table = leaderboard(public_data("alpaca_eval/leaderboard_ae2_weighted_alpaca_eval_gpt4_turbo.csv"))
    fitted = LengthControl(difficulty=control.difficulty, gamed=control.gamed)
    found = by_model(second, Choices("length-controlled", baseline="baseline", length=fitted))
    skip = ("gpt4_1106_preview",)
    pairs = {
        m: (100 * (s.value or 0), table[m]["length_controlled_winrate"])
        for m, s in found.items()
        if m in table and m not in skip and "length_controlled_winrate" in table[m]
    }
    gaps = {m: abs(a - b) for m, (a, b) in pairs.items()}
    assert len(gaps) == 29
    assert sum(gaps.values()) / len(gaps) <= 0.1
    assert gaps.pop("phi-2") <= 0.7
    assert max(gaps.values()) <= 0.15
    order = spearman([a for a, _ in pairs.values()], [b for _, b in pairs.values()])
    assert order.value == pytest.approx(0.9985, abs=5e-5)


def test_names_of_files_name_compact_models(public_data: Public) -> None:
    path = public_data("alpaca_eval/annotations_compact/Mixtral-8x7B-Instruct-v0.1_concise.jsonl.gz")
    assert stem(path) == "Mixtral-8x7B-Instruct-v0.1_concise"
    assert {r.model_a for r in read_any(path)} == {"Mixtral-8x7B-Instruct-v0.1_concise"}
