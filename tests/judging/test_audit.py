"""The audit's laws on made annotations: what is turned, what counts, what a weak judge looks like."""

import random
from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.errors import InputError
from evalsuite.judging.audit.agreement import agreement, ceiling, rank_agreement, with_people
from evalsuite.judging.audit.audit import Options, audit
from evalsuite.judging.audit.behaviour import draws, first_share, flips, grade_spread, length_liking, markup_liking
from evalsuite.judging.audit.cases import cases_in
from evalsuite.judging.audit.family import family_of, kin, overlaps
from evalsuite.judging.audit.items import match, outcome, with_texts
from evalsuite.judging.audit.words import words
from evalsuite.judging.contract import Annotation, Answer, pair
from evalsuite.records import user
from evalsuite.statistics import leave_one_out


def row(sample, preference, order="ab", judge="j/1#abc", model="m", models=("x", "y"), **known):
    status = "parsed" if preference is not None else "judge_parse"
    return Annotation(sample, "", *models, judge, model, "pairwise", order, preference, status, **known)


def vote(sample, preference, who="p1", models=("x", "y"), **known):
    return row(sample, preference, "", "person", who, models, **known)


def turned(r):
    """The same word with the models named the other way round."""
    order = {"ab": "ba", "ba": "ab"}.get(r.order, r.order)
    preference = None if r.preference is None else 1 - r.preference
    return replace(r, model_a=r.model_b, model_b=r.model_a, order=order, preference=preference,
                   length_a=r.length_b, length_b=r.length_a)  # fmt: skip


PREFERENCES = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, None])


@given(st.lists(st.tuples(PREFERENCES, PREFERENCES, PREFERENCES, st.booleans()), min_size=1, max_size=12))
@settings(max_examples=40)
def test_it_does_not_matter_how_a_file_names_the_pair(rows):
    judge = [row(str(i), p, o) for i, (a, b, _, _) in enumerate(rows) for p, o in ((a, "ab"), (b, "ba"))]
    people = [vote(str(i), v) for i, (_, _, v, _) in enumerate(rows)]
    swapped = [turned(r) if rows[int(r.sample)][3] else r for r in people]
    one, other = match(judge, people), match(judge, swapped)
    assert asdict(agreement(with_people(one))) == asdict(agreement(with_people(other)))
    again = match([turned(r) for r in judge], people)
    assert flips(again) == flips(one)
    assert first_share(again) == first_share(one)
    assert asdict(agreement(with_people(again))) == asdict(agreement(with_people(one)))


def test_a_pair_half_judged_has_no_outcome_and_a_flip_is_a_tie_by_the_rule_of_both():
    half, opposite, soft = (
        match([row("s", a, "ab"), row("s", b, "ba")], [])[0] for a, b in ((1.0, None), (1.0, 0.0), (1.0, 0.5))
    )
    assert [outcome(i.judge) for i in (half, opposite, soft)] == [None, 0.5, 0.75]
    assert [outcome(i.judge, "both") for i in (half, opposite, soft)] == [None, 0.5, 0.5]


def test_rows_without_models_take_the_names_of_the_pair_that_was_voted_on():
    items = match([row("7", 1.0, models=("", ""))], [vote("7", 1.0, models=("zeta", "alpha"))])
    assert [i.key for i in items] == [("", "7", "alpha", "zeta")]
    assert with_people(items)[0].a == with_people(items)[0].b == -1


def test_files_that_share_nothing_are_refused_with_what_they_hold():
    with pytest.raises(InputError, match="share no pair: the first ones are sample 'a' of 'x' and 'y'"):
        audit([row("a", 1.0)], [vote("b", 1.0)])
    with pytest.raises(InputError, match="2 judges"):
        audit([row("a", 1.0), row("a", 1.0, model="n")], [])


@given(st.lists(st.lists(st.sampled_from([1.0, 0.5, 0.0]), min_size=1, max_size=4), min_size=2, max_size=8))
@settings(max_examples=40)
def test_the_ceiling_is_the_statistics_leave_one_out(votes):
    people = [vote(str(i), v, f"p{k}") for i, found in enumerate(votes) for k, v in enumerate(found)]
    judge = [row(str(i), found[0]) for i, found in enumerate(votes)]
    found = ceiling(match(judge, people))
    wanted = leave_one_out(votes, [v[0] for v in votes])
    for mine, theirs in ((found.person, wanted.inner), (found.judge, wanted.outer)):
        assert mine.value is None if theirs.value is None else mine.value == pytest.approx(theirs.value)
        assert mine.n == theirs.n


