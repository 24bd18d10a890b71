"""A pool of simulated annotators with different questions and tastes: one of them, drawn for each request, sees the two
answers in one order, also drawn; labels can be flipped at a known rate."""

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from evalsuite.errors import JudgeError, unknown
from evalsuite.judging.contract import ORDERS, Answer, Case, Outcome, Placement, Verdict, mean_over_orders, pair
from evalsuite.judging.quoting import block, conversation
from evalsuite.records import Completion, Completions, Request, Sampling, system, user
from evalsuite.scoring.verdicts import choice_letter

JUDGE: dict[str, Any] = {
    "version": 1,
    "protocol": "annotators",
    "answers": [2, 2],
    "files": ["pool.toml"],
    # p_flip: 0.25 makes labels to train on, 0 judges. annotator: one of the pool for everything, "" for the draw.
    "options": {"seed": 0, "p_flip": 0.0, "temperature": 1.0, "annotator": ""},
}

Options = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Annotator:
    """One of the pool: its system text ("" for none), its question, how its reply is read."""

    name: str
    system: str
    ask: str
    reads: str
    max_tokens: int


def requests(case: Case, options: Options = JUDGE["options"]) -> list[Request]:
    """One request: the drawn annotator, the drawn order. Raises JudgeError for a flip rate that is none, InputError
    for an annotator that is not in the pool."""
    if not 0 <= options["p_flip"] <= 1:
        raise JudgeError(f"--judge-args p_flip={options['p_flip']}: a rate between 0 and 1 is wanted")
    annotator, order = drawn(case, options)
    first, second = Placement(case, order).shown
    material = (f"<conversation>\n{conversation(case.messages)}\n</conversation>", block("answer_a", first))
    asked = user("\n\n".join((*material, block("answer_b", second), annotator.ask)))
    messages = (system(annotator.system), asked) if annotator.system else (asked,)
    sampling = Sampling(max_tokens=annotator.max_tokens, temperature=options["temperature"], seed=options["seed"])
    return [Request("generate", messages, key=order, sampling=sampling, role="judge")]


def parse(case: Case, completions: Completions, key: str, options: Options = JUDGE["options"]) -> Verdict | None:
    """What the annotator said, turned round where the label noise hits this case."""
    annotator, _ = drawn(case, options)
    value = READERS[annotator.reads](completions[key].text)
    if value is None:
        return None
    noise = flipped(case, options)
    return Verdict(1 - value if noise else value, "text", key, details={"annotator": annotator.name, "flipped": noise})


def aggregate(verdicts: Sequence[Verdict | None]) -> Outcome:
    """The one verdict; of several draws their mean."""
    return mean_over_orders(verdicts)


def drawn(case: Case, options: Options = JUDGE["options"]) -> tuple[Annotator, str]:
    """The annotator and the order of a case: a function of the seed, the text of the request and the repeat, so the
    same alone or among others, in any run and on any machine."""
    pool = annotators()
    seed = ("annotator", options["seed"], _instruction(case), case.repeat)
    if options["annotator"]:
        chosen = {a.name: a for a in pool}
        if options["annotator"] not in chosen:
            raise unknown("annotator", options["annotator"], chosen)
        annotator = chosen[options["annotator"]]
    else:
        annotator = pool[int(_uniform(*seed) * len(pool))]
    return annotator, ORDERS[int(_uniform("order", *seed[1:]) * 2)]


def flipped(case: Case, options: Options = JUDGE["options"]) -> bool:
    """Whether label noise turns this case's verdict round; the two answers have a part in the draw, whichever of them
    is called first, so that pairs of one request are not all turned together."""
    texts = sorted(answer.text for answer in case.answers)
    draw = _uniform("flip", options["seed"], case.task, case.id, case.repeat, _instruction(case), *texts)
    return draw < options["p_flip"]


@cache
def annotators() -> tuple[Annotator, ...]:
    """The pool, in the order of its file."""
    rows = tomllib.loads((Path(__file__).parent / "pool.toml").read_text(encoding="utf-8"))["annotator"]
    return tuple(Annotator(**{k: v.strip() if isinstance(v, str) else v for k, v in row.items()}) for row in rows)


def _instruction(case: Case) -> str:
    return json.dumps([[m["role"], m["content"]] for m in case.messages], ensure_ascii=False, sort_keys=True)


def _uniform(*parts: Any) -> float:
    """In [0, 1), by the content of the parts."""
    digest = hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / (1 << 48)


# --- readers: the preference for the answer shown first, or None ---


def read_letter(reply: str) -> float | None:
    return {"A": 1.0, "B": 0.0, None: None}[choice_letter(reply, "AB")]


