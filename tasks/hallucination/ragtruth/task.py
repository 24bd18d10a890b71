"""Does the model stay with its source, and does it find the spans where others did not? (RAGTruth)

`qa`, `data2txt` and `summary`: the model answers from a source; a judge lists the spans of its answer that the source
does not support. `detect_*`: the model itself lists such spans in the recorded responses of six models, against what
people marked: which responses have one (F1), and which characters.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from evalsuite.data import Setup
from evalsuite.data.grounded import source_text, sources
from evalsuite.judging.quoting import block, quote
from evalsuite.records import Completion, Completions, Request, Sample, Sampling, Score, missing, user
from evalsuite.scoring.health import why_unread
from evalsuite.scoring.recognition import constants, recognition, share
from evalsuite.scoring.spans import LIST_KEY, covered, located, overlap, read_spans, read_spans_official

TASK = {
    "version": 1,
    "subsets": {
        "qa": "answers from passages, judged for unsupported spans",
        "data2txt": "overviews of a business from structured data, judged for unsupported spans",
        "summary": "summaries of news, judged for unsupported spans",
        "detect_qa": "unsupported spans in recorded answers, found by the model",
        "detect_data2txt": "unsupported spans in recorded overviews, found by the model",
        "detect_summary": "unsupported spans in recorded summaries, found by the model",
    },
    "primary": {
        "qa": "hallucinated",
        "data2txt": "hallucinated",
        "summary": "hallucinated",
        "detect_qa": "f1_yes",
        "detect_data2txt": "f1_yes",
        "detect_summary": "f1_yes",
    },
    "roles": {"judge": ["qa", "data2txt", "summary"]},
    "lower_is_better": ("hallucinated", "spans", "chars_hallucinated", "unparsed", "lost"),
    "unit": {"spans": "spans"},
    "public": "ragtruth",
    "data": ["response.jsonl and source_info.jsonl of RAGTruth (github.com/ParticleMedia/RAGTruth, dataset/)"],
    "schema_only": ("summary", "detect_summary"),
}
SPAN_KINDS = ("conflict", "baseless")
KINDS = {"qa": "QA", "data2txt": "Data2txt", "summary": "Summary"}
WRITE = {
    "qa": "Answer the question from the passages alone. Where they do not hold the answer, say so.",
    "data2txt": "Write an overview of this business in about 150 words, from the data alone.",
    "summary": "Summarise the article in about 100 words.",
}
FIND = (
    "Find every part of the response that the source contradicts, or that the source does not support. Quote each part "
    f'exactly as it stands in the response. Reply with JSON alone: {{"{LIST_KEY}": ["first part", "second part"]}}, '
    f'with an empty list where everything is supported: {{"{LIST_KEY}": []}}.'
)


def load(setup: Setup) -> Iterator[Sample]:
    kind = setup.subset.removeprefix("detect_")
    detects = kind != setup.subset
    files = (f"ragtruth_{kind}.jsonl", "response.jsonl", "dataset/response.jsonl")
    for row in sources(setup, files, KINDS[kind]):
        source = source_text(row["source"])
        if not detects:
            marked = {r["model"]: bool(r["labels"]) for r in row["responses"]}
            yield Sample(f"{row['source_id']}", (user(source),), metadata={"kind": kind, "marked": marked})
            continue
        for response in row["responses"]:
            spans = [[label["start"], label["end"], label["label_type"]] for label in response["labels"]]
            metadata = {"kind": kind, "response": response["response"], "model": response["model"]}
            yield Sample(f"{row['source_id']}-{response['model']}", (user(source),), spans, metadata)


def prompt(sample: Sample) -> list[Request]:
    if sample.target is not None:
        return [_find(sample, sample.metadata["response"], "answer", "subject")]
    text = f"{sample.messages[0]['content']}\n\n{WRITE[sample.metadata['kind']]}"
    return [Request("generate", (user(text),), sampling=Sampling(max_tokens=384))]


def _find(sample: Sample, response: str, key: str, role: Any) -> Request:
    texts = {"source": str(sample.messages[0]["content"]), "response": response}
    blocks = [block(tag, quote(text, tuple(texts))) for tag, text in texts.items()]
    shown = "\n\n".join([*blocks, FIND])
    return Request("generate", (user(shown),), key=key, role=role, sampling=Sampling(max_tokens=512), quotes=True)


def follow_up(sample: Sample, completions: Completions) -> list[Request]:
    if sample.target is not None or "spans" in completions or not completions.text.strip():
        return []
    return [_find(sample, completions.text, "spans", "judge")]


def score(sample: Sample, completions: Completions) -> dict[str, Score]:
    return _written(completions) if sample.target is None else _detected(sample, completions["answer"])


def _written(completions: Completions) -> dict[str, Score]:
    """Of an answer: whether the judge found a span, how many, and their share of its characters."""
    names, text = ("hallucinated", "spans", "chars_hallucinated"), completions.text
    if not text.strip():
        return dict.fromkeys(names, missing("empty"))
    found = read_spans(completions["spans"].text) if "spans" in completions else None
    if found is None:
        return dict.fromkeys(names, missing("judge_parse"))
    return {
        "hallucinated": Score(float(bool(found)), details={"spans": list(found)}),
        "spans": Score(float(len(found))),
        "chars_hallucinated": share(covered(located(text, found)), len(text)),
    }


def _detected(sample: Sample, completion: Completion) -> dict[str, Score]:
    text, why = sample.metadata["response"], why_unread(completion)
    truth = {"response": bool(sample.target)}
    found, official = read_spans(completion.text), read_spans_official(completion.text)
    said = {"response": None if found is None else bool(found)}
    scores = recognition(truth, said, {"response": why})
    whole = {"response": None if official is None else bool(official)}
    scores["f1_yes_official"] = recognition(truth, whole, {"response": why})["f1_yes"]
    names = ("chars_precision", "chars_recall", "chars_f1", "lost", *(f"chars_recall_{kind}" for kind in SPAN_KINDS))
    return scores | (dict.fromkeys(names, missing(why)) if found is None else _characters(sample, text, found))


def _characters(sample: Sample, text: str, found: Sequence[str]) -> dict[str, Score]:
    """Overlap with the people's spans, of all kinds and by kind; quotations that do not stand in the response."""
    places = located(text, found)
    scores = overlap([(start, end) for start, end, _ in sample.target], places)
    scores["lost"] = share(len(found) - len(places), len(found))
    for kind in SPAN_KINDS:
        marked = [(start, end) for start, end, label in sample.target if kind in label.lower()]
        scores[f"chars_recall_{kind}"] = share(covered(marked, places), covered(marked))
    return scores


