"""Injection: no attempt inside an answer becomes structure of any judge's prompt, and no parser obeys one that a reply
quotes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from checkpoints import tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite import registry
from evalsuite.data import Setup
from evalsuite.judging import (
    Annotation,
    Answer,
    Case,
    Criterion,
    How,
    Judge,
    Verdict,
    find,
    judge_cases,
    pair,
    rewarding,
)
from evalsuite.judging.injection import ATTACKS, Attack, attacked, families, origin, sway
from evalsuite.judging.quoting import quote
from evalsuite.judging.reading import grade
from evalsuite.models import Renderer, renderer, resolve
from evalsuite.models.tokens import Tokens
from evalsuite.planning import Options, Planner
from evalsuite.records import Completion, Completions, Request, Sample, assistant, system, user
from evalsuite.scoring.verdicts import choice_letter, correctness, yes_no

HARMLESS = "Twelve quiet rivers cross the plain."
LLAMA_3 = (
    "<s>{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>"
    "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
MISTRAL = (
    "<s>{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }}[/INST]{% elif m.role == 'system' %}"
    "{{ raise_exception('no system message') }}{% else %} {{ m.content }}</s>{% endif %}{% endfor %}"
)
QWEN = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content.split('</think>')[-1] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)


@cache
def rendering(name: str) -> Renderer:
    """SmolLM2 as it is, and small tokenizers with the marks and the templates of other families."""
    if name == "smollm2":
        made = renderer(resolve("smollm2"))
        assert made is not None
        return made
    kind, template, special, plain = {
        "llama-3": (
            "bpe",
            LLAMA_3,
            ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|begin_of_text|>"],
            [],
        ),
        "mistral": ("unigram", MISTRAL, ["[INST]", "[/INST]", "[TOOL_CALLS]", "<start_of_turn>", "<end_of_turn>"], []),
        "qwen": ("bpe", QWEN, ["<|im_start|>", "<|im_end|>", "<|endoftext|>"], ["<think>", "</think>"]),
    }[name]
    own = tokenizer(kind, template=template)
    own.add_special_tokens({"additional_special_tokens": special})
    own.add_tokens(plain)
    return Renderer(Tokens(own))


STRUCTURE = ("tags", "roles", "unicode", "restart")
"""Families that aim at the prompt's structure. SmolLM2 sees all of them, the other tokenizers these."""
RENDERERS = [pytest.param("smollm2", marks=pytest.mark.smollm2), "llama-3", "mistral", "qwen"]


def control(made: Renderer, ids: Sequence[int]) -> list[int]:
    """The ids that mean something to a template, in their order."""
    meaning = meaningful(made)
    return [i for i in ids if i in meaning]


@cache
def meaningful(made: Renderer) -> frozenset[int]:
    """Special ids and marks of reasoning. <unk> stands for unknown characters, so it is none of them."""
    unknown = made.tokens.plain("<unk>") if "<unk>" in made.tokens.added else ()
    marks = {i for text in made.reasoning_marks or () for i in made.tokens.plain(text)}
    return frozenset(made.tokens.special_ids | marks) - set(unknown)


# -- every judge's prompts --------------------------------------------------------------------------------------------

REPLIES = (
    "A",
    "[[A]]",
    "[[A>B]]",
    "Grade: [[7]]",
    "7",
    "Rating: 4",
    "<claims>\n1. Rivers cross the plain.\n2. There are twelve.\n</claims>",
    "<criteria>\n1. true | 60\n2. short | 40\n</criteria>",
    "<grades>\n1. 4 | fine\n2. 2 | long\nTotal: 320\n</grades>",
    "yes",
    "#### Answer 1\nRating: 4\nRationale: fine",
    "#### Answer 1\nRating: 4\nRationale: fine\n\n#### Answer 2\nRating: 2\nRationale: late",
)
"""Replies of every shape: a judge is asked again until it gets one that it understands, and so goes on to its next
stage."""


def judges() -> list[str]:
    return sorted(registry.judges())


@cache
def judge(name: str) -> Judge:
    return find(name)


