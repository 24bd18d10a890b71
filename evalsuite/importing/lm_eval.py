"""lm-eval's logs: `results_DATE.json` with `samples_TASK_DATE.jsonl` beside it (`--output_path`, `--log_samples`).

    logs = read_logs(Path("out/my-model"))       # every results file below a folder, or one file

A row of a samples file is one document under one filter; the rows of a document become one sample, and a metric under
a filter that is not "none" keeps its own name, `exact_match,strict-match`. Samples of another run are refused: the
results hold a hash of the documents, prompts and targets of each task, and the figures, both of which must be the
samples' own. Format: lm-eval 0.4 (read against 0.4.13).
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evalsuite.data import fingerprint
from evalsuite.errors import InputError
from evalsuite.importing.foreign import (
    Answer,
    Claim,
    ForeignLog,
    ForeignTask,
    checked_name,
    model_fields,
    task_id,
    whole_version,
)
from evalsuite.importing.reading import json_file, json_lines, want
from evalsuite.records import Completion, Score

HARNESS = "lm-eval"
FILES = 1_000
PROTOCOL = (
    *("doc_to_text", "doc_to_choice", "doc_to_target", "description", "gen_prefix", "output_type"),
    *("target_delimiter", "fewshot_delimiter", "num_fewshot", "fewshot_split", "fewshot_config"),
)
ASKED = ("question", "query", "problem", "instruction", "prompt", "input", "ctx", "text")
"""Fields of a document that hold what is asked, the likeliest first."""
UNREAD = "[invalid]"
"""What lm-eval's filters leave where they find nothing."""
Row = Mapping[str, Any]


def read_logs(path: Path) -> list[ForeignLog]:
    """Raises InputError where there is no results file, or one is damaged or belongs to other samples."""
    if path.is_dir():
        found = sorted(p for p in path.rglob("*.json") if p.name.startswith("results"))
        if not found:
            raise InputError(f"{path}: holds no results_*.json of lm-eval (run it with --output_path, --log_samples)")
        if len(found) > FILES:
            raise InputError(f"{path}: {len(found):,} results files; give a folder of at most {FILES:,}")
        return [_log(file) for file in found]
    if path.name.startswith("samples_") or path.suffix == ".jsonl":
        raise InputError(f"{path}: the samples of one task; give the results_*.json beside it, or its folder")
    return [_log(path)]


def _log(path: Path) -> ForeignLog:
    top = json_file(path)
    results = want(path, top, "results", dict)
    names = [n for n in results if not _is_group(n, top)]
    if not names:
        raise InputError(f"{path}: field 'results' has no task")
    groups = [n for n in results if n not in names]
    notes = [f"figures of groups ({', '.join(map(str, groups))[:200]}) are averages of tasks"] if groups else []
    beside = _samples_beside(path)
    tasks = [_task(path, top, checked_name(path, "field 'results': task", n), beside.get(n)) for n in names]
    given = top.get("config")
    config: dict[str, Any] = given if isinstance(given, dict) else {}
    files = [path, *(beside[n] for n in names if n in beside)]
    version = str(top.get("lm_eval_version") or "unknown")[:40]
    return ForeignLog(
        harness=HARNESS,
        version=version,
        path=path,
        files=files,
        model=_model(path, top, config, version),
        settings=_settings(config),
        roles={},
        tasks=tasks,
        finished=_finished(top),
        notes=tuple(notes),
        about={"packages": {"lm_eval": version, "transformers": str(top.get("transformers_version"))[:40]}},
    )


def _is_group(name: str, top: Row) -> bool:
    return name in (top.get("groups") or {}) or bool((top.get("group_subtasks") or {}).get(name))


def _samples_beside(path: Path) -> dict[str, Path]:
    """Sample files of the same date, by task. Names come from the folder, none is made of what a log says."""
    _, sign, date = path.stem.rpartition("_")
    end = f"_{date}.jsonl" if sign else ".jsonl"
    files = [p for p in path.parent.glob("samples_*") if p.name.endswith(end) and p.is_file()]
    return {p.name.removeprefix("samples_").removesuffix(end): p for p in files}