def planted(n, judge, seed=0):
    """n pairs in both orders with lengths, three people of 85% and a judge: (quality, order, longer) → preference."""
    rng = random.Random(seed)
    rows, people = [], []
    for i in range(n):
        better, longer = rng.choice([1.0, 0.0]), rng.choice([1.0, 0.0])
        lengths = {"length_a": 400 if longer else 100, "length_b": 100 if longer else 400}
        for order in ("ab", "ba"):
            rows.append(row(f"s{i}", judge(better, order, longer, rng), order, **lengths))
        for k in range(3):
            people.append(vote(f"s{i}", better if rng.random() < 0.85 else 1 - better, f"p{k}"))
    return rows, people


def right(better, order, longer, rng):
    return better if rng.random() < 0.95 else 1 - better


def by_place(better, order, longer, rng):
    return float(order == "ab")


def by_length(better, order, longer, rng):
    return longer


def by_coin(better, order, longer, rng):
    return rng.choice([1.0, 0.0])


@pytest.mark.parametrize(
    ("judge", "grade", "said"),
    [
        (right, "good", "As close to people"),
        (by_place, "bad", "cannot be told from a coin"),
        (by_length, "bad", "cannot be told from a coin"),
        (by_coin, "bad", "cannot be told from a coin"),
    ],
)
def test_a_weak_judge_looks_weak(judge, grade, said):
    told = words(audit(*planted(120, judge)))
    assert told.grade == grade
    assert said in told.standing


def test_each_weakness_is_named():
    place = words(audit(*planted(120, by_place)))
    assert place.trust == ("Nothing that was measured here.",)
    assert any("first slot in 100%" in s for s in place.distrust)
    assert any("change their winner" in s for s in place.distrust)
    length = words(audit(*planted(120, by_length)))
    assert any(s.startswith("A liking for longer answers") for s in length.distrust)
    card = audit(*planted(120, right))
    assert card.judge.without_ties.low > card.coin.without_ties.value
    assert card.gains["the longest answer"].low > 0
    assert {p.name for p in card.profiles[1:]} == {"a coin", "the longest answer", "the first answer"}


def test_naive_judges_are_what_they_are_called():
    card = audit(*planted(60, right))
    lines = {p.name: p for p in card.profiles}
    longest, first = lines["the longest answer"], lines["the first answer"]
    assert (longest.longer.value, longest.flips.value, longest.first.value) == (1.0, 0.0, 0.5)
    assert (first.first.value, first.flips.value, first.without_ties.value) == (1.0, 1.0, None)
    assert first.each.value == 0.5


def test_every_figure_has_n_and_interval_or_a_reason():
    from evalsuite.judging.audit.figures import Figure

    def figures(value):
        if isinstance(value, Figure):
            yield value
        elif hasattr(value, "__dataclass_fields__"):
            for name in value.__dataclass_fields__:
                yield from figures(getattr(value, name))
        elif isinstance(value, dict):
            for part in value.values():
                yield from figures(part)
        elif isinstance(value, tuple | list):
            for part in value:
                yield from figures(part)

    for card in (audit(*planted(40, right)), audit([row("a", 1.0)], []), audit([row("a", None)], [vote("a", 1.0)])):
        found = list(figures(card))
        assert len(found) > 40
        for figure in found:
            known = figure.value is not None and figure.n > 0
            assert known or figure.reason, figure
            assert figure.low is not None or figure.reason or figure.n < 4, figure


def test_merged_rows_tell_flips_by_their_own_word():
    rows = [row("a", 0.5, "", details={"consistent": False}), row("b", 1.0, ""), row("c", 0.5, "")]
    assert (flips(match(rows, [])).hits, flips(match(rows, [])).total) == (1, 3)


def test_identical_and_empty_answers_say_nothing_about_place():
    rows = [replace(row("a", 0.5, o), status="identical") for o in ("ab", "ba")]
    rows += [replace(row("b", 1.0, o), status="empty") for o in ("ab", "ba")]
    items = match(rows, [])
    assert first_share(items).value is None
    assert flips(items).value is None
    assert audit(rows, []).judge.unparsed.value is None


def test_draws_and_grades_that_repeat():
    rows = [row("a", p, repeat=k, seed=k) for k, p in enumerate((1.0, 1.0, 0.0))] + [row("b", 1.0)]
    assert draws(match(rows, [])).value == pytest.approx(2 / 3)
    grades = [
        Annotation("a", "", "x", "", "g", "m", "pointwise", "", None, "parsed", score=s, repeat=k)
        for k, s in enumerate((7.0, 8.0, 9.0))
    ]
    assert grade_spread(grades).value == 1.0