def baselines(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Constant verdicts of a detector; of the generation the share of each recorded model's responses where people
    marked a span."""
    if any(sample.target is not None for sample in samples):
        return constants([bool(sample.target) for sample in samples])
    marked: dict[str, list[bool]] = {}
    for sample in samples:
        for model, wrong in sample.metadata["marked"].items():
            marked.setdefault(model, []).append(wrong)
    return {"hallucinated": {model: sum(wrong) / len(wrong) for model, wrong in marked.items()}}


def gold(sample: Sample) -> str | dict[str, str]:
    """The people's spans; of the generation an answer that says nothing, in which the judge finds nothing."""
    if sample.target is None:
        return {"answer": "The source does not say.", "spans": _listed([])}
    return _listed([sample.metadata["response"][start:end] for start, end, _ in sample.target])


def near_miss(sample: Sample) -> str | dict[str, str]:
    """Suspects every response; an answer with one unsupported span."""
    if sample.target is None:
        return {"answer": "The source does not say.", "spans": _listed(["does not say"])}
    return _listed([sample.metadata["response"]])


def _listed(spans: Sequence[str]) -> str:
    return json.dumps({LIST_KEY: list(spans)})


PARSER = [
    {
        "function": read_spans,
        "table": [
            ('{"hallucination list": ["a b", "c"]}', ("a b", "c")),
            ('{"hallucination list": []}', ()),
            ('Here it is:\n```json\n{"hallucination list": ["a"]}\n```\nDone.', ("a",)),
            ('I found {"hallucination list": ["a [b] {c}"]}.', ("a [b] {c}",)),
            ('{"hallucination list": ["a", "a", " "]}', ("a",)),
            ('["a"]', ("a",)),
            ('{"hallucination list": "a"}', None),
            ('{"hallucination list": ["a"', None),
            ('{"hallucination list": ["a"]} {"hallucination list": []}', None),
            ('{"other": ["a"]}', None),
            ("There are none.", None),
            ("", None),
        ],
    },
    {
        "function": read_spans_official,
        "table": [
            ('{"hallucination list": ["a b", "c"]}', ("a b", "c")),
            ('```json\n{"hallucination list": ["a"]}\n```', None),
            ('{"other": ["a"]}', ()),
            ("[]", None),
            ("", None),
        ],
    },
]
