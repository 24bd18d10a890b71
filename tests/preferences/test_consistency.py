"""Ratings against rankings: the published files' table, reconstructed protocol flips, and bad files in one line."""

import json
from pathlib import Path

import pytest

from evalsuite.data.files import read_rows
from evalsuite.errors import InputError
from evalsuite.preferences.consistency import Ranking, Rating, consistency, protocol_flips, share_of
from evalsuite.preferences.consistency_files import files_in, read_rankings, read_ratings
from evalsuite.statistics import win_rate


@pytest.mark.parametrize(("rule", "decisive"), [("first", (45, 61)), ("last", (46, 62)), ("mean", (46, 62))])
def test_sparse_feedback(public_data, rule, decisive: tuple[int, int]) -> None:
    files = files_in(public_data("sparse_feedback"))
    ratings, rankings = read_ratings(files[0]), read_rankings(files[1])
    assert (len(ratings), len(rankings), len({(r.item, r.answer) for r in ratings})) == (99, 118, 97)
    found = consistency(ratings, rankings, rule)
    assert round(found.agreement.value * found.agreement.n) == 66
    assert (found.agreement.n, found.unmatched, found.repeated) == (117, 1, 2)
    assert (round(found.decisive.value * found.decisive.n), found.decisive.n) == decisive
    if rule == "first":
        assert found.table == ((19, 10, 8), (6, 26, 9), (11, 7, 21))
        assert [round(100 * x, 1) for x in (found.agreement.low, found.agreement.high)] == [47.4, 65.1]
        assert [round(100 * x, 1) for x in (found.decisive.low, found.decisive.high)] == [61.6, 83.2]
        assert round(100 * found.agreement.value, 2) == 56.41


def compared(rated: tuple[int, int, int], ranked: tuple[int, int, int]) -> tuple[list[Rating], list[Ranking]]:
    """Wins, ties and losses of `best_of_n` against `davinci` under both protocols."""
    ratings, rankings = [], []
    for i, (one, two) in enumerate([(6, 4)] * rated[0] + [(5, 5)] * rated[1] + [(3, 6)] * rated[2]):
        ratings += [Rating(f"q{i}", "x", one, "best_of_n"), Rating(f"q{i}", "y", two, "davinci")]
    for i, preference in enumerate([1.0] * ranked[0] + [0.5] * ranked[1] + [0.0] * ranked[2]):
        turned = i % 2  # files name the models in either order
        models = ("davinci", "best_of_n") if turned else ("best_of_n", "davinci")
        rankings.append(Ranking(f"q{i}", "x", "y", 1 - preference if turned else preference, *models))
    return ratings, rankings


def test_protocol_flip() -> None:
    """Published: 32.61% ± 12.64 by ranking (n 46) and 52.94% ± 9.67 by rating (n 51); only 12 wins, 6 ties, 28 losses
    and 14, 26, 11 give these rates with these standard errors."""
    (flip,) = protocol_flips(*compared((14, 26, 11), (12, 6, 28)))
    assert (flip.model_1, flip.model_2) == ("best_of_n", "davinci")
    assert (round(100 * flip.by_ranking.value, 2), flip.by_ranking.n) == (32.61, 46)
    assert (round(100 * flip.by_rating.value, 2), flip.by_rating.n) == (52.94, 51)
    assert flip.flips
    assert not flip.sure  # by rating the interval holds one half
    assert flip.by_ranking.high < 0.5
    for values, half in (([1.0] * 12 + [0.5] * 6 + [0.0] * 28, 12.64), ([1.0] * 14 + [0.5] * 26 + [0.0] * 11, 9.67)):
        import numpy as np

        assert 196 * np.std(values, ddof=1) / len(values) ** 0.5 == pytest.approx(half, abs=0.005)
        found = win_rate(values)
        assert 50 * (found.high - found.low) == pytest.approx(half, rel=0.06)


def test_no_flip_where_both_protocols_agree_and_a_sure_one() -> None:
    (same,) = protocol_flips(*compared((40, 5, 5), (40, 5, 5)))
    (sure,) = protocol_flips(*compared((45, 3, 2), (2, 3, 45)))
    assert not same.flips
    assert sure.flips
    assert sure.sure
    assert protocol_flips(compared((3, 0, 0), (3, 0, 0))[0], []) == []


