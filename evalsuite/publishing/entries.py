"""What stands on a leaderboard: one entry for each run, with where it came from and how far its figures are checked.

>>> entries = read_entries(list_runs(store))                                        # doctest: +SKIP
>>> entries[0].slug, entries[0].base, entries[0].method, entries[0].status
('sft', 'base', 'sft', 'verified')

Facets come from the manifest's lineage; `submission.json` beside it (see `submissions`) may say more. A size that is
not declared is read from the name ("7b", "135M").
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from evalsuite.comparison.lineage import parent_of
from evalsuite.data import fingerprint
from evalsuite.publishing.recompute import Verdict, verify
from evalsuite.store import Run
from evalsuite.store.runs import read_object

Status = Literal["verified", "partly verified", "unverified", "does not match"]
LONGEST = 60
SIZE = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)\s*([mMbB])(?![A-Za-z])")
UNITS = {"m": 1e6, "b": 1e9}


@dataclass(frozen=True)
class Entry:
    """One run on the board. `parent` is the place of its parent's entry among all, `chain` the names from its root to
    itself; `size` is in parameters. `verdicts` says of each (task, metric) whether its samples give the same figure."""

    run: Run
    slug: str
    base: str
    method: str
    size: float | None
    parent: int | None
    chain: tuple[str, ...]
    status: Status
    verdicts: Mapping[tuple[str, str], Verdict]
    about: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        """The harness whose log this run was read from, empty for a run of our own."""
        given = self.run.manifest.get("origin")
        known = given if isinstance(given, Mapping) else {}
        return " ".join(str(known[k]) for k in ("harness", "version") if known.get(k))[:80]

    @property
    def has_samples(self) -> bool:
        return (self.run.path / "samples.parquet").is_file()


def read_entries(runs: Sequence[Run], again: bool = True) -> list[Entry]:
    """Entries in the order of their names. Without `again` nothing is recomputed and every figure is unverified."""
    from evalsuite.publishing.warnings import warnings_of

    ordered = sorted({r.name: r for r in runs}.values(), key=lambda r: r.name)
    abouts = [_about(run) for run in ordered]
    slugs = slugs_of([r.name for r in ordered])
    parents = [_parent(run, ordered, about) for run, about in zip(ordered, abouts, strict=True)]
    found = []
    for i, (run, about) in enumerate(zip(ordered, abouts, strict=True)):
        chain = _chain(i, parents)
        unknown = {(m.task, m.name): Verdict("unverified") for m in run.metrics}
        verdicts, doubts = verify(run) if again else (unknown, [])
        lineage = run.manifest.get("model", {}).get("lineage") or {}
        above = lineage.get("parent_name") if len(chain) == 1 else None
        names = tuple(ordered[k].name for k in chain)
        found.append(
            Entry(
                run=run,
                slug=slugs[i],
                base=about.get("base") or str(above or names[0]),
                method=about.get("method") or str(lineage.get("method") or ("base" if len(chain) == 1 else "unnamed")),
                size=_size(about.get("size") or "") or _size(_model_name(run)) or _size(run.name),
                parent=parents[i],
                chain=(str(above), *names) if above else names,
                status=_status(verdicts),
                verdicts=verdicts,
                about=about,
                warnings=(*doubts, *warnings_of(run)),
            )
        )
    return found


def slugs_of(names: Sequence[str]) -> list[str]:
    """Names as file names: safe on every system, and different even where case does not count."""
    made, taken = [], set()
    for name in names:
        slug = file_name(name)
        if slug.lower() in taken:
            slug = f"{slug[:LONGEST]}-{fingerprint(name)[:8]}"
        taken.add(slug.lower())
        made.append(slug)
    return made


def file_name(name: str) -> str:
    """A name as a file name; one that loses characters gets a hash, so that none collide."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[:LONGEST].lstrip(".") or "x"
    return safe if safe == name else f"{safe}-{fingerprint(name)[:8]}"


def _about(run: Run) -> dict[str, str]:
    path = run.path / "submission.json"
    given = read_object(path).get("about") if path.is_file() else None
    return {str(k): str(v) for k, v in given.items()} if isinstance(given, Mapping) else {}


def _parent(run: Run, runs: Sequence[Run], about: Mapping[str, str]) -> int | None:
    named = next((r for r in runs if r.name == about.get("parent") and r.name != run.name), None)
    parent = named or parent_of(run, runs)
    return next((i for i, r in enumerate(runs) if parent is not None and r.name == parent.name), None)


def _chain(place: int, parents: Sequence[int | None]) -> list[int]:
    """Places from the root down to this one; a circle of declared parents is cut where it closes."""
    chain = [place]
    while (above := parents[chain[0]]) is not None and above not in chain:
        chain.insert(0, above)
    return chain


def _model_name(run: Run) -> str:
    model: Mapping[str, Any] = run.manifest.get("model", {})
    return str(model.get("name") or "")


def _size(text: str) -> float | None:
    found = SIZE.search(text)
    return float(found[1]) * UNITS[found[2].lower()] if found else None


def _status(verdicts: Mapping[tuple[str, str], Verdict]) -> Status:
    kinds = {v.kind for v in verdicts.values()}
    if "differs" in kinds:
        return "does not match"
    if kinds == {"same"}:
        return "verified"
    return "partly verified" if "same" in kinds else "unverified"
