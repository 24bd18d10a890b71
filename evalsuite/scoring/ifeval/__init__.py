r"""IFEval's 25 verifiable instructions: does a response follow them, strictly and loosely?

    >>> check("punctuation:no_comma", {}, "Say hello.", "Hello, you.")
    False
    >>> follows(["startend:quotation"], [{}], "Quote it.", 'Sure:\n"Hello."')
    ([False], [True])

Source: Zhou et al. 2023, "Instruction-Following Evaluation for Large Language Models", arXiv:2311.07911.
Verdicts follow the official checkers, slips included, so that figures compare; each slip is named at its function.
One exception: for a `letter` that is no Latin letter the official checker draws a letter at random; here the character
itself counts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from evalsuite.errors import InputError
from evalsuite.scoring.ifeval.rules import KINDS, bind

__all__ = ["KINDS", "bind", "check", "follows", "loose_variants"]


def check(kind: str, kwargs: Mapping[str, Any], prompt: str, response: str) -> bool:
    """Whether `response` follows one instruction to the letter. An empty response follows nothing. `prompt` is unused
    by the 25 kinds (what must be repeated stands in `kwargs`) and is there for kinds that need it.
    Raises InputError for an unknown kind (with the nearest names) and for unusable `kwargs`."""
    rule, values = bind(kind, kwargs)
    return bool(response.strip()) and rule(response, **values)


def loose_variants(response: str) -> list[str]:
    """The 8 texts of the loose reading: as it is, without asterisks; without first line, last line, both; and those
    without asterisks. They forgive an introduction, a closing remark and Markdown."""
    lines = response.split("\n")
    cuts = ["\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])]
    return [response, response.replace("*", ""), *cuts, *(cut.replace("*", "") for cut in cuts)]


def follows(
    instruction_ids: Sequence[str], kwargs_list: Sequence[Mapping[str, Any]], prompt: str, response: str
) -> tuple[list[bool], list[bool]]:
    """Verdicts for each instruction of a prompt: (strict, loose). Loose: any of `loose_variants` follows it, so a
    strict verdict is never better than the loose one. Raises InputError as `check` does."""
    if len(instruction_ids) != len(kwargs_list):
        raise InputError(f"{len(instruction_ids)} instructions but {len(kwargs_list)} kwargs; there is one for each")
    pairs = list(zip(instruction_ids, kwargs_list, strict=True))
    strict = [check(kind, kwargs, prompt, response) for kind, kwargs in pairs]
    others = [text for text in dict.fromkeys(loose_variants(response)) if text != response]
    loose = [
        followed or any(check(kind, kwargs, prompt, text) for text in others)
        for followed, (kind, kwargs) in zip(strict, pairs, strict=True)
    ]
    return strict, loose
