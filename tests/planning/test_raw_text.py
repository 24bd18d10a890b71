"""Log-probabilities in raw text: a question and its answer never run together ("question?Answer")."""

from pathlib import Path

import pytest

from evalsuite.models import ModelOptions, renderer, resolve
from evalsuite.planning import Options, Planner
from evalsuite.records import Message, Request, Unit, assistant, system, user


def planner_of(tiny: Path, template: str) -> Planner:
    model = resolve(str(tiny), ModelOptions(template=template))
    return Planner(model, renderer(model), Options())


def whole(planner: Planner, *messages: Message, answer: str, raw: bool = False) -> str:
    """The text that is scored."""
    (unit,) = planner.plan(Request("loglikelihood", messages, continuations=(answer,), raw=raw)).units
    assert unit.continuation == answer  # what was asked, whatever stands between
    assert planner.renderer is not None
    return planner.renderer.tokens.decode((*(unit.prompt_ids or ()), *unit.continuation_ids))


@pytest.mark.parametrize(
    ("context", "answer", "scored"),
    [
        ("Who?", "Me.", "Who? Me."),
        ("Who?", " Me.", "Who? Me."),
        ("Who? ", "Me.", "Who? Me."),
        ("Who?\n", "Me.", "Who?\nMe."),
        ("Who?", "\nMe.", "Who?\nMe."),
    ],
)
def test_a_blank_stands_where_neither_side_has_one(tiny: Path, context: str, answer: str, scored: str) -> None:
    assert whole(planner_of(tiny, "raw"), user(context), answer=answer) == scored


def test_what_is_raw_by_its_protocol_is_scored_to_the_letter(tiny: Path) -> None:
    for template in ("raw", "auto"):
        assert whole(planner_of(tiny, template), user("Who?"), answer="Me.", raw=True) == "Who?Me."


def test_an_answer_that_is_begun_goes_on_where_it_stands(tiny: Path) -> None:
    assert whole(planner_of(tiny, "raw"), user("Who?"), assistant("M"), answer="e.") == "Who?\n\nMe."


def test_a_chat_template_is_left_alone(tiny: Path) -> None:
    planner = planner_of(tiny, "auto")
    asked = (system("Be brief."), user("Who?"))
    (unit,) = planner.plan(Request("loglikelihood", asked, continuations=("Me.",))).units
    assert planner.renderer is not None
    assert (unit.prompt_ids, unit.continuation_ids) == planner.renderer.pair_ids(asked, "Me.")


def test_a_server_scores_the_same_text() -> None:
    planner = Planner(resolve("openai:m@http://localhost:9/v1"), None, Options())

    def scored(context: str, answer: str, raw: bool = False) -> str:
        (unit,) = planner.plan(Request("loglikelihood", (user(context),), continuations=(answer,), raw=raw)).units
        assert isinstance(unit, Unit)
        return (unit.prompt or "") + unit.continuation

    assert scored("Who?", "Me.") == "Who? Me."
    assert scored("Who? ", "Me.") == "Who? Me."
    assert scored("Who?", "Me.", raw=True) == "Who?Me."