def test_grades_become_pairs_and_lost_ones_stay_lost():
    def grade(sample, model, score, judge="g"):
        status = "parsed" if score is not None else "judge_parse"
        return Annotation(sample, "", model, "", judge, "m", "pointwise", "", None, status, score=score)

    rows = [grade("a", "x", 8.0), grade("a", "y", 6.0), grade("b", "x", None), grade("b", "y", 6.0)]
    card = audit(rows, [vote("a", 1.0), vote("b", 1.0)])
    assert (card.judge.without_ties.hits, card.judge.without_ties.total) == (1, 1)
    assert card.distribution == [("6", 2), ("8", 1)]


def test_length_counts_only_clear_differences():
    rows = [row("a", 1.0, length_a=131, length_b=100), row("b", 1.0, length_a=130, length_b=100)]
    assert length_liking(match(rows, [])).judge.total == 1


def test_texts_come_from_the_judged_answers():
    case = pair("a", [user("q")], Answer("# head\n**bold**", "x"), Answer("plain", "y"))
    rows = with_texts([row("a", 1.0), row("b", 0.0)], [case])
    found = markup_liking(match(rows, []))
    assert (found.judge.hits, found.judge.total, rows[0].length_a) == (1, 1, 15)
    assert markup_liking(match([row("b", 1.0)], [])).judge.reason == "the answers' texts are not given"


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("gpt-4o-mini", "OpenAI"),
        ("gpt4_pair", "OpenAI"),
        ("openai:gpt-4@https://api.openai.com/v1", "OpenAI"),
        ("cerebras-gpt-6.7B", "Cerebras"),
        ("meta-llama/Llama-3.1-8B-Instruct", "Meta"),
        ("vicuna-13b-v1.2", "Meta"),
        ("Qwen2.5-7B", "Qwen"),
        ("mistral-orpo-beta", "Mistral"),
        ("microworld:dpo", "microworld"),
        ("smollm2", "SmolLM"),
        ("judge_b", None),
        ("", None),
    ],
)
def test_families_are_read_from_names(name, family):
    assert family_of(name) == family


def test_kin():
    assert kin("gpt4_pair", "gpt-4") == ("itself", "OpenAI")
    assert kin("gpt-4o", "gpt-4") == ("relative", "OpenAI")
    assert kin("gpt-4", "claude-v1") is None
    assert kin("unknown-thing", "unknown-thing") == ("itself", "unknown-thing")
    assert kin("", "") is None


def test_self_preference_is_paired_and_named():
    models = ("gpt-4", "claude-v1")
    rows = [row(f"s{i}", float(i % 10 < 9), "", model="gpt-4", models=models) for i in range(100)]
    people = [vote(f"s{i}", float(i % 10 < 6), models=models) for i in range(100)]
    card = audit(rows, people)
    (own,) = card.relatives
    assert (own.model, own.kin, own.by_judge.value, own.by_people.value) == ("gpt-4", "itself", 0.9, 0.6)
    assert own.gap.value == pytest.approx(0.3)
    assert own.gap.low > 0
    assert any("rates it +30 points" in s for s in words(card).distrust)
    assert [o.what for o in card.overlaps] == ["is a contestant"]
    more = overlaps(match(rows, people), "gpt-4", "gpt-4", "openai:gpt-3.5@http://x/v1")
    assert [o.what for o in more] == [
        "labelled the preferences",
        "is of the family that served as the reward",
        "is a contestant",
    ]
    told = words(audit(rows, people, options=Options(preferences_judge="gpt-4")))
    assert any(s.startswith("Independence") for s in told.distrust)


def test_an_order_of_models_needs_three():
    models = [("a", "b"), ("b", "c"), ("a", "c")]
    rows = [row(f"s{i}", 1.0, "", models=m) for i in range(8) for m in models]
    people = [vote(f"s{i}", 1.0, models=m) for i in range(8) for m in models]
    assert rank_agreement(match(rows, people)).value == pytest.approx(1.0)
    two = rank_agreement(match(rows[:1], people[:1]))
    assert two.reason == "2 models: an order needs at least 3"


def test_a_constant_contestant_that_wins_is_a_fault():
    models = ("null", "real")
    rows = [row(f"s{i}", 0.8, "", models=models, length_a=50, length_b=100 + i) for i in range(30)]
    card = audit(rows, [])
    assert list(card.constants) == ["null"]
    assert any("null, whose answers all have one length" in s for s in words(card).distrust)


def test_pairs_to_attack_are_read_once_with_their_question(tmp_path):
    path = tmp_path / "pairs.jsonl"
    line = '{"idx": 3, "subset": "S", "instruction": "Sum up.", "input": "Text", "response1": "a", "response2": "b"}\n'
    path.write_text(line * 2, encoding="utf-8")
    (case,) = cases_in(path)
    assert (case.id, case.a, case.b, case.messages[0]["content"]) == ("S/3", "a", "b", "Sum up.\n\nText")
    path.write_text('{"idx": 1, "result": "1"}\n', encoding="utf-8")
    assert cases_in(path) == []
