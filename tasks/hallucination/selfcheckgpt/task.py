"""Do passages that a model draws again agree with what it said first? (SelfCheckGPT)

`passages`: the model writes about a topic once greedily and twenty times at temperature 1; each sentence of the first
passage is checked against the draws. `wikibio`: recorded passages whose sentences people labelled, with their draws:
how well does the measure find what is inaccurate? Measures: a model's yes or no (`@prompt`), contradiction by a
classifier (`@nli`), similarity of the nearest sentence (`@bertscore`), a unigram model of all passages (`@ngram`).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evalsuite.data import Setup
from evalsuite.errors import InputError
from evalsuite.records import Completions, Metric, Request, Sample, Sampling, Score, missing, user
from evalsuite.scoring import selfcheck
from evalsuite.scoring.entailment import entails, read_contradiction
from evalsuite.scoring.selfcheck_figures import LABELS, Passage, corpus_metrics, figures

TASK = {
    "version": 1,
    "subsets": {
        "passages": "passages that the model writes on 24 topics of our own, against its own draws",
        "wikibio": "recorded biographies of GPT-3 whose sentences people labelled: is the measure right?",
    },
    "methods": ("prompt", "nli", "bertscore", "ngram"),
    "primary": {"passages": "inconsistency", "wikibio": "auc_pr_nonfact"},
    "roles": {"judge": "optional", "entailment": ["nli"], "encoder": ["bertscore"]},
    "lower_is_better": ("inconsistency", "inconsistency_official", "inconsistency_max", "unread"),
    "unit": {"inconsistency": "index", "inconsistency_max": "nats"},
    "public": "selfcheckgpt",
    "data": ["wiki_bio_gpt3_hallucination (Hub: potsawee/wiki_bio_gpt3_hallucination), or a file with its fields"],
}
FILES = ("wikibio_scored.jsonl", "dataset.json", "wiki_bio_gpt3_hallucination.jsonl")
# The dataset's names, and those of a replication that recorded scores with it.
FIELDS = {"passage": ("gpt3_text", "main_passage"), "sentences": ("gpt3_sentences", "main_sentences")}
DRAWN = ("gpt3_text_samples", "sample_passages")
DRAWS = 20
LENGTH = 128  # tokens of a passage


def load(setup: Setup) -> Iterator[Sample]:
    if setup.subset == "passages":
        for row in setup.own():
            yield Sample(row["id"], (user(f"Write a short encyclopedia paragraph about {row['topic']}."),))
        return
    path = setup.file(*FILES)
    for index, row in enumerate(setup.each(*FILES)):
        where = f"{path}: passage {index + 1}"
        sentences, labels = _field(row, FIELDS["sentences"], where), _field(row, ("annotation",), where)
        if len(sentences) != len(labels) or not set(labels) <= set(LABELS):
            raise InputError(f"{where}: one label ({', '.join(LABELS)}) is wanted for each sentence")
        metadata = {
            "passage": _field(row, FIELDS["passage"], where),
            "sentences": sentences,
            "drawn": _field(row, DRAWN, where),
        }
        yield Sample(f"wikibio-{row.get('dataset_idx', index)}", (user(metadata["passage"]),), list(labels), metadata)


def _field(row: Mapping[str, Any], names: Sequence[str], where: str) -> Any:
    found = next((row[name] for name in names if name in row), None)
    if found is None:
        raise InputError(f"{where} has no '{names[0]}' (fields of wiki_bio_gpt3_hallucination)")
    return found


def prompt(sample: Sample, setup: Setup) -> list[Request]:
    if sample.target is not None:
        return _checks(sample.metadata["sentences"], sample.metadata["drawn"], setup)
    draw = Sampling(max_tokens=LENGTH, temperature=1.0, seed=setup.seed)
    main = Request("generate", sample.messages, key="main", sampling=Sampling(max_tokens=LENGTH))
    drawn = [Request("generate", sample.messages, key=f"draw {j}", repeat=j, sampling=draw) for j in range(DRAWS)]
    return [main, *drawn]


def follow_up(sample: Sample, completions: Completions, setup: Setup) -> list[Request]:
    if sample.target is not None or any(key.startswith("check ") for key in completions):
        return []
    return _checks(*_written(sample, completions)[1:], setup)


def _written(sample: Sample, completions: Completions) -> tuple[str, list[str], list[str]]:
    """The passage, its sentences, and the passages that were drawn; empty draws take no part."""
    if sample.target is not None:
        return sample.metadata["passage"], sample.metadata["sentences"], sample.metadata["drawn"]
    drawn = [completions[f"draw {j}"].text.strip() for j in range(DRAWS)]
    passage = completions["main"].text.strip()
    return passage, selfcheck.sentences(passage), [text for text in drawn if text]


def _checks(sentences: Sequence[str], drawn: Sequence[str], setup: Setup) -> list[Request]:
    """What the method asks: "check I J" for sentence I and draw J; "check I" and "check drawn J K" are embedded."""
    if setup.method == "ngram":
        return []
    if setup.method == "bertscore":
        texts = {f"check {i}": text for i, text in enumerate(sentences)}
        texts |= {f"check drawn {j} {k}": text for j, d in enumerate(drawn) for k, text in enumerate(_compared(d))}
        return [Request("embed", (user(text),), key=key, role="encoder") for key, text in texts.items()]
    pairs = [(f"check {i} {j}", s, d) for i, s in enumerate(sentences) for j, d in enumerate(drawn)]
    if setup.method == "nli":
        return [entails(sentence, passage, key) for key, sentence, passage in pairs]  # the order of the published code
    role: Any = "judge" if "judge" in setup.roles and setup.subset == "passages" else "subject"
    short = Sampling(max_tokens=16)
    return [
        Request("generate", (user(_asked(s, d)),), key=key, role=role, sampling=short, quotes=True)
        for key, s, d in pairs
    ]


def _compared(passage: str) -> list[str]:
    return [s for s in selfcheck.sentences(passage) if len(selfcheck.tokens(s)) >= selfcheck.SHORTEST]


def _asked(sentence: str, passage: str) -> str:
    return (
        f"Passage: {passage}\n\nSentence: {sentence}\n\nDoes the passage support the sentence? Reply Yes or No.\nReply:"
    )


def score(sample: Sample, completions: Completions, setup: Setup) -> dict[str, Score]:
    passage, sentences, drawn = _written(sample, completions)
    if not sentences or not drawn:
        return {"inconsistency": missing("empty")}
    if setup.method == "ngram":
        both = selfcheck.ngram_scores(sentences, passage, drawn)
        costs = _passage(sample, [_finite(mean) for mean, _ in both])
        return {"inconsistency": costs, "inconsistency_max": _passage(sample, [_finite(most) for _, most in both])}
    if setup.method == "bertscore":
        return {"inconsistency": _passage(sample, _nearest(len(sentences), completions))}
    answers = [_answers(i, completions) for i in range(len(sentences))]
    if setup.method == "nli":
        values = [[v for c in answer if (v := read_contradiction(c)) is not None] for answer in answers]
        return {"inconsistency": _passage(sample, [selfcheck.mean(row) for row in values])}
    values = [[v for c in answer if (v := selfcheck.prompt_value(c.text)) is not None] for answer in answers]
    official = [[selfcheck.prompt_value_official(c.text) for c in answer] for answer in answers]
    asked, read = sum(map(len, official)), sum(map(len, values))
    return {
        "inconsistency": _passage(sample, [selfcheck.mean(row) for row in values]),
        "inconsistency_official": _passage(sample, [selfcheck.mean(row) for row in official]),
        "unread": Score(1 - read / asked if asked else 0.0, weight=asked),
    }


def _answers(sentence: int, completions: Completions) -> list[Any]:
    """What was answered on a sentence, one completion for each draw."""
    return [completions[key] for key in completions if key.startswith(f"check {sentence} ")]


def _nearest(n: int, completions: Completions) -> list[float | None]:
    drawn: dict[str, list[Any]] = {}
    for key in completions:
        if key.startswith("check drawn ") and completions[key].embedding:
            drawn.setdefault(key.split()[2], []).append(completions[key].embedding)
    rows = [completions[f"check {i}"].embedding for i in range(n)]
    return [selfcheck.nearest(row, list(drawn.values())) if row else None for row in rows]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _passage(sample: Sample, values: Sequence[float | None]) -> Score:
    """The mean over sentences that have a score, as heavy as they are many; all of them in the details."""
    known = [value for value in values if value is not None]
    if not known:
        return missing("unparsable")
    return Score(math.fsum(known) / len(known), weight=len(known), details={"sentences": list(values)})


def metrics(rows: Sequence[tuple[Sample, Mapping[str, Score]]], setup: Setup) -> list[Metric]:
    """Against people's labels (`wikibio`): areas under the precision-recall curve, and correlations of passages."""
    if setup.subset != "wikibio":
        return []
    scored = [(s, scores["inconsistency"]) for s, scores in rows if "inconsistency" in scores]
    passages = [labelled(sample, score.details.get("sentences", ())) for sample, score in scored]
    return corpus_metrics(setup.task, passages, primary="auc_pr_nonfact")


