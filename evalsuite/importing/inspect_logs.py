"""Inspect's logs: `.eval` (a zip of JSON files) and `.json`, format version 2 (read against inspect_ai 0.3.285).

    logs = read_logs(Path("logs"))               # every log below a folder, or one file

A log is one task. A sample's epochs become repeats, each scorer a metric; a scorer whose value is an object gives one
for each key, `scorer.key`. Grades are read as Inspect's own `value_to_float` reads them: C (correct) 1, P (partial)
0.5, I (incorrect) and N (no answer) 0, yes and true 1, no and false 0. Inspect states no direction: higher is taken for
better. Read by zipfile and json alone; `inspect_ai` is not needed.
"""

from collections.abc import Iterator, Mapping, Sequence
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
from evalsuite.importing.inspect_samples import answer_of
from evalsuite.importing.reading import Archive, json_file, want

HARNESS, FORMAT = "inspect", 2
FILES = 10_000
MEANS, SPREADS = ("accuracy", "mean"), ("stderr", "std", "var", "bootstrap_stderr", "ci")
CONNECTION = ("max_connections", "max_retries", "timeout", "attempt_timeout", "batch", "cache")
Row = Mapping[str, Any]


def read_logs(path: Path) -> list[ForeignLog]:
    """Raises InputError where there is no log, or one is damaged, of another format or was never finished."""
    if not path.is_dir():
        return [_log(path)]
    found = sorted(p for p in path.rglob("*") if p.suffix == ".eval" or (p.suffix == ".json" and _is_log(p)))
    if not found:
        raise InputError(f"{path}: holds no .eval or .json log of Inspect")
    if len(found) > FILES:
        raise InputError(f"{path}: {len(found):,} logs; give a folder of at most {FILES:,}")
    return [_log(file) for file in found]


def _is_log(path: Path) -> bool:
    """Inspect's log folders hold other JSON files too (listings, set-up)."""
    return {"eval", "version"} <= set(json_file(path))


def _log(path: Path) -> ForeignLog:
    if path.suffix == ".json":
        head = json_file(path)
        has_samples = bool(head.pop("samples", None))  # read again when it is their turn: a folder may hold many
    elif path.suffix == ".eval":
        head, has_samples = _header(path)
    else:
        raise InputError(f"{path}: no Inspect log by its name; expected .eval or .json")
    if head.get("version") != FORMAT or not isinstance(head.get("eval"), dict):
        what = head.get("version")
        raise InputError(f"{path}: field 'version' is {what!r}; Inspect's log format {FORMAT} is what can be read")
    spec = head["eval"]
    address = checked_name(path, "field 'eval.model'", spec.get("model"))
    version = str((spec.get("packages") or {}).get("inspect_ai") or "unknown")[:40]
    roles, graders = _roles(head, address)
    config = spec.get("model_generate_config") or {}
    stats = head.get("stats") or {}
    return ForeignLog(
        harness=HARNESS,
        version=version,
        path=path,
        files=[path],
        model=model_fields(
            address,
            fingerprint([HARNESS, address, spec.get("model_base_url")]),
            f"{HARNESS} {version}: {address.partition('/')[0]}",
            ("server", None),
            None,
        ),
        settings={
            "sampling": _drawn(config),
            "seed": config.get("seed") if isinstance(config.get("seed"), int) else 0,
            "limit": (spec.get("config") or {}).get("limit"),
        },
        roles=roles,
        tasks=[_task(path, head, has_samples, bool(graders))],
        finished=str(stats.get("completed_at") or spec.get("created") or "")[:40],
        notes=tuple(_status(path, head)),
        about={"packages": {"inspect_ai": version}, "started": str(stats.get("started_at") or "")[:40]},
    )


def _drawn(config: Row) -> dict[str, Any]:
    """Settings that move an answer, without those of the connection."""
    return {k: v for k, v in config.items() if k not in CONNECTION}


def _header(path: Path) -> tuple[dict[str, Any], bool]:
    """The log without its samples, and whether there are any."""
    archive = Archive(path)
    try:
        if "header.json" in archive:
            return archive.read("header.json"), any(map(_is_sample, archive.names()))
        if "_journal/start.json" in archive:
            raise InputError(f"{path}: has no header.json: the evaluation was never finished; run or recover it first")
        raise InputError(f"{path}: no Inspect log: it has no header.json")
    finally:
        archive.close()


def _status(path: Path, head: Row) -> Iterator[str]:
    status = str(head.get("status"))
    if status != "success":
        yield f"{path.name}: ended with status '{status[:20]}': only the samples that were finished count"


def _roles(head: Row, subject: str) -> tuple[dict[str, Any], list[str]]:
    """Models beside the subject took part as graders, as far as the log tells."""
    named = [r.get("model") for r in (head["eval"].get("model_roles") or {}).values() if isinstance(r, Mapping)]
    used = list(((head.get("stats") or {}).get("model_usage")) or {})
    others = sorted({str(m)[:200] for m in (*named, *used) if m and m != subject})
    if not others:
        return {}, []
    judge = {"name": ", ".join(others), "fingerprint": f"named-{fingerprint(others)}", "template_hash": None}
    return {"judge": {**judge, "system": None, "backend": HARNESS}}, others


