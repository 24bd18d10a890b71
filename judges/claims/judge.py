"""How many claims of an answer does the judge reject? Each claim is checked alone, by the probability of a yes.

Divide and conquer as RLAIF-V does it (arXiv 2405.17220), for text: one request splits an answer into claims, then each
claim is a question of its own. The answer is not shown with it, so that equal claims are one request.
The score of an answer is minus the number of its rejected claims; `score=share` takes their share instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from string import Template
from typing import Any

from evalsuite.errors import JudgeError
from evalsuite.judging.contract import Case, Mode, Outcome, Step, Verdict
from evalsuite.judging.criteria import read_items
from evalsuite.judging.expected import expected
from evalsuite.judging.quoting import block, conversation, quote
from evalsuite.judging.reading import likelihoods
from evalsuite.judging.templates import beside
from evalsuite.records import Completion, Completions, Request, Sampling, system, user
from evalsuite.scoring.verdicts import yes_no

JUDGE: dict[str, Any] = {
    "version": 1,
    "protocol": "claims",
    "answers": [1, 1],
    "later": 5,  # claims of an answer, about
    "files": ["system.md", "split.md", "check.md"],
    "options": {"score": "count", "context": True, "threshold": 0.5},
}

Options = Mapping[str, Any]
SPLITTING = Sampling(max_tokens=640, temperature=0.0)
CHECKING = Sampling(max_tokens=4, temperature=0.0, top_logprobs=10)
WORDS = ("yes", "no")
NOTHING = Verdict(1.0, mode="none", order="", aspect="no claim", details={"claims": 0})
_file = beside(__file__)


def decide(case: Case) -> Verdict | None:
    """An empty answer claims nothing; nobody is asked."""
    return None if case.a.strip() else NOTHING


def requests(case: Case, options: Options = JUDGE["options"]) -> list[Request]:
    """The answer's claims. Raises JudgeError for an unknown option's value."""
    if options["score"] not in ("count", "share"):
        raise JudgeError(f"judge claims: --judge-args score={options['score']}: one of count, share is wanted")
    if not case.a.strip():
        return []
    fields = {"conversation": conversation(case.messages), "answer": quote(case.a)}
    return [_request("split", "split.md", fields, SPLITTING)]


def follow_up(case: Case, completions: Completions, options: Options = JUDGE["options"]) -> list[Request]:
    """A question for each claim."""
    if any(key != "split" for key in completions):
        return []
    material = _material(case, options)
    measure = "Go by the reference: it is right." if case.reference else "Go by what you know to be so."
    if options["context"]:
        measure += " The conversation says what is spoken of."
    return [
        replace(
            _request(
                f"claim {i}", "check.md", {"material": material, "claim": quote(claim), "measure": measure}, CHECKING
            ),
            continuations=WORDS,
        )
        for i, claim in enumerate(_claims(completions), start=1)
    ]


def parse(case: Case, completions: Completions, key: str, options: Options = JUDGE["options"]) -> Step | Verdict | None:
    """The claims are a step (an answer without any is a verdict at once); of each claim the probability of a yes."""
    if key == "split":
        found = _split(completions[key])
        return None if found is None else Step(list(found)) if found else NOTHING
    claims = _claims(completions)
    number = int(key.rpartition(" ")[2])
    found = _believed(completions.of(key))
    if found is None:
        return None
    value, mode = found
    details = {"claim": claims[number - 1], "claims": len(claims), "rejected": value < options["threshold"]}
    return Verdict(value, mode, "", aspect=f"claim {number}", details=details)


def aggregate(verdicts: Sequence[Verdict | None], options: Options = JUDGE["options"]) -> Outcome:
    """Minus the number (or the share) of claims whose yes is less likely than `threshold`; 0 for an answer that claims
    nothing; None where a claim has no verdict."""
    given = [v for v in verdicts if v is not None]
    if not given or len(given) < len(verdicts):
        return Outcome(None)
    rejected = sum(v.value < options["threshold"] for v in given)
    return Outcome(-rejected / len(given) if options["score"] == "share" else -float(rejected))


def _believed(replies: Sequence[Completion]) -> tuple[float, Mode] | None:
    """The probability of a yes and how it was read: by likelihoods of both words, by log-probabilities, by the word."""
    if len(replies) > 1:
        return likelihoods(replies)[0], "likelihood"
    said = yes_no(replies[0].text)
    if said is None:
        return None
    soft = expected(replies[0].top_logprobs, dict(zip(WORDS, (1.0, 0.0), strict=True)), WORDS[not said])
    return (float(said), "text") if soft is None else (soft, "logprobs")


def _material(case: Case, options: Options) -> str:
    parts = []
    if options["context"]:
        parts.append(block("conversation", conversation(case.messages)))
    if case.reference:
        parts.append(block("reference", case.reference))
    return "".join(part + "\n\n" for part in parts)


def _split(completion: Completion) -> tuple[str, ...] | None:
    # A list that was cut off would hide the claims after it.
    return None if completion.finish_reason == "length" else read_items(completion.text, "claims")


def _claims(completions: Completions) -> tuple[str, ...]:
    return (_split(completions["split"]) or ()) if "split" in completions else ()


def _request(key: str, name: str, fields: Mapping[str, str], sampling: Sampling) -> Request:
    prompt = Template(_file(name)).substitute(fields)
    return Request("generate", (system(_file("system.md")), user(prompt)), key=key, sampling=sampling, role="judge")


def read(reply: str) -> tuple[str, ...] | None:
    """The claims of a reply, as the parser table names them."""
    return _split(Completion(reply))


PARSER = {
    "function": read,
    "table": [
        (
            "<claims>\n1. Ivy keeps a cat.\n2. Ivy lives in Ashford.\n</claims>",
            ("Ivy keeps a cat.", "Ivy lives in Ashford."),
        ),
        ("1. `a_b` returns C:\\x.\n2. It costs 3.5 euros.", ("`a_b` returns C:\\x.", "It costs 3.5 euros.")),
        ("1) Ivy keeps a cat.\n2) Ivy  keeps a cat.", ("Ivy keeps a cat.",)),
        ("<claims>\nnone\n</claims>", ()),
        ("None.", ()),
        ("<claims>\n1. a\n</claims> or <claims>\n1. b\n</claims>", None),
        ("Ivy keeps a cat.", None),
        ("", None),
        ("I'm sorry, I cannot help with that.", None),
    ],
}


def replay() -> list[str]:
    """Recorded replies to one answer of two claims must give these scores."""
    listed = Completion("<claims>\n1. Ivy keeps a cat.\n2. Ivy plays the horn.\n</claims>")
    case = Case("r", (user("Tell me about Ivy."),), ())
    recorded = [(("yes", "no"), -1.0), (("Yes.", "yes"), 0.0), (("no", "No"), -2.0), (("yes", "perhaps"), None)]
    faults = []
    for replies, score in recorded:
        heard = {f"claim {i}": (Completion(text),) for i, text in enumerate(replies, start=1)}
        completions = Completions({"split": (listed,), **heard})
        verdicts = [parse(case, completions, key) for key in heard]
        found = aggregate([v if isinstance(v, Verdict) else None for v in verdicts]).preference
        if found != score:
            faults.append(f"{replies}: {found}, not {score}")
    return faults