def _model(path: Path, top: Row, config: Row, version: str) -> dict[str, Any]:
    args = _arguments(config.get("model_args"))
    given = top.get("model_name") or args.get("pretrained") or args.get("model")
    address = checked_name(path, "field 'model_name'", given)
    named = [HARNESS, address, *(str(v) for v in (config.get("model_sha"), args.get("peft"), args.get("revision")))]
    template = top.get("chat_template_sha")
    return model_fields(
        address,
        fingerprint(named),
        f"{HARNESS} {version}: {str(top.get('model_source') or config.get('model') or 'unknown')[:40]}",
        ("chat template", str(template)) if template else ("raw", None),
        top.get("system_instruction") if isinstance(top.get("system_instruction"), str) else None,
        dtype=str(args.get("dtype") or config.get("model_dtype") or "") or None,
        parameters=config.get("model_num_parameters"),
    )


def _arguments(value: Any) -> dict[str, Any]:
    """`model_args` is an object, or text like "pretrained=X,dtype=float32" in older logs."""
    if isinstance(value, dict):
        return value
    parts = (part.partition("=") for part in str(value or "").split(","))
    return {key.strip(): text for key, sign, text in parts if sign}


def _settings(config: Row) -> dict[str, Any]:
    seeds = {k: config.get(k) for k in ("random_seed", "numpy_seed", "torch_seed", "fewshot_seed")}
    seed = config.get("random_seed")
    return {
        "sampling": {"gen_kwargs": config.get("gen_kwargs") or {}, "seeds": seeds},
        "seed": seed if isinstance(seed, int) else 0,
        "limit": config.get("limit"),
    }


def _finished(top: Row) -> str:
    start, took = top.get("date"), _number(top.get("total_evaluation_time_seconds"))
    if not isinstance(start, int | float) or not 0 < start < 4e9:
        return ""
    return datetime.fromtimestamp(start + (took or 0.0), UTC).isoformat(timespec="seconds")


def _task(path: Path, top: Row, name: str, samples: Path | None) -> ForeignTask:
    figures = want(path, top["results"], name, dict, "results")
    config = (top.get("configs") or {}).get(name) or {}
    directions = (top.get("higher_is_better") or {}).get(name) or {}
    shots = (top.get("n-shot") or {}).get(name) or 0
    counts = (top.get("n-samples") or {}).get(name) or {}
    expected = counts.get("effective") or figures.get("sample_len") or 0
    claims = _claims(path, name, figures, config, int(expected))
    if not claims:
        raise InputError(f"{path}: field 'results.{name}' has no figure")
    unsaid = sorted({c.metric.partition(",")[0] for c in claims} - {k for k, v in directions.items() if v is not None})
    notes = (
        [f"{name}: the log does not say whether higher is better for {', '.join(unsaid)}: taken so"] if unsaid else []
    )
    version = whole_version((top.get("versions") or {}).get(name))
    known = [c.metric for c in claims]
    expected_hash = (top.get("task_hashes") or {}).get(name)
    fewshot_seed = (top.get("config") or {}).get("fewshot_seed")
    return ForeignTask(
        id=task_id(HARNESS, name, version, f"{shots}shot" if shots else ""),
        name=name,
        version=version,
        claims=claims,
        answers=None if samples is None else lambda: _answers(samples, path, name, known, config, expected_hash),
        primary=known[0],
        lower=frozenset(m for m in known if directions.get(m.partition(",")[0]) is False),
        expected=int(expected),
        protocol=[{k: config.get(k) for k in PROTOCOL}, shots, fewshot_seed if shots else None],
        sampling=config.get("generation_kwargs") or {},
        notes=tuple(notes),
    )


def _claims(path: Path, task: str, figures: Row, config: Row, n: int) -> list[Claim]:
    """The task's own figures, in the log's order; a filter called "none" is left out of the name."""
    means = {
        str(m.get("metric"))
        for m in config.get("metric_list") or ()
        if isinstance(m, Mapping) and m.get("aggregation") == "mean"
    }
    found = []
    for key, value in figures.items():
        metric, sign, filtered = key.partition(",")
        number = _number(value)
        if not sign or metric.endswith("_stderr") or number is None:
            continue
        checked_name(path, f"field 'results.{task}': metric", key)
        stderr = _number(figures.get(f"{metric}_stderr,{filtered}"))
        found.append(Claim(metric if filtered == "none" else key, number, stderr, n, metric in means))
    return found


