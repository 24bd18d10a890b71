"""Where scored rows go: figures by task, and the file of samples. Neither holds the rows."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evalsuite.records import Health, Metric, missing
from evalsuite.running.figures import Row, TaskFigures, filled
from evalsuite.running.manifest import record, write_score
from evalsuite.store import Run, SampleFile, write_run


class Sink:
    """Takes rows task by task in the plan's order, some at a time."""

    def __init__(self, windows: int = 1) -> None:
        self._figures: dict[str, TaskFigures] = {}
        self._file = SampleFile(hold=windows == 1)
        self._known: dict[str, list[str]] = {}  # score names that the first unscored row of a task was given
        self.shortened: dict[str, int] = {}

    def add(self, rows: Iterable[Row]) -> None:
        """Rows of one window."""
        held = list(rows)
        for row in held:
            self._figures.setdefault(row.task.id, TaskFigures(row.task)).add(row)
        lines, marks = [], {}
        for place, row in enumerate(held):
            names = self._figures[row.task.id].names
            if row.scores is None:
                marks[place] = row.reason
                self._known.setdefault(row.task.id, names)
            lines.append(record(row, filled(row.scores, row.reason, names)))
        self._file.add(lines, marks)

    def write(self, store: Path, name: str, manifest: Mapping[str, Any], more: Sequence[Metric] = ()) -> Run:
        """Figures of all rows, and the run's folder."""
        metrics = [*(m for figures in self._figures.values() for m in figures.metrics()), *more]
        health: dict[str, Health] = {
            task: figures.health(self.shortened.get(task, 0)) for task, figures in self._figures.items()
        }
        # A row without scores is missing in every score of its task, also in those that came to be known later.
        late = any(known != self._figures[task].names for task, known in self._known.items())
        return write_run(
            store, name, manifest, metrics, health, lambda path: self._file.finish(path, self._mend if late else None)
        )

    def _mend(self, line: dict[str, Any], reason: str) -> None:
        for name in self._figures[line["task"]].names:
            write_score(line, name, missing(reason))
