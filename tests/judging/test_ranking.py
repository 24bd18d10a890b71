"""Rankings of annotations: laws of each method, what qualifies a figure, and what cannot be ranked."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.errors import InputError
from evalsuite.judging import Annotation
from evalsuite.judging.ranking.battles import Ratings, markdown
from evalsuite.judging.ranking.judges import steadiness
from evalsuite.judging.ranking.length import LengthControl
from evalsuite.judging.ranking.ranking import Choices, Ranking, Standing, rank
from evalsuite.judging.ranking.records import PLACED
from evalsuite.judging.ranking.table import cases, columns
from evalsuite.judging.ranking.tree import members

FEW = 20


def vote(sample: object, a: str, b: str, preference: float | None, order: str = "ab", **more: object) -> Annotation:
    status = "parsed" if preference is not None else "judge_parse"
    row = Annotation(str(sample), "", a, b, "pairwise", "gpt", "pairwise", order, preference, status)
    return replace(row, **more)  # type: ignore[arg-type]


def grade(sample: object, model: str, score: float | None, **more: object) -> Annotation:
    row = vote(sample, model, "", None, "", protocol="pointwise", score=score, **more)
    return replace(row, status="parsed" if score is not None else "judge_parse")


def by_model(found: Ranking) -> dict[str, Standing]:
    return {s.model: s for s in found.standings}


@settings(max_examples=30)
@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=30))
def test_a_win_rate_is_the_mean_with_its_standard_error(preferences: list[float]) -> None:
    rows = [vote(i, "m", "base", p) for i, p in enumerate(preferences)]
    (s,) = rank(rows, Choices(baseline="base", rounds=FEW)).standings
    assert s.value == pytest.approx(np.mean(preferences))
    assert s.standard_error == pytest.approx(np.std(preferences, ddof=1) / len(preferences) ** 0.5)
    assert s.wins + s.losses + s.ties == s.n == len(preferences)
    assert s.low is not None
    assert s.high is not None
    assert 0 <= s.low <= s.value + 1e-12
    assert s.value - 1e-12 <= s.high <= 1


@settings(max_examples=20)
@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=3, max_size=20))
def test_the_side_on_which_a_model_stands_does_not_matter(preferences: list[float]) -> None:
    rows = [vote(i, "m", "base", p) for i, p in enumerate(preferences)]
    turned = [
        vote(i, "base", "m", 1 - p, "ba") if i % 2 else vote(i, "m", "base", p) for i, p in enumerate(preferences)
    ]
    choices = Choices(baseline="base", rounds=FEW)
    assert by_model(rank(rows, choices))["m"].value == by_model(rank(turned, choices))["m"].value


def test_two_orders_are_made_one() -> None:
    rows = [vote(1, "m", "base", 1.0, "ab"), vote(1, "m", "base", 0.0, "ba")]
    rows += [vote(2, "m", "base", 1.0, "ab"), vote(2, "m", "base", 0.5, "ba")]
    rows += [vote(3, "m", "base", 1.0, "ab"), vote(3, "m", "base", None, "ba")]
    for orders, expected in (("mean", [0.5, 0.75, None]), ("both", [0.5, 0.5, None])):
        decided = cases(columns(rows), orders)  # type: ignore[arg-type]
        assert [None if np.isnan(p) else p for p in decided.preference] == expected
    found = by_model(rank(rows, Choices(baseline="base", orders="each", rounds=FEW)))["m"]
    assert (found.verdicts, found.n, found.value) == (5, 3, 3.5 / 5)
    assert found.missing == {"judge_parse": 1}


def test_what_becomes_of_a_missing_verdict() -> None:
    rows = [vote(1, "m", "base", 1.0), vote(2, "m", "base", None), vote(3, "m", "base", 1.0)]
    rows += [vote(3, "m", "base", None, "ba")]
    expected = {"drop": (1.0, 2), "case": (1.0, 1), "tie": (3 / 4, 4), "loss": (0.5, 4)}
    for missing, (value, verdicts) in expected.items():
        choices = Choices(baseline="base", orders="each", missing=missing, rounds=FEW)  # type: ignore[arg-type]
        s = by_model(rank(rows, choices))["m"]
        assert (s.value, s.verdicts) == (pytest.approx(value), verdicts), missing
    with pytest.raises(InputError, match="--missing loss"):
        rank([vote(1, "a", "b", None), vote(2, "b", "c", 1.0)], Choices("elo", missing="loss"))


def test_strengths_count_as_they_are_told_to() -> None:
    strong, slight = {"details": {"strength": 2}}, {"details": {"strength": 1}}
    rows = [vote(1, "m", "base", 1.0, **strong), vote(2, "m", "base", 0.0, **slight, length_a=5, length_b=900)]
    assert by_model(rank(rows, Choices(strong=3, rounds=FEW)))["m"].value == pytest.approx(0.75)
    assert by_model(rank(rows, Choices(slight=0.75, rounds=FEW)))["m"].value == pytest.approx((1 + 0.25) / 2)
    assert by_model(rank(rows, Choices(length_margin=500, rounds=FEW)))["m"].value == pytest.approx((1 + 0.5) / 2)
    assert by_model(rank(rows, Choices(length_margin=900, rounds=FEW)))["m"].value == pytest.approx(0.5)


def three(seed: int = 0, n: int = 120) -> list[Annotation]:
    """a beats b beats c, all against all."""
    rng = np.random.default_rng(seed)
    chance = {("a", "b"): 0.7, ("b", "c"): 0.7, ("a", "c"): 0.85}
    return [vote(i, *pair, float(rng.random() < p)) for pair, p in chance.items() for i in range(n)]


def test_bradley_terry_orders_models_and_anchors_them() -> None:
    how = Ratings(rounds=50, level=1114)
    found = rank(three(), Choices("bradley-terry", baseline="b", ratings=how))
    assert [s.model for s in found.standings] == ["a", "b", "c"]
    assert by_model(found)["b"].value == pytest.approx(1114)
    assert by_model(found)["a"].more["win_rate"] == pytest.approx(0.7, abs=0.1)
    assert all(s.low <= s.value <= s.high for s in found.standings)  # type: ignore[operator]
    assert [(s.rank_low, s.rank_high) for s in found.standings] == [(1, 1), (2, 2), (3, 3)]


def test_bradley_terry_against_one_baseline_is_the_weighted_win_rate() -> None:
    rng = np.random.default_rng(1)
    rows = [
        vote(i, m, "base", float(rng.choice([0, 0.5, 1])), details={"strength": int(rng.integers(1, 3))})
        for m in ("x", "y")
        for i in range(60)
    ]
    how = Ratings(rounds=0)
    fitted = by_model(rank(rows, Choices("bradley-terry", baseline="base", orders="each", ratings=how)))
    plain = by_model(rank(rows, Choices(baseline="base", orders="each", strong=3, rounds=FEW)))
    for model in ("x", "y"):
        assert fitted[model].more["win_rate"] == pytest.approx(plain[model].value, abs=1e-9)


def test_style_control_takes_a_liking_for_length_away() -> None:
    """The judge likes the longer answer only; one model writes long ones, none is better."""
    rng = np.random.default_rng(2)
    rows = []
    for i in range(1500):
        a, b = (("long", "x"), ("long", "y"), ("x", "y"))[i % 3]
        lengths = [int(rng.normal(400 if m == "long" else 250, 100)) for m in (a, b)]
        lengths = [max(n, 20) for n in lengths]
        likes = 1 / (1 + np.exp(-4 * (lengths[0] - lengths[1]) / (sum(lengths) + 1)))
        rows.append(vote(i, a, b, float(rng.random() < likes), length_a=lengths[0], length_b=lengths[1]))
    plain = by_model(rank(rows, Choices("bradley-terry", ratings=Ratings(rounds=0))))
    free = rank(rows, Choices("bradley-terry", ratings=Ratings(rounds=0, style=("length",), penalty=0.0)))
    assert plain["long"].value - plain["x"].value > 80  # type: ignore[operator]
    assert abs(by_model(free)["long"].value - by_model(free)["x"].value) < 60  # type: ignore[operator]
    shifted = Ratings(rounds=0, style=("length",), penalty=0.0, centred=True)
    centred = by_model(rank(rows, Choices("bradley-terry", ratings=shifted)))
    assert centred["long"].value - centred["x"].value > 90  # type: ignore[operator]
    value, error = free.coefficients["length"]
    assert value - 2 * error > 0


def test_style_needs_counts() -> None:
    rows = [vote(1, "a", "b", 1.0), vote(2, "a", "b", 0.0)]
    with pytest.raises(InputError, match="--style header: 2 annotations of 2 tell neither"):
        rank(rows, Choices("bradley-terry", ratings=Ratings(style=("markdown",))))
    with pytest.raises(InputError, match="--style colour: not a style"):
        rank(three(), Choices("bradley-terry", ratings=Ratings(style=("colour",))))


def test_markdown_is_counted_outside_code() -> None:
    text = "# Title\n- one\n* two\n3. three\n**bold** and __more__\n```\n# no `tick` header\n- no\n```\n"
    assert markdown(text) == {"header": 1, "list": 3, "bold": 2}


def test_elo_follows_the_files_order() -> None:
    found = rank([vote(1, "a", "b", 1.0)], Choices("elo", ratings=Ratings(rounds=2)))
    assert {s.model: s.value for s in found.standings} == {"a": 1002.0, "b": 998.0}
    assert any("order noise" in note for note in found.notes)


def test_length_control_needs_what_it_is_fitted_on() -> None:
    rng = np.random.default_rng(3)
    rows = [
        vote(i, "m", "base", float(rng.random()), length_a=int(rng.integers(50, 400)), length_b=200) for i in range(80)
    ]
    choices = Choices("length-controlled", baseline="base", rounds=FEW)
    found = rank(rows, choices)
    (s,) = found.standings
    assert s.more["win_rate"] == pytest.approx(np.mean([r.preference for r in rows]))
    assert s.low < s.value < s.high  # type: ignore[operator]
    assert any("no difficulty" in note for note in found.notes)
    some = LengthControl(difficulty={"0": 1.0})
    with pytest.raises(InputError, match="--difficulty: has nothing for 79 of 80 samples"):
        rank(rows, replace(choices, length=some))
    with pytest.raises(InputError, match="without the lengths of both answers"):
        rank([replace(r, length_a=0, length_b=0) for r in rows], choices)
    with pytest.raises(InputError, match="needs one baseline"):
        rank(three(), Choices("length-controlled"))


def test_judges_are_not_mixed() -> None:
    rows = [vote(1, "m", "base", 1.0), vote(1, "m", "base", 0.0, judge_model="other")]
    with pytest.raises(InputError, match=r"are of 2 judges \(pairwise:gpt, pairwise:other\); choose one with --judge"):
        rank(rows)
    found = rank(rows, Choices(judge="other", rounds=FEW))
    assert (found.metric, found.standings[0].value) == ("win_rate[pairwise:other]", 0.0)
    assert rank(rows, Choices(judge="all", rounds=FEW)).standings[0].value == 0.5
    with pytest.raises(InputError, match="--judge nobody: no annotation is of this judge"):
        rank(rows, Choices(judge="nobody"))


def test_a_new_model_is_placed_and_marked() -> None:
    rows = [vote(i, m, "base", float(i % k == 0)) for m, k in (("x", 2), ("y", 5)) for i in range(40)]
    mine = [vote(i, "mine", "base", float(i % 3 == 0), judge_model="small") for i in range(40)]
    found = rank(rows, Choices(baseline="base", rounds=FEW), placed=mine)
    assert [s.model for s in found.standings] == ["x", "mine", "y"]
    assert by_model(found)["mine"].roles == (PLACED,)
    assert by_model(found)["x"].roles == ()
    assert any("not comparable with the published figures" in note for note in found.notes)
    assert found.metric == "win_rate[pairwise:gpt]"


def test_contestants_that_judge_are_flagged_or_left_out() -> None:
    helped = {"details": {"auxiliary": ["openai:helper@http://x"], "baseline": "base"}}
    rows = [grade(i, m, 5.0 + i, **helped) for m in ("org/GPT", "helper", "base", "fair") for i in range(3)]
    found = rank(rows, Choices("grade", rounds=FEW))
    roles = {"org/GPT": ("judge",), "helper": ("auxiliary",), "base": ("baseline",), "fair": ()}
    assert {s.model: s.roles for s in found.standings} == roles
    rest = rank(rows, Choices("grade", exclude=True, rounds=FEW))
    assert [s.model for s in rest.standings] == ["fair"]
    assert {s.model for s in rest.excluded} == {"org/GPT", "helper", "base"}
    assert rest.standings[0].rank == 1


def test_an_undecided_judge_gets_a_wider_interval() -> None:
    """A judge that names whoever stands first gives ties by averaging, and ties do not vary."""
    rng = np.random.default_rng(4)
    rows = []
    for i in range(100):
        steady = rng.random() < 0.1
        for order in ("ab", "ba"):
            rows.append(vote(i, "m", "base", 1.0 if steady or order == "ab" else 0.0, order))
    found = rank(rows, Choices(baseline="base", rounds=FEW))
    (s,) = found.standings
    assert s.more["widened"] > 1.5  # type: ignore[operator]
    assert s.high - s.low > 0.15  # type: ignore[operator]
    assert found.judge_noise.flips is not None
    assert found.judge_noise.flips > 0.8
    one_order = [r for r in rows if r.order == "ab" or r.sample > "5"]
    told = rank([r for r in one_order if r.order == "ab"], Choices(baseline="base", judge_variance=(0.2, None)))
    assert told.standings[0].value == 1.0


def test_repeats_vary() -> None:
    rows = [vote(1, "m", "base", float(k % 2), repeat=k) for k in range(4)]
    noise = steadiness(columns(rows))
    assert (noise.repeat_variance, noise.repeated) == (pytest.approx(1 / 3), 1)
    assert noise.flips is None


def test_groups_micro_and_macro() -> None:
    rows = [vote(i, "m", "base", 1.0, category="big") for i in range(8)]
    rows += [vote(10 + i, "m", "base", float(i), category="small") for i in range(2)]
    found = rank(rows, Choices(by="category", rounds=FEW))
    (average,) = found.averages
    assert found.standings[0].value == 0.9
    assert average.macro == pytest.approx(0.75)
    assert (average.groups["small"].value, average.groups["small"].n) == (0.5, 2)
    weighted = rank(rows, Choices(by="category", weights={"small": 3.0, "big": 1.0}, rounds=FEW)).averages[0]
    assert weighted.macro == pytest.approx((3 * 0.5 + 1.0) / 4)
    with pytest.raises(InputError, match="--weight odd: no such category; there are big, small"):
        rank(rows, Choices(by="category", weights={"odd": 1.0}, rounds=FEW))
    with pytest.raises(InputError, match="--by task: no annotation tells its task"):
        rank(rows, Choices(by="task", rounds=FEW))


def test_a_question_in_two_groups_is_one_in_the_macro_average() -> None:
    """Two turns that always get the same grade say no more than one."""
    rng = np.random.default_rng(5)
    scores = rng.integers(1, 11, 50).astype(float)
    rows = [grade(i, "m", s, details={"turn": 1}) for i, s in enumerate(scores)]
    rows += [grade(f"{i}#2", "m", s, details={"turn": 2}) for i, s in enumerate(scores)]
    found = rank(rows, Choices("grade", by="turn", rounds=FEW))
    (average,) = found.averages
    error = scores.std(ddof=1) / 50**0.5
    assert average.macro_high - average.macro == pytest.approx(1.96 * error, rel=1e-3)  # type: ignore[operator]
    assert found.standings[0].n == 50
    assert found.standings[0].standard_error == pytest.approx(error)


TREE = {"math": {"sums": {"long": {}, "short": {}}, "sets": {}}, "code": {"loops": {}}}


def test_a_tree_holds_unions() -> None:
    tagged = {
        "1": ("math", frozenset({"long", "sets"})),
        "2": ("math", frozenset({"short"})),
        "3": ("code", frozenset({"loops", "long"})),
        "4": ("math", frozenset()),
    }
    found = members(TREE, tagged)
    assert found["math/sums/long"] == {"1"}  # 3 is of another domain
    assert found["math/sums"] == {"1", "2"}
    assert found["math"] == {"1", "2", "4"}
    assert found[""] == {"1", "2", "3", "4"}


def test_roll_up_counts_a_sample_once() -> None:
    tags = {"1": ["long", "sets"], "2": ["short"], "3": ["loops"], "4": ["sets"]}
    domain = {"1": "math", "2": "math", "3": "code", "4": "math"}
    scores = {"x": {"1": 1.0, "2": 0.0, "3": 1.0, "4": 1.0}, "y": {"1": 0.0, "2": 0.0, "3": 0.0, "4": 1.0}}
    rows = [
        vote(s, m, "base", p, category=domain[s], details={"tags": {"basis": tags[s]}})
        for m, cells in scores.items()
        for s, p in cells.items()
    ]
    found = rank(rows, Choices(baseline="base", tree=TREE, rounds=FEW))
    nodes = {n.path: {c.model: c for c in n.cells} for n in found.tree}
    assert nodes[""]["x"].value == pytest.approx(0.75)
    assert nodes["math"]["x"].value == pytest.approx(2 / 3)
    assert (nodes["math"]["x"].n, nodes["math/sums"]["y"].n) == (3, 2)
    assert nodes["math/sets"]["x"].value == 1.0
    cell = nodes[""]["x"]
    assert (cell.rank, nodes[""]["y"].rank) == (1, 2)
    assert cell.rank_low is not None
    assert cell.rank_low <= 1 <= (cell.rank_high or 0)
    with pytest.raises(InputError, match="--tree: no sample's category or tag"):
        rank(rows, Choices(baseline="base", tree={"other": {}}, rounds=FEW))
    with pytest.raises(InputError, match="--tree: a node's figure is a mean"):
        rank(three(), Choices("bradley-terry", tree=TREE, ratings=Ratings(rounds=0)))


def test_what_cannot_be_ranked() -> None:
    with pytest.raises(InputError, match="no annotations"):
        rank([], Choices())
    with pytest.raises(InputError, match=r"no annotation holds a verdict \(all are judge_parse"):
        rank([vote(1, "a", "b", None)])
    with pytest.raises(InputError, match="rank them with --method grade"):
        rank([grade(1, "a", 3.0)])
    with pytest.raises(InputError, match="no grades of single answers"):
        rank([vote(1, "a", "b", 1.0)], Choices("grade"))
    with pytest.raises(InputError, match=r"unknown model 'bsae'.*nearest: base"):
        rank([vote(1, "a", "base", 1.0)], Choices(baseline="bsae"))
    with pytest.raises(InputError, match="names no models"):
        rank([vote(1, "", "", 1.0)])


def test_rows_without_names_take_them_from_the_others() -> None:
    people = [vote(i, "x", "y", 1.0, judge="person", judge_model="p") for i in range(3)]
    nameless = [vote(i, "", "", 0.0) for i in range(3)]
    found = rank([*people, *nameless], Choices(judge="gpt", rounds=FEW))
    assert {s.model: s.value for s in found.standings} == {"x": 0.0}
    assert found.baseline == "y"


def test_ties_share_a_rank_and_one_row_has_no_interval() -> None:
    rows = [vote(i, m, "base", 1.0 if i else 0.0) for m in ("x", "y") for i in range(4)]
    found = rank(rows, Choices(rounds=FEW))
    assert [s.rank for s in found.standings] == [1, 1]
    assert [s.group for s in found.standings] == [1, 1]
    alone = rank([vote(0, "x", "base", 1.0)], Choices(rounds=FEW)).standings[0]
    assert (alone.n, alone.standard_error) == (1, None)
