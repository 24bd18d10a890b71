"""Scores given again: a task's own scorer on the stored completions, where it stands here and is code alone.

A score in `samples.parquet` is the submitter's word until the scorer gives it again. What a scorer needs is the sample
and the completions. The sample is either the one that this installation's data has, or the stored row made a sample;
either counts as known where it gives the data hash of the manifest. A judge's replies are completions like any other:
they are read again and not asked again. Tasks that run a model's code are never scored here.

>>> rescore(run, "gsm8k", rows).differing                                           # doctest: +SKIP
{'acc': "1 of 100 scores is not what the scorer gives ('s12': 1, by the scorer 0)"}
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from evalsuite import registry
from evalsuite.data import ListHash, Setup
from evalsuite.errors import EvalsuiteError, InputError
from evalsuite.planning import Options, Task
from evalsuite.planning.samples import sample_text
from evalsuite.planning.task import bind
from evalsuite.records import Sample, Score, user
from evalsuite.running.manifest import write_score
from evalsuite.running.scored import Scored, score_sample
from evalsuite.store import Run
from evalsuite.store.responses import decode

if TYPE_CHECKING:
    import pandas as pd

CLOSE = 1e-6  # scores of one answer on two machines: sums in another order, no other verdict
SCORE = ("score", "reason", "weight", "details")  # a score's columns
Line = Mapping[str, Any]


@dataclass(frozen=True)
class Rescored:
    """`rows` with the scorer's own scores, None where it could not be asked, for `why`. `differing` says of each score
    name how the stored ones differ. `replies`: a judge's stored replies were read again. `doubts` are for readers: the
    samples are not those of this installation, or scores differ on samples that are not known, which proves nothing."""

    rows: "pd.DataFrame | None" = None
    differing: Mapping[str, str] = field(default_factory=dict)
    why: str = ""
    replies: bool = False
    doubts: tuple[str, ...] = ()


def rescore(run: Run, task: str, rows: "pd.DataFrame") -> Rescored:
    """Scores one task's rows of a run again. Never raises for what a stranger's file holds."""
    spec = run.manifest.get("tasks", {}).get(task, {})
    try:
        ref = registry.find_tasks([task])[0]
    except (InputError, IndexError):
        return Rescored(why="this installation does not have the task")
    if ref.entry.spec.get("executes"):
        return Rescored(why="its scorer runs a model's code, which no check does")
    rows = _own(rows)
    if "completions" not in rows or not rows["completions"].fillna("{}").ne("{}").any():
        return Rescored(why="the samples hold no completions")
    options = options_of(run.manifest)
    try:
        lines = lines_of(rows)
        bound, known, doubts = _bound(ref, task, lines, options, spec)
        samples = {s.id: s for s in bound.samples}
        scored = [_score(bound, samples, line) for line in lines]
    except (EvalsuiteError, ValueError, TypeError, KeyError, AttributeError) as error:
        return Rescored(why=f"the scorer could not be asked ({' '.join(str(error).split())[:200]})")
    differing = _differing(lines, scored)
    if differing and not known:
        name, said = next(iter(differing.items()))
        why = "its samples are not known to be the task's"
        return Rescored(why=why, doubts=(*doubts, f"{task} {name}: {said}; but {why}, so this proves nothing"))
    helped = any(line.get("helped") not in (None, "[]") for line in lines)
    return Rescored(_with_scores(rows, scored), differing, replies=helped, doubts=doubts)


def _own(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Without the score columns of other tasks, which stand empty in this one's rows."""
    names = [str(c).removeprefix("score.") for c in rows.columns if str(c).startswith("score.")]
    idle = [n for n in names if rows[f"score.{n}"].isna().all() and rows.get(f"reason.{n}", rows["task"]).isna().all()]
    return rows.drop(columns=[f"{kind}.{n}" for n in idle for kind in SCORE if f"{kind}.{n}" in rows])


def lines_of(rows: "pd.DataFrame") -> list[dict[str, Any]]:
    """Rows as dictionaries; what is absent is None, never NaN."""
    whole = rows.astype(object).where(rows.notna(), None).to_dict("records")
    return [{str(k): v for k, v in row.items()} for row in whole]


def sample_of(line: Line) -> Sample:
    """A stored row as a sample: its last question, target and metadata."""
    target, metadata = (json.loads(line.get(k) or "null") for k in ("target", "metadata"))
    return Sample(str(line["sample"]), (user(str(line.get("question") or "")),), target, metadata or {})


def stored_score(line: Line, name: str) -> Score | None:
    """The score of that name in a row, None where it has none."""
    value, reason = line.get(f"score.{name}"), line.get(f"reason.{name}")
    if value is None and reason is None:
        return None
    details = json.loads(line.get(f"details.{name}") or "{}")
    answer = details.pop("answer", None)
    weight = line.get(f"weight.{name}")
    return Score(value, reason, 1.0 if weight is None else float(weight), answer, details)