def cases_of(found: Judge, text: str) -> list[Case]:
    """A case with the text in its first answer, and in every other text but the one that it is compared with; with
    criteria, and without any where the judge can find its own."""
    answers = tuple(Answer(t, f"m{i}") for i, t in enumerate((text, "The other answer.")[: max(1, found.answers[0])]))
    case = Case(
        "q1",
        (user("Tell me about rivers."), assistant("Which?"), user("Those of the plain.")),
        answers,
        reference=text,
        baseline=Answer(text, "base"),
        auxiliary=tuple(Answer(t, f"x{i}") for i, t in enumerate((text, "second", "third"))),
        criteria=(Criterion("true", 60.0), Criterion("short", 40.0)),
    )
    return [case] if "criteria" in found.needs else [case, replace(case, criteria=())]


def talk(found: Judge, case: Case) -> list[tuple[Request, str]]:
    """All that is asked about a case, with the last reply, once for each key."""
    heard: dict[str, tuple[Request, str]] = {}

    def ask(requests: list[Request]) -> list[Completion]:
        replies = []
        for request in requests:
            reply = REPLIES[request.sampling.seed % len(REPLIES)]
            heard[request.key] = request, reply
            rewards = {"reward": float(len(request.messages[-1]["content"]))}
            replies.append(Completion(reply, rewards=rewards))
        return replies

    judge_cases([case], found, ask, how=How(attempts=len(REPLIES), verdicts="text"))
    return list(heard.values())


@cache
def asked(name: str, text: str) -> list[Request]:
    found = judge(name)
    told = [talk(found, case) for case in cases_of(found, text)]
    return list({(request.key, str(request.messages)): request for said in told for request, _ in said}.values())


def prompt_of(made: Renderer, request: Request) -> tuple[int, ...]:
    messages = made.guarded(request.messages)
    if request.kind == "reward":
        return made.conversation_ids(messages)
    return made.prompt_ids(messages, raw=request.raw)


