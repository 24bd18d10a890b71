"""Splits a thinking model's text into reasoning and answer, by the marks of its own template.

>>> split_reasoning("<think>2+2 is 4</think>\\n\\nFour.", ("<think>", "</think>"))
('2+2 is 4', 'Four.', True)
>>> split_reasoning("<think>2+2 is", ("<think>", "</think>"))       # cut off while thinking: there is no answer
('2+2 is', '', False)
"""

MARKS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
)
"""Pairs of marks that published templates use."""


def find_marks(template: str, special: frozenset[str] | set[str] = frozenset()) -> tuple[str, str] | None:
    """The pair whose end mark the template writes or reads, or that the tokenizer holds as tokens of its own."""
    for opening, closing in MARKS:
        if closing in template or (opening in special and closing in special):
            return opening, closing
    return None


def split_reasoning(text: str, marks: tuple[str, str] | None, opened: bool = False) -> tuple[str | None, str, bool]:
    """(reasoning or None, answer, closed). `opened`: the prompt already wrote the opening mark, so the text begins
    inside. Several thoughts are joined by a blank line. An unclosed mark swallows the rest: nothing after it is an
    answer, so no parser ever reads inside it. An end mark without a beginning closes what the template had opened
    without saying so (some templates write the opening mark, and some models leave it out)."""
    if marks is None:
        return None, text, True
    opening, closing = marks
    first_open, first_close = text.find(opening), text.find(closing)
    inside = opened or (first_close >= 0 and (first_open < 0 or first_close < first_open))
    thoughts: list[str] = []
    answer: list[str] = []
    rest = text
    if inside and rest.lstrip().startswith(opening):  # the model repeats the mark that the prompt already wrote
        rest = rest.lstrip()[len(opening) :]
    while True:
        if inside:
            thought, found, rest = rest.partition(closing)
            thoughts.append(thought.strip())
            if not found:
                return _join(thoughts), "", False
        spoken, found, rest = rest.partition(opening)
        answer.append(spoken)
        if not found:
            break
        inside = True
    if not thoughts:
        return None, text, True
    return _join(thoughts), "".join(answer).strip(), True


def _join(thoughts: list[str]) -> str:
    return "\n\n".join(thought for thought in thoughts if thought)
