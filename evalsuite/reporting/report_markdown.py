"""A report as Markdown, to be read in a pull request: the same story as the page, without figures and samples.

Everything that came from a run is escaped: no name can become a heading, a link, a mention or HTML.
"""

from collections.abc import Iterator, Sequence

from evalsuite.comparison import Difference, PairComparison, notes_of
from evalsuite.reporting.comparison_tables import Words, curve_words, lineage_tables, pair_tables
from evalsuite.reporting.escaping import label, markdown
from evalsuite.reporting.numbers import MISSING, interval_text, p_text, value_text
from evalsuite.reporting.report_data import Block, Report
from evalsuite.reporting.tables import HEALTH, headline


def as_markdown(report: Report) -> str:
    parts = [f"# {markdown(report.title)}", *(part for block in report.summary for part in _block(block))]
    for pair in report.pairs:
        parts += list(_pair(pair))
    if report.comparison is not None:
        parts += [markdown(sentence) for sentence in curve_words(report.comparison)]
        parts += [part for words in lineage_tables(report.comparison) for part in _folded(words)]
    parts += [*_scores(report), *_made(report)]
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> Iterator[str]:
    yield f"## {markdown(block.heading)}"
    if block.overall:
        yield markdown(block.overall)
    for group in block.groups:
        lines = []
        for s in group.sentences:
            if len(s.items) > 1:
                lines.append(f"- {markdown(s.lead)}")
                lines += [f"  - {markdown(item)}" for item in s.items]
                lines += [f"  - and {s.more} more"] if s.more else []
            else:
                lines.append(f"- {markdown(s.text)}")
        yield f"**{group.label}**"
        yield "\n".join(lines)


def _pair(pair: PairComparison) -> Iterator[str]:
    yield f"## Figures: {markdown(pair.run)} against {markdown(pair.baseline)}"
    first = [d for d in pair.differences if d.primary]
    rest = [d for d in pair.differences if not d.primary]
    if first:
        yield _table(_differences("headline", "Headline scores", first))
    for note, tasks in notes_of(first).items():
        yield f"{markdown(note[:1].upper() + note[1:])}: {markdown(', '.join(tasks))}."
    if rest:
        yield from _folded(_differences("others", f"{len(rest)} further metrics (adjusted among themselves)", rest))
    for words in pair_tables(pair):
        yield from _folded(words)


def _differences(name: str, title: str, found: Sequence[Difference]) -> Words:
    heads = ["task", "metric", "n", "baseline [95%]", "run [95%]", "difference [95%]", "detects", "q", "verdict"]
    rows = []
    for d in found:
        sides = [interval_text(s.value, s.low, s.high, d.unit) if s else MISSING for s in (d.baseline, d.run)]
        change = MISSING if d.value is None else interval_text(d.value, d.low, d.high, d.unit, sign=True)
        detects = MISSING if d.mde is None else "±" + value_text(d.mde, d.unit, sign=True).lstrip("+")
        verdict = "statistically tied" if d.tied else d.verdict
        rows.append(
            [d.task, d.metric + " ↓" * d.lower_is_better, str(d.n), *sides, change, detects, p_text(d.q), verdict]
        )
    return Words(name, title, heads, rows)


def _scores(report: Report) -> Iterator[str]:
    yield "## Scores"
    heads = ["task", "metric", "run", "score [95%]", "n", "missing", "baselines", *(short for _, short, _ in HEALTH)]
    for family, tasks in report.tasks.items():
        rows = []
        for block in headline(report.runs, tasks):
            for row in block.rows:
                m = row.metric
                constants = ", ".join(f"{k} {value_text(v, m.unit)}" for k, v in m.baselines.items()) or MISSING
                score = interval_text(m.value, m.low, m.high, m.unit)
                named = [block.task, block.metric + " ↓" * block.lower_is_better, row.name]
                rows.append([*named, score, str(m.n), str(m.missing), constants, *(c.text for c in row.health)])
        if rows:
            yield f"### {markdown(family.replace('_', ' ').capitalize())}"
            yield _table(Words(family, family, heads, rows))


def _made(report: Report) -> Iterator[str]:
    yield "## How it was made"
    lines = []
    for run in report.runs:
        model = run.manifest.get("model", {})
        told = [f"{k} {model[k]}" for k in ("address", "fingerprint", "backend", "template") if model.get(k)]
        lines.append(f"- **{markdown(run.name)}**: {markdown(', '.join(told))}, seed {run.manifest.get('seed')}")
    yield "\n".join(lines)
    yield "Figures stand with n and 95% interval; differences are paired by sample, q is p adjusted by Holm."


def _folded(words: Words) -> Iterator[str]:
    yield f"<details><summary>{label(words.title)}</summary>"
    if words.about:
        yield markdown(words.about)
    yield _table(words)
    yield "</details>"


def _table(words: Words) -> str:
    lines = [words.heads, *words.rows]
    cells = [" | ".join(markdown(cell) or " " for cell in line) for line in lines]
    rule = " | ".join(["---", *["---:"] * (len(words.heads) - 1)])
    return "\n".join(f"| {line} |" for line in [cells[0], rule, *cells[1:]])