def setup_of(ref: registry.TaskRef, options: Options) -> Setup:
    """A task's setup without data: enough for its `score` and `metrics`."""
    entry = ref.entry
    return Setup(
        ref.id,
        entry.folder,
        ref.subset,
        ref.method,
        ref.variant,
        fewshot=options.fewshot,
        seed=options.seed,
        public=entry.spec.get("public"),
        roles=frozenset(options.helpers),
    )


def options_of(manifest: Mapping[str, Any]) -> Options:
    """The run's options as far as they are well-formed; paths of another machine are no part of them."""
    given = manifest.get("options")
    known = {k: v for k, v in given.items() if k in Options.__dataclass_fields__} if isinstance(given, Mapping) else {}
    known = {k: tuple(v) if isinstance(v, list) else v for k, v in known.items() if k not in ("data", "prompts")}
    try:
        return Options(**{"seed": int(manifest.get("seed") or 0), **known, "run_code": False})
    except (InputError, TypeError, ValueError, AttributeError):
        return Options()


def _bound(
    ref: registry.TaskRef, task: str, lines: Sequence[Line], options: Options, spec: Mapping[str, Any]
) -> tuple[Task, bool, tuple[str, ...]]:
    """The task with its samples, whether they are known to be those of the manifest's data hash, and what is doubtful:
    this installation's data win over the stored rows, which anybody may have written."""
    wanted = spec.get("data_hash")
    ours = _local(task, json.dumps(options.identity(), sort_keys=True))
    if ours is not None and ours.data_hash == wanted:
        return ours, True, ()
    doubts = (f"{task}: other samples than this installation's data of the same name",) if ours is not None else ()
    module = registry.load_module(ref.entry.folder / "task.py", "task")
    made = list({str(line["sample"]): sample_of(line) for line in lines}.values())
    return Task(ref, setup_of(ref, options), module, made), _hash(made) == wanted, doubts


def _hash(samples: Sequence[Sample]) -> str:
    made = ListHash()
    for sample in samples:
        made.add(sample_text(sample))
    return made.digest()


@lru_cache(maxsize=64)
def _local(task: str, options: str) -> Task | None:
    """The task bound to this installation's data, None where it has none. Nothing is fetched."""
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(options).items()}
    try:
        return bind(registry.find_tasks([task])[0], frozenset(), Options(**given))
    except EvalsuiteError:
        return None


def _score(task: Task, samples: Mapping[str, Sample], line: Line) -> Scored:
    sample = samples.get(str(line["sample"]))
    if sample is None:
        raise InputError(f"the data has no sample '{line['sample']}'")
    stored = json.loads(line.get("completions") or "{}")
    values = {key: tuple(decode(text) for text in texts) for key, texts in stored.items()}
    if not values:
        return None, "too_long"
    return score_sample(task, sample, values, frozenset(json.loads(line.get("helped") or "[]")))


def _differing(lines: Sequence[Line], scored: Sequence[Scored]) -> dict[str, str]:
    """Of each score name: how many stored scores the scorer does not give, and the first of them."""
    found: dict[str, list[str]] = {}
    names = [c.removeprefix("score.") for c in lines[0] if c.startswith("score.")]
    for line, (scores, _) in zip(lines, scored, strict=True):
        for name in names:
            stored = stored_score(line, name)
            given = None if scores is None else scores.get(name)
            if not _same(stored, given):
                told = f"'{str(line['sample'])[:40]}': {_text(stored)}, by the scorer {_text(given)}"
                found.setdefault(name, []).append(told)
    of = f"of {len(lines):,} scores"
    return {
        name: f"{len(told)} {of} {'is' if len(told) == 1 else 'are'} not what the scorer gives ({told[0]})"
        for name, told in found.items()
    }


def _same(stored: Score | None, given: Score | None) -> bool:
    a, b = (None if s is None else s.value for s in (stored, given))
    if a is None or b is None:
        return a is b
    assert stored is not None
    assert given is not None
    near = math.isclose(a, b, rel_tol=CLOSE, abs_tol=CLOSE)
    return near and math.isclose(stored.weight, given.weight, rel_tol=CLOSE, abs_tol=CLOSE)


def _text(score: Score | None) -> str:
    return "none" if score is None or score.value is None else f"{score.value:.6g}"


def _with_scores(rows: "pd.DataFrame", scored: Sequence[Scored]) -> "pd.DataFrame":
    """The rows with the scorer's scores in the place of the stored ones. A row that could not be scored keeps its
    stored columns: it has no value there, for a reason."""
    import pandas as pd

    names = [str(c).removeprefix("score.") for c in rows.columns if str(c).startswith("score.")]
    made: list[dict[str, Any]] = []
    for scores, reason in scored:
        line: dict[str, Any] = {}
        for name in names:
            if scores is None:
                write_score(line, name, Score(None, reason))
            elif name in scores:
                write_score(line, name, scores[name])
        made.append(line)
    fresh = pd.DataFrame(made, index=rows.index)
    kept = rows.drop(columns=[c for c in rows.columns if str(c).partition(".")[0] in SCORE and "." in str(c)])
    return pd.concat([kept, fresh], axis=1)