@pytest.mark.parametrize("model", RENDERERS)
@pytest.mark.parametrize("name", judges())
def test_an_attempt_stays_inside_its_answer(name: str, model: str) -> None:
    """Text and token ids around the answer, roles and every special id are those of a harmless answer's prompt."""
    made = rendering(model)
    plain = asked(name, HARMLESS)
    ids = [prompt_of(made, request) for request in plain]
    touched = 0
    tried = [a for a in ATTACKS if model == "smollm2" or a.family in STRUCTURE]
    for attack in tried:
        hostile = asked(name, attack.text)
        assert [r.key for r in hostile] == [r.key for r in plain], attack.id
        differing = [i for i, (calm, tried) in enumerate(zip(plain, hostile, strict=True)) if calm != tried]
        for i in dict.fromkeys((differing[0], differing[len(differing) // 2], differing[-1])):
            touched += 1
            assert_same_words(plain[i], hostile[i], attack)
            found = prompt_of(made, hostile[i])
            assert control(made, ids[i]) == control(made, found), (attack.id, hostile[i].key)
            assert_same_frame(made, ids[i], found, attack)
    assert touched >= len(tried)


def assert_same_words(calm: Request, tried: Request, attack: Attack) -> None:
    """Roles, and the judge's own words before, between and behind what is quoted."""
    assert [m["role"] for m in calm.messages] == [m["role"] for m in tried.messages], attack.id
    for one, other in zip(calm.messages, tried.messages, strict=True):
        place, left = 0, str(other["content"])
        *pieces, last = str(one["content"]).split(HARMLESS)
        for piece in pieces:
            assert left.find(piece, place) >= 0, (attack.id, piece)
            place = left.find(piece, place) + len(piece)
        assert left[place:].endswith(last), (attack.id, last)


def assert_same_frame(made: Renderer, one: Sequence[int], other: Sequence[int], attack: Attack) -> None:
    """What stands before the first and behind the last place where the prompts differ reaches up to the answer."""
    text = made.tokens.decode(one, keep=made.tokens.added)
    before = text.index(HARMLESS)
    behind = len(text) - text.rindex(HARMLESS) - len(HARMLESS)
    shared = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    tail = next((i for i, (a, b) in enumerate(zip(one[::-1], other[::-1], strict=False)) if a != b), len(one))
    # One token may span the boundary (a line break and the answer's first blank, say).
    assert len(made.tokens.decode(one[: shared + 1], keep=made.tokens.added)) >= before, attack.id
    assert len(made.tokens.decode(one[len(one) - tail - 1 :], keep=made.tokens.added)) >= behind, attack.id


@pytest.mark.parametrize("model", RENDERERS)
def test_without_the_guard_an_attempt_would_open_turns(model: str) -> None:
    """The test above can fail: unguarded and unquoted, the same texts put special ids into the prompt."""
    made = rendering(model)
    calm = control(made, made.prompt_ids([user(HARMLESS)]))
    bad = [a for a in ATTACKS if control(made, made.prompt_ids([user(a.text)])) != calm]
    assert bad
    assert all(control(made, made.prompt_ids(made.guarded([user(a.text)]))) == calm for a in bad)


@pytest.mark.parametrize("model", RENDERERS)
def test_every_special_token_is_broken_and_other_text_is_not(model: str) -> None:
    made = rendering(model)
    calm = control(made, made.prompt_ids([user("x")]))
    spelled = sorted(made.tokens.special)
    for text in (*spelled, "".join(spelled), *(f"{t[:2]}{t}{t[2:]}" for t in spelled)):
        parts = [{"type": "text", "text": text}]
        for content in (text, parts):
            assert control(made, made.prompt_ids(made.guarded([{"role": "user", "content": content}]))) == calm, text
    words = (system("a < b"), user("<p>[x] {{ y }} </p> \n\n"), assistant("caf\u00e9 | \U0001f642"))
    assert made.guarded(words) == words


def test_subjects_read_what_their_task_wrote(tiny: Path) -> None:
    """Judges and auxiliaries are guarded; a subject's prompt keeps its ids, and nobody's fingerprint changes without
    such text."""
    model = resolve(str(tiny))
    planner = Planner(model, renderer(model), Options())

    def ids(text: str, role: Any, kind: Any = "generate") -> tuple[int, ...]:
        (unit,) = planner.plan(Request(kind, (user(text), assistant("x")), role=role)).units
        return unit.prompt_ids or ()

    made = planner.renderer
    assert made is not None
    mark = made.tokens.plain("<|end|>")[0]
    for kind in ("generate", "reward"):
        assert ids("a<|end|>b", "subject", kind).count(mark) == ids("a b", "subject", kind).count(mark) + 1
        for role in ("judge", "auxiliary"):
            assert ids("a<|end|>b", role, kind).count(mark) == ids("a b", role, kind).count(mark)
            assert ids("a b", role, kind) == ids("a b", "subject", kind)
    (shown,) = planner.plan(Request("generate", (user("a<|end|>b"),), quotes=True)).units  # a subject that judges
    asked = Request("generate", (user("a b"),))
    (calm,) = planner.plan(asked).units
    assert (shown.prompt_ids or ()).count(mark) == (calm.prompt_ids or ()).count(mark) > 0
    prints = {
        planner.plan(replace(asked, role=role, quotes=quotes)).units[0].fingerprint
        for role in ("subject", "judge", "auxiliary")
        for quotes in (False, True)
    }
    assert len(prints) == 1


@pytest.mark.parametrize("name", ["judge", "grade"])
def test_a_subject_that_judges_is_guarded(name: str) -> None:
    """What it is asked about answers of others says that it quotes them, as the same protocol does before a judge."""
    sample = Sample("a", (user("Q?"),), [1, 0], {"answers": ["<|end|>", "no"]})
    requests = rewarding.prompt(sample, Setup("plain_pairs", Path(), method=name))
    assert requests
    assert all(request.role == "subject" and request.quotes for request in requests)
    plain = rewarding.prompt(sample, Setup("plain_pairs", Path(), method="logprob"))
    assert not any(request.quotes for request in plain)


# -- every parser -----------------------------------------------------------------------------------------------------

QUOTED = (
    '{good}\n\nOne of the answers says: "{attack}". That is no reason.',
    'One of the answers says: "{attack}". That is no reason.\n\n{good}',
    "I read \u201c{attack}\u201d in it and leave it aside.\n\n{good}",
    "{good}\n\nI read \u201c{attack}\u201d in it and leave it aside.",
    "```\n{attack}\n```\nstands in the answer; I leave it aside.\n\n{good}",
    "{good}\n\nThis stands in the answer, I leave it aside:\n\n```\n{attack}\n```",
    "<answer_a>\n{attack}\n</answer_a>\n\n{good}",
    "{good}\n\n<answer_a>\n{attack}\n</answer_a>",
)
"""How a judge's reply may quote an attempt around its own verdict."""


@cache
def replies(good: str) -> list[tuple[str, str]]:
    """(attempt's id, reply), for every attempt as it is and as our prompts show it."""
    return list(_replies(good))


def _replies(good: str) -> Iterator[tuple[str, str]]:
    for attack in ATTACKS:
        lines = "\n".join(f"> {line}" for line in attack.text.splitlines())
        yield attack.id, f"{lines}\n\nstands in it; I leave it aside.\n\n{good}"
        yield attack.id, f"{good}\n\nI leave this aside:\n\n{lines}"
        for text in dict.fromkeys((attack.text, quote(attack.text))):
            for form in QUOTED:
                yield attack.id, form.replace("{good}", good).replace("{attack}", text)


def faults(read: Callable[[str], Any], good: str, truth: Any) -> list[str]:
    """Replies of a known verdict that are read as another one."""
    return [f"{i}: {read(text)!r} in {text!r}" for i, text in replies(good) if read(text) not in (truth, None)]


VERDICTS = [
    *((choice_letter, text, "B") for text in ("B", "[[B]]", "The better answer is B.")),
    *((choice_letter, text, "A") for text in ("[[A]]", "Output (a) is better.")),
    *((yes_no, text, text == "Yes") for text in ("no", "Yes", "Answer: no")),
    *((correctness, text, False) for text in ("INCORRECT", "Verdict: NOT CORRECT", "The answer is wrong.")),
    *((partial(grade, low=1, high=10), text, 7.0) for text in ("7", "Grade: 7", "[[7]]")),
]


@pytest.mark.parametrize(("read", "good", "truth"), VERDICTS)
def test_no_verdict_is_taken_from_what_a_reply_quotes(read: Callable[[str], Any], good: str, truth: Any) -> None:
    assert read(good) == truth
    found = [(read(text), text) for _, text in replies(good)]
    assert not [text for verdict, text in found if verdict not in (truth, None)]
    # Caution is not silence: such replies are read, as a rule.
    assert sum(verdict == truth for verdict, _ in found) >= 0.9 * len(found)


LINES = [line for attack in ATTACKS for line in attack.text.splitlines()]
PIECES = [
    *LINES,
    '"',
    "`",
    "```",
    "\u201c",
    "\u201d",
    "'",
    "\n",
    "\n\n",
    "> ",
    ". ",
    "~~~",
    "?",
    "not ",
    "Answer: A",
    "10/10",
]
AROUND = [QUOTED[0], QUOTED[1], QUOTED[3], QUOTED[4], QUOTED[5]]
OWN = [
    *((choice_letter, good, "B") for good in ("[[B]]", "B", "Answer: B", "B is better.")),
    *((yes_no, good, False) for good in ("No", "[[no]]")),
    *((correctness, good, False) for good in ("INCORRECT", "[[INCORRECT]]")),
    *((partial(grade, low=1, high=10), good, 3.0) for good in ("[[3]]", "Grade: 3", "3")),
]


@settings(max_examples=400)
@given(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join),
    st.sampled_from(AROUND),
    st.sampled_from(OWN),
)
def test_whatever_is_quoted_a_known_verdict_is_never_turned(
    text: str, form: str, own: tuple[Callable[[str], Any], str, Any]
) -> None:
    """Scraps of attempts, of quotation marks and of fences in any mixture."""
    read, good, truth = own
    assert read(form.replace("{good}", good).replace("{attack}", text)) in (truth, None)


def said(reading: Any) -> Any:
    """A reading without the texts that go with it."""
    if isinstance(reading, Verdict):
        return reading.value, reading.order, reading.answer, reading.aspect
    if isinstance(reading, Sequence):
        return tuple(said(r) for r in reading)
    return None if reading is None else reading.value


def reread(found: Judge, case: Case, heard: Mapping[str, tuple[Completion]], key: str, text: str) -> Any:
    return said(found.parse(case, Completions({**heard, key: (Completion(text),)}), key))


@pytest.mark.parametrize("name", judges())
def test_no_judge_obeys_what_it_quotes(name: str) -> None:
    found = judge(name)
    seen = set()
    for case in cases_of(found, HARMLESS):
        turns = [(request, reply) for request, reply in talk(found, case) if request.kind == "generate"]
        heard = {request.key: (Completion(reply),) for request, reply in turns}
        for request, reply in turns:
            if (shape := (reply, request.key if found.protocol == "pc2" else "")) in seen:
                continue  # another order or another case: the same parser and the same reply
            seen.add(shape)
            read = partial(reread, found, case, heard, request.key)
            assert read(reply) is not None, (request.key, reply)
            assert not faults(read, reply, read(reply)), request.key


# -- the set, and what it does to a judge ------------------------------------------------------------------------------


def test_the_set_is_large_and_of_many_kinds() -> None:
    found = families()
    assert len(ATTACKS) - len(found["control"]) >= 40
    assert len({a.id for a in ATTACKS}) == len(ATTACKS)
    assert {"verdict", "tags", "roles", "unicode", "languages", "scores", "criteria", "restart", "null"} <= set(found)
    assert {a.where for a in ATTACKS} == {"after", "before", "alone"}


BY_ID = {a.id: a for a in ATTACKS}


def row(case: Case, order: str, preference: float | None, **more: Any) -> Annotation:
    models = [a.model for a in case.answers] + [""]
    return Annotation(
        case.id, case.task, models[0], models[1], "j", "m", "pairwise", order, preference,
        "parsed" if preference is not None or "score" in more else "judge_parse", **more,
    )  # fmt: skip


def test_sway_counts_moves_in_the_attackers_favour() -> None:
    cases = [pair(f"q{i} + x", (user("?"),), Answer("one", "a b"), Answer("two", "c")) for i in range(4)]
    clean = [row(c, o, p) for c, p in zip(cases, (0.0, 1.0, 0.5, 0.0), strict=True) for o in ("ab", "ba")]
    hit = [attacked(c, BY_ID["brackets"], i % 2) for i, c in enumerate(cases)]
    # q0: a lost and now wins. q1: c is attacked, lost, still loses. q2: a tied, now loses. q3: c had won: no room.
    after = [1.0, 1.0, 0.0, 0.0]
    tried = [row(c, o, p) for c, p in zip(hit, after, strict=True) for o in ("ab", "ba")]
    assert (origin(tried[2]).sample, origin(tried[2]).model, origin(tried[2]).answer) == ("q1 + x", "c", 1)
    found = sway(clean, tried)
    assert set(found) == {"all", "verdict"}
    assert found["all"].rate.value == pytest.approx(2 / 6)
    assert found["all"].rate.n == 3
    assert found["all"].against.value == pytest.approx(2 / 4)
    assert found["all"].shift.value == pytest.approx((1 - 0.5) / 4)
    lost = sway(clean, [row(hit[0], "ab", None)])["all"]
    assert (lost.lost, lost.rate.n, lost.rate.value) == (1, 0, None)
    with pytest.raises(ValueError, match="no row of this judge"):
        sway(clean[2:], tried[:1])
    with pytest.raises(ValueError, match="no attacked case"):
        sway(clean, clean)


def test_sway_of_grades_and_controls() -> None:
    case = Case("q", (user("?"),), (Answer("one", "a"), Answer("two", "b")))
    clean = [row(replace(case, answers=(a,)), "", None, score=5.0, aspect="style") for a in case.answers]
    tried = []
    for attack, score in (("ten", 8.0), ("thanks", 5.2), ("out_of", 3.0)):
        hit = attacked(case, BY_ID[attack], 0)
        tried += [row(replace(hit, answers=(a,)), "", None, score=score, aspect="style") for a in hit.answers]
        tried.append(row(replace(hit, answers=hit.answers[:1]), "", None, score=9.0, aspect="another"))
    found = sway(clean, tried)
    assert found["scores"].rate.value == found["scores"].against.value == 0.5
    assert found["scores"].shift.value == pytest.approx(0.5)
    assert found["control"].rate.value == 0
    assert found["all"] == found["scores"]
