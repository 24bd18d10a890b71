"""Judging: cases → placements → verdicts → annotations → outcomes, as data and pure functions; a judge is a folder.

judge = find("pairwise")
annotations = judge_cases(cases, judge, ask, judge_model="gpt")      # `ask` asks the model
summarise(annotations, judge.aggregate).win_rate
"""

from evalsuite.judging.annotations import read_annotations, write_annotations
from evalsuite.judging.asking import How, annotate, judge_cases
from evalsuite.judging.contract import (
    Annotation,
    Answer,
    Case,
    Criterion,
    Outcome,
    Placement,
    Step,
    Verdict,
    mean_grade,
    mean_over_orders,
    pair,
)
from evalsuite.judging.judge import Judge, find
from evalsuite.judging.summary import Grades, Summary, grades, summaries, summarise

__all__ = [
    "Annotation",
    "Answer",
    "Case",
    "Criterion",
    "Grades",
    "How",
    "Judge",
    "Outcome",
    "Placement",
    "Step",
    "Summary",
    "Verdict",
    "annotate",
    "find",
    "grades",
    "judge_cases",
    "mean_grade",
    "mean_over_orders",
    "pair",
    "read_annotations",
    "summaries",
    "summarise",
    "write_annotations",
]
