"""Whatever a model writes, the reasoning tasks give a share or a missing score: no reply stops a run."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.data import Setup
from evalsuite.records import Completion, Completions, Sample, user
from evalsuite.registry import content_root, load_module

FOLDER = content_root() / "tasks" / "reasoning"
BBH = {"form": "option", "task": "snarks"}
CASES: list[tuple[str, str, Any, dict[str, Any]]] = [
    ("gsm8k", "", "18", {"steps": ""}),
    ("bbh", "direct", "(B)", BBH),
    ("bbh", "cot", "24", {**BBH, "form": "number"}),
    ("bbh", "direct", "] )", {**BBH, "form": "brackets"}),
    ("bbh", "direct", "a b", {**BBH, "form": "words"}),
    ("math500", "", "7", {"level": "1", "subject": "algebra"}),
    ("mmlu", "letter", "B", {"subject": "anatomy", "category": "other", "choices": list("wxyz")}),
    ("theoremqa", "", 4, {"kind": "integer", "picture": False, "field": "Math"}),
    ("theoremqa", "", [1.0, 2.0], {"kind": "list of float", "picture": False, "field": "Math"}),
    ("malls", "", "∀x (A(x) → B(x))", {}),
]
PIECES = st.sampled_from(
    [
        *(
            "The answer is ",
            "#### ",
            "A: ",
            "\\boxed{",
            "}",
            "(B)",
            "[1, 2]",
            "\\frac{1}{2}",
            "10^",
            "1e999",
            "%",
            "\n",
        ),
        *(
            " ",
            "$",
            "-",
            "=",
            "∀x ",
            "A(x)",
            " → ",
            "¬",
            "(",
            ")",
            "yes",
            "no",
            "\\text{",
            "π",
            "²",
            "٣",
            "½",
            "9" * 40,
        ),
    ]
)
REPLIES = st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=12).map("".join))


@pytest.mark.parametrize(("name", "method", "target", "metadata"), CASES)
@settings(max_examples=60)
@given(reply=REPLIES, cut=st.booleans())
def test_any_reply_is_scored(
    name: str, method: str, target: Any, metadata: dict[str, Any], reply: str, cut: bool
) -> None:
    task: Any = load_module(FOLDER / name / "task.py", "task")
    sample = Sample("x-0", (user("?\n(A) a\n(B) b"),), target, metadata)
    said = Completions({"answer": [Completion(text=reply, finish_reason="length" if cut else "stop")]})
    takes_setup = name in ("bbh", "mmlu")
    scores = task.score(sample, said, *([Setup(name, FOLDER / name, method=method)] if takes_setup else []))
    for score in scores.values():
        assert score.value is None or 0 <= score.value <= 1
        assert score.value is not None or score.reason in ("empty", "truncated", "unparsable")
