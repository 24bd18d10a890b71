"""Another harness's log becomes a run, so that nobody starts from zero: `evalsuite import lm-eval|inspect LOG`.

    from evalsuite.importing import import_logs
    runs = import_logs("lm-eval", Path("results/my-model"), Path("evalsuite-store"))
    runs[0].manifest["origin"]        # harness, version, files with their hashes, what was not taken over, notes

A run is marked by where it came from: its tasks keep the harness's own names (`lm-eval:truthfulqa_mc1@2`), which are no
tasks of ours, so nothing is ever averaged or paired with ours, whatever it is called. Scores are those of the log;
figures are made again from them and compared with the log's own. A log is a stranger's file: it is read with bounds,
nothing in it is run, and no name in it becomes a path.
"""

from evalsuite.importing.runs import HARNESSES, import_logs

__all__ = ["HARNESSES", "import_logs"]