def labelled(sample: Sample, scores: Sequence[float | None]) -> Passage:
    """The sentences of a passage that have a score, with their labels."""
    pairs = [(LABELS[y], v) for y, v in zip(sample.target, scores, strict=False) if v is not None]
    return Passage(tuple(y for y, _ in pairs), tuple(v for _, v in pairs))


LAW = "draws that repeat the passage are more consistent with it than draws that speak of something else"


def law(setup: Setup) -> list[str]:
    """Sentences are scored lower against the passage itself than against another one."""
    given = ["Ada Lovelace was born in London in 1815."]
    same, other = selfcheck.ngram_scores(given, given[0], given)[0], selfcheck.ngram_scores(given, "x y z", ["u"])[0]
    faults = [] if same < other else ["ngram: repeated words cost more than absent ones"]
    own, far = [[(1.0, 0.0), (0.0, 1.0)]], [[(-1.0, 0.5), (0.5, -1.0)]]
    near, away = (selfcheck.nearest(own[0], [vectors]) for vectors in (own, far))
    if near is None or away is None or not near < away:
        faults.append("bertscore: equal vectors are farther than opposite ones")
    perfect = [Passage((0.0, 0.5, 1.0), (0.1, 0.5, 0.9)), Passage((0.0, 1.0), (0.2, 0.8))]
    if (area := figures(perfect)["auc_pr_nonfact"].value) is None or abs(area - 1) > 1e-9:
        faults.append("figures: a perfect ranking has no area of 1")
    return faults


PARSER = [
    {
        "function": selfcheck.prompt_value,
        "table": [("Yes", 0.0), ("no.", 1.0), ("**No**", 1.0), ("Yes or no", None), ("North", None), ("", None)],
    },
    {
        "function": selfcheck.prompt_value_official,
        "table": [("Yes", 0.0), (" NO, it does not", 1.0), ("North", 1.0), ("**No**", 0.5), ("", 0.5)],
    },
]
