"""Judging: cases → placements → verdicts → outcomes, as data and pure functions; a judge is a content folder.

judge = registry.find_judge("pairwise")
annotations = judge_pairs(cases, judge, answer, judge_model="gpt")      # `answer` asks the model
summarise(annotations, judge.aggregate).win_rate
"""

from evalsuite.judging.annotations import read_annotations, write_annotations
from evalsuite.judging.contract import Annotation, Case, Outcome, Placement, Verdict, mean_over_orders
from evalsuite.judging.pairwise import Summary, judge_identity, judge_pairs, one_each, summarise

__all__ = [
    "Annotation",
    "Case",
    "Outcome",
    "Placement",
    "Summary",
    "Verdict",
    "judge_identity",
    "judge_pairs",
    "mean_over_orders",
    "one_each",
    "read_annotations",
    "summarise",
    "write_annotations",
]