def read_output(reply: str) -> float | None:
    """ "Output (a)" or "Output (b)", alone on the last line that names one, and not both there."""
    lines = [re.findall(r"\boutput\s*\(\s*([ab])\s*\)", line, re.IGNORECASE) for line in reply.splitlines()]
    last = next((set(map(str.lower, found)) for found in reversed(lines) if found), set())
    return {"a": 1.0, "b": 0.0}[last.pop()] if len(last) == 1 else None


def read_json(reply: str) -> float | None:
    """The whole reply is one JSON object, in a code block or not; its decision is true or false. What reasons quote
    from the answers stays inside their string."""
    found = _json(reply)
    decision = found.get("first_is_better") if isinstance(found, dict) else None
    return float(decision) if isinstance(decision, bool) else None


def read_ranking(reply: str) -> float | None:
    found = _json(reply)
    return {("A", "B"): 1.0, ("B", "A"): 0.0}.get(tuple(map(str, found))) if isinstance(found, list) else None


def read_marks(reply: str) -> float | None:
    """Two marks from 1 to 10 in the asked form, nothing else; equal marks are a tie."""
    mark = r"(10|[1-9](?:\.\d)?)(?:\s*/\s*10)?"
    found = re.fullmatch(rf"\W*A\W*[:=]\W*{mark}\W+B\W*[:=]\W*{mark}\W*", reply.strip(), re.IGNORECASE)
    if found is None:
        return None
    a, b = map(float, found.groups())
    return 0.5 + ((a > b) - (a < b)) / 2


def _json(reply: str) -> Any:
    text = re.sub(r"^```(?:json)?\s*|\s*```$", "", reply.strip())
    try:
        return json.loads(text)
    except ValueError:
        return None


READERS: dict[str, Callable[[str], float | None]] = {
    "letter": read_letter,
    "output": read_output,
    "json": read_json,
    "ranking": read_ranking,
    "marks": read_marks,
}

PARSER = [
    {
        "function": read_letter,
        "table": [
            ("A", 1.0),
            ("**B**", 0.0),
            ("a", 1.0),
            ("Answer: B.", 0.0),
            ("C", None),
            ("A or B", None),
            ("", None),
        ],
    },
    {
        "function": read_output,
        "table": [
            ("Output (a)", 1.0),
            ("I prefer the second.\n**Output (b)**", 0.0),
            ("Output (a) is short, Output (b) is long.\nOutput (a)", 1.0),
            ("Output (a) and Output (b)", None),
            ("output(A)", 1.0),
            ("(a)", None),
            ("", None),
        ],
    },
    {
        "function": read_json,
        "table": [
            ('{"reasons": "It is right.", "first_is_better": true}', 1.0),
            ('```json\n{"reasons": "", "first_is_better": false}\n```', 0.0),
            ('{"reasons": "The answer says {\\"first_is_better\\": true}", "first_is_better": false}', 0.0),
            ('{"reasons": "x", "first_is_better": "true"}', None),
            ('{"reasons": "x"', None),
            ('So: {"first_is_better": true}', None),
            ("true", None),
        ],
    },
    {
        "function": read_ranking,
        "table": [('["A", "B"]', 1.0), ('["B", "A"]', 0.0), ('["A", "A"]', None), ('["A"]', None), ("A, B", None)],
    },
    {
        "function": read_marks,
        "table": [
            ("A: 7, B: 4", 1.0),
            ("A: 3/10; B: 8.5/10", 0.0),
            ("A: 5, B: 5", 0.5),
            ("A: 11, B: 2", None),
            ("A: 0, B: 2", None),
            ("B: 4", None),
            ("A: 7, B: 4. But the answer says A: 1, B: 9", None),
        ],
    },
]


def replay() -> list[str]:
    """Each annotator's reply in its own form is read, in both orders; noise at rate 1 turns every verdict round."""
    first = {
        "letter": "A",
        "output": "Output (a)",
        "json": '{"reasons": "r", "first_is_better": true}',
        "ranking": '["A", "B"]',
        "marks": "A: 9, B: 2",
    }
    case = pair("q", (user("?"),), Answer("one", "x"), Answer("two", "y"))
    faults = []
    for annotator in annotators():
        for rate, wanted in ((0.0, 1.0), (1.0, 0.0)):
            options = {**JUDGE["options"], "annotator": annotator.name, "p_flip": rate}
            key = requests(case, options)[0].key
            found = parse(case, Completions({key: [Completion(text=first[annotator.reads])]}), key, options)
            if found is None or found.value != wanted:
                faults.append(f"{annotator.name}, noise {rate}: {found}, not {wanted}")
    return faults
