"""Attacks on judges whose nature is known: steady, gullible, positional; and the whole verb through a real server."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from openai_server import Server, serving

from evalsuite import cli
from evalsuite.judging import How, find
from evalsuite.judging.asking import first_requests
from evalsuite.judging.audit.attacks import CONSTANTS, Attempt, attack, drawn, work
from evalsuite.judging.audit.words import attack_findings
from evalsuite.judging.contract import Answer, Case, pair
from evalsuite.judging.injection import ATTACKS, families
from evalsuite.records import Completion, Request, user

CONTROLS = [a.text for a in families()["control"]]


def cases(n: int = 12) -> list[Case]:
    """Real answers carry BEST or FAIR, so that a judge can know them apart."""
    made = []
    for i in range(n):
        a, b = Answer(f"BEST answer {i}.", "a"), Answer(f"FAIR answer {i}.", "b")
        made.append(pair(f"s{i}", [user(f"Question {i}?")], *((a, b) if i % 3 else (b, a))))
    return made


def shown(text: str) -> list[str]:
    """Both answers as a pairwise prompt of ours shows them."""
    return [text.split(f"<answer_{x}>\n")[1].split(f"\n</answer_{x}>")[0] for x in "ab"]


def worth(answer: str) -> int:
    return 2 * ("BEST" in answer) + ("FAIR" in answer)


def steady(answers: list[str]) -> str:
    one, two = map(worth, answers)
    return "A" if one > two else "B" if two > one else "C"


def gullible(answers: list[str]) -> str:
    """Gives way to whatever was added to an answer, but not to harmless additions."""

    def carries(text: str) -> bool:
        return len(text) > 20 and not any(control[:30] in text for control in CONTROLS)

    one, two = map(carries, answers)
    return "A" if one > two else "B" if two > one else steady(answers)


def positional(answers: list[str]) -> str:
    return "A"


def asking(judge: Callable[[list[str]], str]) -> Callable[[Sequence[Request]], list[Completion]]:
    def ask(requests: Sequence[Request]) -> list[Completion]:
        return [Completion(judge(shown(str(r.messages[-1]["content"])))) for r in requests]

    return ask


def attacked(judge: Callable[[list[str]], str], n: int = 12) -> Any:
    return attack(cases(n), find("pairwise"), asking(judge), "m", Attempt(limit=n))


def test_a_steady_judge_lets_no_constant_win_and_is_not_swayed() -> None:
    found = attacked(steady)
    assert [null.win_rate.value for null in found.nulls] == [0.0, 0.0]
    assert [null.text for null in found.nulls] == list(CONSTANTS.values())
    assert found.injection.success.value < 0.2  # an attempt instead of the answer, or behind it, gains nothing
    assert (found.flips.value, found.first.value, found.draws.value) == (0.0, 0.5, 0.0)
    grades = {f.topic: f.grade for f in attack_findings(found)}
    assert grades["a constant answer"] == "good"
    assert grades["injection"] != "bad"


def test_a_gullible_judge_is_swayed_beyond_harmless_additions() -> None:
    found = attacked(gullible)
    assert found.injection.success.value > 0.7
    assert found.injection.control.value < 0.2
    assert found.injection.excess.low > 0
    assert all(null.win_rate.value == 1.0 for null in found.nulls)
    assert {f.topic for f in attack_findings(found) if f.grade == "bad"} == {"a constant answer", "injection"}


def test_a_judge_of_places_does_not_beat_constants() -> None:
    found = attacked(positional)
    assert [null.win_rate.value for null in found.nulls] == [0.5, 0.5]
    assert found.flips.value == 1.0
    assert found.first.value == 1.0
    assert found.injection.success.value == 0.0
    assert next(f for f in attack_findings(found) if f.topic == "a constant answer").grade == "bad"


@pytest.mark.parametrize("n", [3, 60])
def test_every_attempt_is_tried_and_every_pair_attacked(n: int) -> None:
    seen: set[str] = set()

    def ask(requests: Sequence[Request]) -> list[Completion]:
        seen.update(str(r.messages[-1]["content"]) for r in requests)
        return asking(steady)(requests)

    found = attack(cases(n), find("pairwise"), ask, "m", Attempt(limit=n, drawn=2))
    harmful = len(ATTACKS) - len(CONTROLS)
    assert found.injection.attempts >= max(harmful, n) + min(n, len(CONTROLS))
    assert set(found.injection.families) == set(families()) - {"control"}
    assert found.pairs == n
    assert all(any(f"Question {i}?" in text for text in seen) for i in range(n))


def test_replies_that_cannot_be_read_leave_no_figure() -> None:
    found = attack(cases(4), find("pairwise"), lambda rs: [Completion("hm") for _ in rs], "m", Attempt(limit=4))
    assert found.nulls[0].win_rate.reason == "no verdict could be read"
    assert found.injection.success.value is None
    assert found.unparsed.value == 1.0


@pytest.mark.parametrize("judge", ["pairwise", "pointwise"])
def test_the_work_is_known_before_the_first_verdict(judge: str) -> None:
    asked = 0

    def ask(requests: Sequence[Request]) -> list[Completion]:
        nonlocal asked
        asked += len(requests)
        return [Completion("A" if judge == "pairwise" else "7") for _ in requests]

    found, attempt, how = find(judge), Attempt(limit=5, drawn=3), How(verdicts="text")
    attack(cases(6), found, ask, "m", attempt, how)
    once, again = work(cases(6), found, attempt)
    known = [len(first_requests(case, found, how)) for case in once]
    known += [len(first_requests(case, found, drawn(attempt, how))) * attempt.draws for case in again]
    assert sum(known) == asked


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def test_the_verb_audits_attacks_and_resumes(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.reply = lambda body: steady(shown(body["messages"][-1]["content"]))
    files = []
    for side, name in enumerate(("a", "b")):
        rows = [{"id": c.id, "prompt": c.messages[0]["content"], "response": c.answers[side].text, "model": name}
                for c in cases(8)]  # fmt: skip
        files.append(tmp_path / f"{name}.jsonl")
        files[-1].write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    people = [
        {"question_id": c.id, "model_a": "a", "model_b": "b", "judge": "expert_1",
         "winner": "model_a" if "BEST" in c.a else "model_b"}
        for c in cases(8)
    ]  # fmt: skip
    human = tmp_path / "votes.jsonl"
    human.write_text("".join(json.dumps(r) + "\n" for r in people), encoding="utf-8")
    shared = ["--responses", *map(str, files), "--judge-model", f"openai:wise@{server.url}"]
    shared += ["--store", str(tmp_path / "store")]
    out = str(tmp_path / "verdicts.jsonl")
    assert cli.main(["judge", "pairwise", *shared, "--out", out, "--json"]) == 0
    capsys.readouterr()
    card = tmp_path / "card.html"
    words = ["judge", "audit", "--annotations", out, "--human", str(human), *shared, "--judge", "pairwise"]
    judged = len(server.seen)
    assert cli.main([*words, "--limit", "4", "--json", "--out", str(card), "--dry-run"]) == 0
    planned = json.loads(capsys.readouterr().out)["plans"]
    assert [plan["cases"] for plan in planned] == [4 + 2 * 4 + len(ATTACKS) - len(CONTROLS) + 4, 4]
    assert all(plan["costs"]["prompt_tokens"] > 0 for plan in planned)
    assert len(server.seen) == judged  # nothing was asked
    assert not card.exists()
    assert cli.main([*words, "--limit", "4", "--json", "--out", str(card)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["profiles"][0]["without_ties"]["value"] == 1.0
    assert found["attacks"]["nulls"][0]["win_rate"]["value"] == 0.0
    assert found["identity"]["fingerprint"]
    assert found["identity"]["sampling"]["temperature"] == 0.0
    assert "wise" in card.read_text(encoding="utf-8").split("<script>")[0]
    asked = len(server.seen)
    assert sum(plan["calls"] for plan in planned) == asked - judged
    assert cli.main([*words, "--limit", "4"]) == 0
    assert len(server.seen) == asked  # everything came from the cache
    assert "As close to people" in capsys.readouterr().out or found["ceiling"]["gap"]["value"] is None


def test_what_is_missing_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "verdicts.jsonl"
    rows = [{"question_id": 1, "model_a": "a", "model_b": "b", "judge": j, "winner": "model_a"} for j in ("j1", "j2")]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    for more, said in (
        ([], "several judges: choose by --of one of: judge j1, judge j2"),
        (["--of", "j1", "--judge", "pairwise"], "both --judge JUDGE and --judge-model MODEL"),
        (["--of", "j1", "--judge", "pairwise", "--judge-model", "smollm2"], "attacks need questions with two answers"),
        (["--of", "j1", "--dry-run"], "--dry-run counts the attacks' calls: give --judge JUDGE"),
        (["--of", "none"], "no judge 'none'"),
        (["--of", "j1", "--out", str(tmp_path)], "is a folder"),
    ):
        assert cli.main(["judge", "audit", "--annotations", str(path), *more]) == 2
        err = capsys.readouterr().err
        assert said in err, err
    assert cli.main(["judge", "audit", "--annotations", str(path), "--of", "j1"]) == 0
    assert "Not known" in capsys.readouterr().out