def _answers(
    samples: Path, results: Path, task: str, metrics: Sequence[str], config: Row, expected_hash: Any
) -> list[Answer]:
    """The samples of a task. Raises InputError where a row is damaged, stands twice, or is not of these results."""
    first: dict[str, Answer] = {}
    scores: dict[str, dict[str, Score]] = {}
    hashed: Any = hashlib.sha256() if isinstance(expected_hash, str) else None
    for number, row in json_lines(samples):
        where = f"{samples}:{number}"
        key, filtered = _key(where, row), str(row.get("filter", "none"))
        if hashed is not None:
            hashed.update(
                "".join(want(where, row, f"{part}_hash", str) for part in ("doc", "prompt", "target")).encode()
            )
        if key not in first:
            scores[key] = {}
            first[key] = _answer(where, key, row, str(config.get("output_type") or ""), scores[key])
        for name, score in _scores(where, row, filtered, metrics):
            if name in scores[key]:
                raise InputError(f"{where}: document {key} stands twice under the filter '{filtered[:60]}'")
            scores[key][name] = score
    if hashed is not None and hashed.hexdigest() != expected_hash:
        raise InputError(
            f"{samples}: not the samples of {results.name}: field 'task_hashes.{task}' there is the hash of other "
            "documents, prompts or targets (or of more of them)"
        )
    return list(first.values())


def _key(where: str, row: Row) -> str:
    value = row.get("doc_id")
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InputError(f"{where}: field 'doc_id' is missing or no number")
    return str(value)


def _scores(where: str, row: Row, filtered: str, metrics: Sequence[str]) -> Iterator[tuple[str, Score]]:
    read = row.get("filtered_resps")
    answer = read[0] if isinstance(read, list) and read and isinstance(read[0], str) else None
    unread = answer is not None and answer.strip() == UNREAD
    found = False
    for name in metrics:
        metric, _, under = name.partition(",")
        if (under or "none") != filtered:
            continue
        found = True
        if metric not in row:
            raise InputError(f"{where}: field '{metric}' is missing, a metric of the results")
        value = row[metric]
        if isinstance(value, int | float):  # lists are what a corpus figure is made of
            number = float(value)
            if math.isfinite(number):
                yield name, Score(number, "unparsable" if unread else None, answer=None if unread else answer)
    if not found:
        raise InputError(f"{where}: field 'filter' is '{filtered[:60]}', under which the results have no figure")


def _answer(where: str, key: str, row: Row, kind: str, scores: Mapping[str, Score]) -> Answer:
    asked = list(_asked(want(where, row, "arguments", object)))
    if not asked:
        raise InputError(f"{where}: field 'arguments' has no request")
    responses = want(where, row, "resps", list)
    doc = row.get("doc")
    metadata = doc if isinstance(doc, dict) else {"doc": doc}
    prompt = str(asked[0][0])
    rolling = kind == "loglikelihood_rolling" or len(asked[0]) == 1
    return Answer(
        sample=key,
        repeat=0,
        question=_question(metadata, prompt),
        prompt="" if rolling else prompt,
        completions=tuple(
            c for request, some in zip(asked, responses, strict=False) for c in _completions(request, some)
        ),
        target=row.get("target"),
        metadata=metadata,
        scores=scores,
        place=where,
    )


def _asked(arguments: Any) -> Iterator[Sequence[Any]]:
    """Each request's arguments: an object of objects since 0.4.3, lists of lists before."""
    requests = arguments.values() if isinstance(arguments, dict) else arguments if isinstance(arguments, list) else ()
    for request in requests:
        parts = list(request.values()) if isinstance(request, dict) else request
        if isinstance(parts, list) and parts:
            yield parts


def _completions(request: Sequence[Any], responses: Any) -> Iterator[Completion]:
    """A text for each draw of a generation; the log-likelihood of a continuation, or of the text itself."""
    continuation = request[1] if len(request) > 1 and isinstance(request[1], str) else None
    for answer in responses if isinstance(responses, list) else ():
        if isinstance(answer, list) and answer and continuation is not None:
            loglikelihood, greedy = _number(answer[0]), len(answer) > 1 and str(answer[1]) == "True"
            if loglikelihood is not None:
                yield Completion(text=continuation, logprobs=(loglikelihood,), greedy=greedy)
        elif len(request) == 1 and _number(answer) is not None:
            yield Completion(text=str(request[0]), logprobs=(_number(answer) or 0.0,), greedy=False)
        elif isinstance(answer, str):
            yield Completion(text=answer)


def _question(document: Row, prompt: str) -> str:
    """What the document asks, where a field of it stands in the prompt; else the whole prompt."""
    texts = (document.get(name) for name in ASKED)
    return next((t for t in texts if isinstance(t, str) and t.strip() and t.strip() in prompt), prompt)


def _number(value: Any) -> float | None:
    """A finite number, also one written as text (lm-eval writes log-likelihoods so; "N/A" is none)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