def test_judges_annotations_in_both_modes(tmp_path: Path) -> None:
    about = {"task": "", "judge": "j", "judge_model": "m", "status": "parsed", "order": "", "mode": "text"}
    scores = [
        {
            **about,
            "sample": f"q{i}",
            "model_a": m,
            "model_b": "",
            "protocol": "pointwise",
            "score": s,
            "preference": None,
        }
        for i in range(3)
        for m, s in (("x", 5 + i), ("y", 6))
    ]
    wins = [
        {**about, "sample": f"q{i}", "model_a": "x", "model_b": "y", "protocol": "pairwise", "preference": float(i > 0)}
        for i in range(3)
    ]
    for name, rows in (("scores.jsonl", scores), ("wins.jsonl", wins)):
        (tmp_path / name).write_text("".join(json.dumps(r) + "\n" for r in rows))
    ratings, rankings = read_ratings(tmp_path / "scores.jsonl"), read_rankings(tmp_path / "wins.jsonl")
    found = consistency(ratings, rankings)
    assert found.table == ((1, 0, 0), (0, 1, 0), (1, 0, 0))
    assert protocol_flips(ratings, rankings)[0].by_rating.value == 0.5
    with pytest.raises(InputError, match="holds no rankings"):
        read_rankings(tmp_path / "scores.jsonl")
    with pytest.raises(InputError, match="holds no ratings"):
        read_ratings(tmp_path / "wins.jsonl")


def test_files_with_names_for_their_fields(tmp_path: Path) -> None:
    rated = tmp_path / "my_ratings.csv"
    rated.write_text('prompt,output,score,model\n"Q, ""quoted""\nnewline",x,4,m\n"Q, ""quoted""\nnewline",y,2,n\n')
    ranked = tmp_path / "my_rankings.jsonl"
    row = {
        "prompt": 'Q, "quoted"\nnewline',
        "output_1": "y",
        "output_2": "x",
        "preference": 2,
        "model_1": "n",
        "model_2": "m",
    }
    ranked.write_text(json.dumps(row) + "\n")
    found = consistency(read_ratings(rated), read_rankings(ranked))
    assert found.table[1][1] == 1
    assert found.decisive.value == 1.0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("ratings.csv", "q,,x,high\n", "row 1: 'high' is no rating"),
        ("ratings.csv", "q,,x,3\nq,x,3\n", "row 2: 3 columns where instruction, input, response, rating are wanted"),
        ("rankings.csv", "q,,x,y,(c)\nq,,x,y,better\n", "row 2: verdict 'better' is none of"),
        ("rankings.jsonl", '{"x": 1}\n', "not a shape of annotations"),
    ],
)
def test_bad_files_are_one_line(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InputError, match=message) as error:
        (read_ratings if "rating" in name else read_rankings)(path)
    assert "\n" not in str(error.value)


def test_folders_name_their_two_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        files_in(tmp_path / "absent")
    with pytest.raises(InputError, match="no file with 'rating'"):
        files_in(tmp_path)
    for name in ("ratings_a.csv", "ratings_b.csv"):
        (tmp_path / name).write_text("")
    with pytest.raises(InputError, match="2 files with 'rating'"):
        files_in(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read_ratings(tmp_path / "absent.csv")


def test_shares_of_nothing_have_no_value() -> None:
    assert share_of(0, 0).value is None
    assert consistency([], []).agreement.n == 0


def test_auto_j_protocol_of_two_orders(public_data) -> None:
    """Published for Auto-J-13B: consistent in 83.41%, agreeing with the label in both orders in 54.96%."""
    rows = read_rows(public_data("preferences/auto_j/autoj13b_verdicts.jsonl.gz"))
    labels = [r["label"] for r in read_rows(public_data("preferences/auto_j/testdata_pairwise.jsonl.gz"))]
    back = {0: 1, 1: 0, 2: 2}
    same = [r["output"] == back[r["output_swapped_order"]] for r in rows]
    right = [ok and r["output"] == label for ok, r, label in zip(same, rows, labels, strict=True)]
    alone = [r["output"] == label for r, label in zip(rows, labels, strict=True)]
    assert [round(100 * sum(x) / len(x), 3) for x in (same, right)] == [83.405, 54.957]
    assert round(100 * sum(alone) / len(alone), 2) == 59.99
    # The same as Ranking records: the verdict of both orders against the label, ties where they differ.
    assert share_of(sum(same), len(same)).low < 0.83405 < share_of(sum(same), len(same)).high