def _task(path: Path, head: Row, has_samples: bool, judged: bool) -> ForeignTask:
    spec = head["eval"]
    name = checked_name(path, "field 'eval.task'", spec.get("task"))
    version = whole_version(spec.get("task_version"))
    scores = [s for s in (head.get("results") or {}).get("scores") or () if isinstance(s, Mapping)]
    several = _several(spec)
    claims, notes = _claims(path, scores, several)
    notes += [f"{name}: the log does not say whether higher is better: taken so"]
    return ForeignTask(
        id=task_id(HARNESS, name, version, _variant(spec.get("task_args_passed") or {})),
        name=name,
        version=version,
        claims=claims,
        answers=(lambda: _answers(path, judged)) if has_samples else None,
        primary=_primary(head, claims, several),
        expected=_expected(head, spec),
        protocol=[(s.get("solver"), s.get("params")) for s in (head.get("plan") or {}).get("steps") or ()],
        sampling=_drawn((head.get("plan") or {}).get("config") or {}),
        judged=judged,
        notes=tuple(notes),
    )


def _expected(head: Row, spec: Row) -> int:
    """Samples of a finished evaluation; 0 where it broke off, so that there may be fewer."""
    total, epochs = (head.get("results") or {}).get("total_samples"), (spec.get("config") or {}).get("epochs") or 1
    if head.get("status") != "success" or not isinstance(total, int) or not isinstance(epochs, int) or epochs < 1:
        return 0
    return total // epochs


def _variant(args: Row) -> str:
    """What the task was parameterised with: another subset or number of shots is another measurement. How often each
    sample was drawn is none."""
    args = {k: v for k, v in args.items() if k != "epochs"}
    if not args:
        return ""
    text = ",".join(f"{k}={v}" for k, v in sorted(args.items()) if isinstance(v, str | int | float | bool))
    plain = len(text) <= 60 and text.isprintable() and len(args) == text.count("=") and not set(text) & set("@:/ ")
    return text if plain else f"args-{fingerprint(dict(args))[:8]}"


def _several(spec: Row) -> set[str]:
    """Scorers whose value is an object, by their declared metrics."""
    return {str(s.get("name")) for s in spec.get("scorers") or () if isinstance(s.get("metrics"), Mapping)}


def _column(score: Row, several: set[str]) -> str:
    scorer, name = str(score.get("scorer")), str(score.get("name"))
    return f"{scorer}.{name}" if scorer in several and name != scorer else name


def _claims(path: Path, scores: Sequence[Row], several: set[str]) -> tuple[list[Claim], list[str]]:
    """The log's figures: means of samples' scores under the scorer's name, others as `scorer,metric`."""
    found: dict[str, Claim] = {}
    notes: list[str] = []
    for score in scores:
        column = checked_name(path, "field 'results.scores': name", _column(score, several))
        reducer = score.get("reducer")
        metrics = {k: v.get("value") for k, v in (score.get("metrics") or {}).items() if isinstance(v, Mapping)}
        values = {k: float(v) for k, v in metrics.items() if isinstance(v, int | float)}
        n = score.get("scored_samples")
        for name, value in values.items():
            base = name.rpartition("/")[2]
            if base in SPREADS:
                continue
            plain = base in MEANS and reducer in (None, "mean")
            key = column if plain else ",".join(str(p) for p in (column, reducer, None if base in MEANS else base) if p)
            stderr = values.get("stderr") if base in MEANS else None
            known = found.get(key)
            if known is None:
                # Not declared as a mean of ours: a scorer's metric may turn grades into numbers in its own way.
                found[key] = Claim(checked_name(path, "metric", key), value, stderr, n if isinstance(n, int) else 0)
            elif known.value != value:
                notes.append(f"{key}: the log has two figures of this name ({known.value:.4g} and {value:.4g})")
    return list(found.values()), notes


def _primary(head: Row, claims: Sequence[Claim], several: set[str]) -> str:
    """The log's own headline (since 0.3.2xx), else its first figure."""
    headline = (head.get("results") or {}).get("headline")
    if isinstance(headline, Mapping):
        named = _column({"scorer": headline.get("scorer"), "name": headline.get("score")}, several)
        if any(c.metric == named for c in claims):
            return named
    return claims[0].metric if claims else ""


def _is_sample(name: str) -> bool:
    return name.startswith("samples/") and name.endswith(".json")


def _answers(path: Path, judged: bool) -> list[Answer]:
    """All samples, the repeats of each together. Raises InputError where one stands twice in an epoch."""
    found: dict[tuple[str, int], Answer] = {}
    for where, sample in _samples(path):
        answer = answer_of(where, sample, judged)
        if (answer.sample, answer.repeat) in found:
            raise InputError(f"{where}: sample '{answer.sample[:80]}' stands twice in epoch {answer.repeat + 1}")
        found[answer.sample, answer.repeat] = answer
    order = {s: i for i, s in enumerate(dict.fromkeys(s for s, _ in found))}
    return [found[key] for key in sorted(found, key=lambda k: (order[k[0]], k[1]))]


def _samples(path: Path) -> Iterator[tuple[str, Row]]:
    if path.suffix == ".json":
        for number, sample in enumerate(want(path, json_file(path), "samples", list)):
            where = f"{path}: samples[{number}]"
            if not isinstance(sample, dict):
                raise InputError(f"{where}: is no object")
            yield where, sample
        return
    archive = Archive(path)
    try:
        for name in filter(_is_sample, archive.names()):
            yield f"{path}: {name if name.isprintable() else repr(name)}", archive.read(name)
    finally:
        archive.close()
