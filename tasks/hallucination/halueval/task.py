"""Does the model recognise a made-up answer? (HaluEval, question answering)

Each row has a question, a right and a hallucinated answer. The benchmark flips a coin (without a seed) for which of
the two is shown; here both are, so that a constant "Yes" or "No" shows in `pair_acc` and `yes_rate`. "Yes" means
hallucinated.
"""

from collections.abc import Iterator

from evalsuite.data import Setup
from evalsuite.data.official import official_text
from evalsuite.errors import InputError
from evalsuite.records import Completions, Request, Sample, Sampling, Score, missing, user
from evalsuite.scoring.health import why_unread
from evalsuite.scoring.verdicts import yes_no

TASK = {
    "version": 1,
    "subsets": {"qa": "answers to multi-hop questions, right and hallucinated"},
    "variants": ("official", "knowledge"),
    "primary": "acc",
    "public": "halueval",
    "data": ["qa_data.json of HaluEval (github.com/RUCAIBox/HaluEval, data/)"],
    # Length: saying Yes to every answer of five words or more (on the 800 rows that the card names).
    "baselines": {"acc": {"coin": 0.5, "length": 0.950625}, "acc_official": {"coin": 0.5}, "pair_acc": {"coin": 0.25}},
}
FILES = ("qa_data.json", "qa_data.jsonl", "data/qa_data.json", "qa_data_part.jsonl.gz")
FIELDS = ("question", "right_answer", "hallucinated_answer")
HALLUCINATED = {"right": False, "hallucinated": True}  # by request key
QUESTION = (
    "Does this answer state something false or made up, or fail to answer the question? "
    "Reply with one word: Yes if it does, No if the answer is right.\nReply:"
)


def load(setup: Setup) -> Iterator[Sample]:
    path = setup.file(*FILES)
    for index, row in enumerate(setup.rows(*FILES)):
        if absent := [name for name in FIELDS if name not in row]:
            raise InputError(f"{path}: row {index + 1} has no '{absent[0]}' (fields of HaluEval's qa_data.json)")
        yield Sample(
            id=f"qa-{row.get('row', index)}",  # a part of the file keeps its rows' numbers in the whole
            messages=(user(row["question"]),),
            target={"right": "No", "hallucinated": "Yes"},
            metadata={
                "right": row["right_answer"],
                "hallucinated": row["hallucinated_answer"],
                "knowledge": row.get("knowledge", ""),
            },
        )


def prompt(sample: Sample, setup: Setup) -> list[Request]:
    return [
        Request("generate", (user(_text(sample, key, setup)),), key=key, sampling=Sampling(max_tokens=16))
        for key in HALLUCINATED
    ]


def _text(sample: Sample, key: str, setup: Setup) -> str:
    question, answer = sample.messages[0]["content"], sample.metadata[key]
    if setup.variant == "official":
        instruction = official_text(setup.official, "halueval", "qa_evaluation_instruction")
        return f"{instruction}\n\n#Question#: {question}\n#Answer#: {answer}\n#Your Judgement#:"
    knowledge = f"Background: {sample.metadata['knowledge']}\n\n" if setup.variant == "knowledge" else ""
    return f"{knowledge}Question: {question}\nAnswer: {answer}\n\n{QUESTION}"


def score(sample: Sample, completions: Completions) -> dict[str, Score]:
    said = {key: yes_no(completions[key].text) for key in HALLUCINATED}
    read = {key: verdict for key, verdict in said.items() if verdict is not None}
    official = _official(completions)
    unread = [why_unread(completions[key]) for key in HALLUCINATED if key not in read]
    words = {key: "Yes" if verdict else "No" for key, verdict in read.items()}
    if not read:
        names = ("acc", "pair_acc", "yes_rate", "precision_yes", "recall_yes")
        return {"acc_official": official, **{name: missing(unread[0]) for name in names}}
    right = [verdict == HALLUCINATED[key] for key, verdict in read.items()]
    yes = [key for key, verdict in read.items() if verdict]
    found = "hallucinated" in yes
    return {
        "acc": Score(sum(right) / len(right), weight=len(right), answer=" | ".join(words.values()), details=words),
        "acc_official": official,
        "pair_acc": missing(unread[0]) if unread else Score(float(all(right))),
        "yes_rate": Score(len(yes) / len(read), weight=len(read)),
        "precision_yes": Score(found / len(yes) if yes else 0.0, weight=len(yes)),
        "recall_yes": Score(float(found)) if "hallucinated" in read else missing(unread[0]),
    }


def _official(completions: Completions) -> Score:
    """The benchmark's accuracy: an unread judgement is a wrong one."""
    if any(completions[key].error for key in HALLUCINATED):
        return missing("backend_error")
    right = [official_verdict(completions[key].text) is wanted for key, wanted in HALLUCINATED.items()]
    return Score(sum(right) / len(right), weight=len(right))


def official_verdict(text: str) -> bool | None:
    """The benchmark's parser: exactly one of the substrings "Yes" and "No", after full stops are deleted. Takes "None",
    "Not" and "Now" for No, and reads neither "yes" nor "NO"."""
    text = text.replace(".", "")
    yes, no = "Yes" in text, "No" in text
    return None if yes == no else yes


def gold(sample: Sample) -> dict[str, str]:
    return dict(sample.target)


def near_miss(sample: Sample) -> dict[str, str]:
    """Suspects everything."""
    return dict.fromkeys(HALLUCINATED, "Yes")


PARSER = {
    "function": official_verdict,
    "table": [
        ("Yes", True),
        ("No.", False),
        ("Y.es", True),
        ("#Your Judgement#: No", False),
        ("None of it is true", False),
        ("Now that is made up", False),
        ("yes", None),
        ("NO", None),
        ("Yes or No", None),
        ("failed!", None),
        ("", None),
    ],
}
