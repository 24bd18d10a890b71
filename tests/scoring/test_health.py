"""Health: shares of what went wrong with the answers, unknown where it is unknown."""

from evalsuite.records import Completion
from evalsuite.scoring.health import health_of


def test_shares_and_means() -> None:
    completions = [
        Completion("Paris.", tokens=2),
        Completion("", tokens=0),
        Completion("and so on " * 40, finish_reason="length", tokens=120),
        Completion("I'm sorry, but I can't help with that.", tokens=10),
    ]
    health = health_of(completions, unparsable=1, scored=4, shortened=2)
    assert (health.n, health.truncated, health.empty, health.refused, health.repeated) == (4, 0.25, 0.25, 0.25, 0.25)
    assert (health.unparsable, health.mean_tokens, health.shortened) == (0.25, 33.0, 2)


def test_nothing_generated_is_not_healthy_but_unknown() -> None:
    health = health_of([], 0, 5)
    assert (health.n, health.truncated, health.mean_tokens) == (0, None, None)


def test_tokens_of_a_file_of_answers_are_unknown() -> None:
    assert health_of([Completion("An answer made elsewhere.")], 0, 1).mean_tokens is None
