"""Does the model recognise a made-up text? (HaluEval: answers, dialogue turns, summaries, general replies)

A row of `qa`, `dialogue` and `summarization` has a right and a hallucinated text. The benchmark flips a coin (without a
seed) for which of the two is shown; here both are, so that a constant "Yes" or "No" shows in `pair_acc` and `yes_rate`.
`general` has one reply of ChatGPT to each query, judged by people. "Yes" means hallucinated.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evalsuite.data import Setup
from evalsuite.data.official import official_text
from evalsuite.errors import InputError
from evalsuite.records import Completions, Request, Sample, Sampling, Score, missing, user
from evalsuite.scoring.health import why_unread
from evalsuite.scoring.recognition import constants, official, recognition
from evalsuite.scoring.verdicts import yes_no

TASK = {
    "version": 1,
    "subsets": {
        "qa": "answers to multi-hop questions, right and hallucinated",
        "dialogue": "turns of a conversation, right and hallucinated",
        "summarization": "summaries of news, right and hallucinated",
        "general": "ChatGPT's replies to users' queries, judged by people",
    },
    "variants": ("official", "knowledge"),
    "primary": "acc",
    "lower_is_better": ("unparsed",),
    "public": "halueval",
    "data": ["{qa,dialogue,summarization,general}_data.json of HaluEval (github.com/RUCAIBox/HaluEval, data/)"],
    "schema_only": ("dialogue", "summarization"),
    "hub": {
        "qa": "hf:pminervini/HaluEval@12a856119f03975a94509091e8cada3e6be6ead7/qa/data-00000-of-00001.parquet",
        "dialogue": "hf:pminervini/HaluEval@12a856119f03975a94509091e8cada3e6be6ead7/dialogue/"
        "data-00000-of-00001.parquet",
        "summarization": "hf:pminervini/HaluEval@12a856119f03975a94509091e8cada3e6be6ead7/summarization/"
        "data-00000-of-00001.parquet",
        "general": "hf:pminervini/HaluEval@12a856119f03975a94509091e8cada3e6be6ead7/general/"
        "data-00000-of-00001.parquet",
    },
}
# What is shown, the text's name in the fields right_NAME and hallucinated_NAME, the benchmark's marks for both, ours.
SHAPES = {
    "qa": ("question", "answer", "#Question#", "#Answer#", "Question", "Answer"),
    "dialogue": ("dialogue_history", "response", "#Dialogue History#", "#Response#", "Conversation", "Next turn"),
    "summarization": ("document", "summary", "#Document#", "#Summary#", "Document", "Summary"),
    "general": ("user_query", "chatgpt_response", "", "", "Query", "Reply"),
}
ASKED = {
    "qa": "Does this answer state something false or made up, or fail to answer the question? "
    "Reply with one word: Yes if it does, No if the answer is right.",
    "dialogue": "Does the next turn state something false or made up? Reply with one word: Yes if it does, No if not.",
    "summarization": "Does the summary state something that the document does not say, or says otherwise? "
    "Reply with one word: Yes if it does, No if not.",
    "general": "Does the reply state something false, made up or impossible to verify? "
    "Reply with one word: Yes if it does, No if not.",
}
LONG = 5  # words: right answers of `qa` are short spans


def load(setup: Setup) -> Iterator[Sample]:
    data = f"{setup.subset}_data"
    files = (f"{data}.json", f"{data}.jsonl", f"data/{data}.json", f"{setup.subset}.jsonl", f"{data}_part.jsonl.gz")
    path, shown = setup.file(*files), SHAPES[setup.subset][0]
    for index, row in enumerate(setup.each(*files)):
        texts, target = _texts(row, setup.subset, f"{path}: row {index + 1}")
        # A part of the file keeps its rows' numbers in the whole. The field ID of `general` is not unique.
        yield Sample(
            id=f"{setup.subset}-{row.get('row', index)}",
            messages=(user(row[shown]),),
            target=target,
            metadata={**texts, "knowledge": row.get("knowledge", "")},
        )


def _texts(row: Mapping[str, Any], subset: str, place: str) -> tuple[dict[str, str], dict[str, str]]:
    """The texts of a row and whether each is hallucinated, both by request key."""
    shown, name, *_ = SHAPES[subset]
    pair = {kind: f"{kind}_{name}" for kind in ("right", "hallucinated")}
    fields = {"answer": name} if subset == "general" else pair
    label = "hallucination" if "hallucination" in row else "hallucination_label"  # the README's name for it
    wanted = [shown, *fields.values(), *([label] if subset == "general" else [])]
    if absent := [field for field in wanted if field not in row]:
        raise InputError(f"{place} has no '{absent[0]}' (fields of HaluEval's {subset}_data.json)")
    texts = {key: row[field] for key, field in fields.items()}
    if subset != "general":
        return texts, {"right": "No", "hallucinated": "Yes"}
    if str(row[label]).lower() not in ("yes", "no"):
        raise InputError(f"{place}: '{label}' is {row[label]!r}, not yes or no")
    return texts, {"answer": str(row[label]).capitalize()}


def prompt(sample: Sample, setup: Setup) -> list[Request]:
    return [
        Request("generate", (user(_text(sample, key, setup)),), key=key, sampling=Sampling(max_tokens=16), quotes=True)
        for key in sample.target
    ]


def _text(sample: Sample, key: str, setup: Setup) -> str:
    context, answer = sample.messages[0]["content"], sample.metadata[key]
    _, _, first, second, ours, text = SHAPES[setup.subset]
    if setup.variant == "official":
        if setup.subset == "general":
            raise InputError("halueval/general has no official prompt: the benchmark's files have one for the others")
        instruction = official_text(setup.official, "halueval", f"{setup.subset}_evaluation_instruction")
        return f"{instruction}\n\n{first}: {context}\n{second}: {answer}\n#Your Judgement#:"
    if setup.variant == "knowledge" and not sample.metadata["knowledge"]:
        raise InputError(f"halueval/{setup.subset}:knowledge: {sample.id} has no knowledge (qa and dialogue have it)")
    knowledge = f"Background: {sample.metadata['knowledge']}\n\n" if setup.variant == "knowledge" else ""
    return f"{knowledge}{ours}: {context}\n{text}: {answer}\n\n{ASKED[setup.subset]}\nReply:"


def score(sample: Sample, completions: Completions) -> dict[str, Score]:
    truth = {key: label == "Yes" for key, label in sample.target.items()}
    said = {key: yes_no(completions[key].text) for key in truth}
    why = {key: why_unread(completions[key]) for key in truth}
    failed = any(completions[key].error for key in truth)
    read = {key: official_verdict(completions[key].text) for key in truth}
    # By the benchmark's rule a judgement that was given and not read is wrong; one that never came is not.
    return {
        **recognition(truth, said, why),
        "acc_official": missing("backend_error") if failed else official(truth, read),
    }


def official_verdict(text: str) -> bool | None:
    """The benchmark's parser: exactly one of the substrings "Yes" and "No", after full stops are deleted. Takes "None",
    "Not" and "Now" for No, and reads neither "yes" nor "NO"."""
    text = text.replace(".", "")
    yes, no = "Yes" in text, "No" in text
    return None if yes == no else yes


def baselines(samples: Sequence[Sample], setup: Setup) -> dict[str, dict[str, float]]:
    """Constant verdicts, and length: the longer text of a pair (ties half), or five words or more, is hallucinated."""
    found = constants([label == "Yes" for sample in samples for label in sample.target.values()])
    if setup.subset == "general":
        return found
    gaps = [len(s.metadata["hallucinated"]) - len(s.metadata["right"]) for s in samples]
    found["pair_acc"] = {"coin": 0.25, "longer": sum((g > 0) + (g == 0) / 2 for g in gaps) / len(gaps)}
    if setup.subset == "qa":
        long = [len(s.metadata[key].split()) >= LONG for s in samples for key in s.target]
        truth = [label == "Yes" for s in samples for label in s.target.values()]
        found["acc"][f"{LONG} words"] = sum(a == b for a, b in zip(long, truth, strict=True)) / len(truth)
    return found


def gold(sample: Sample) -> dict[str, str]:
    return dict(sample.target)


def near_miss(sample: Sample) -> dict[str, str]:
    """Suspects everything; of a single text, says the opposite."""
    if len(sample.target) == 1:
        return {key: "No" if label == "Yes" else "Yes" for key, label in sample.target.items()}
    return dict.fromkeys(sample.target, "Yes")


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
