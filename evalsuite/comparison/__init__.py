"""Runs against runs: paired differences on shared samples, what alignment changed, gates, what was made otherwise.

>>> from evalsuite.comparison import compare, paired
>>> for d in paired(sft, base):                                                   # doctest: +SKIP
...     print(d.task, d.metric, d.value, d.low, d.high, d.q, d.verdict, d.fixed)
>>> print(*compare([base, sft, dpo]).pairs[0].summary, sep="\\n")                  # doctest: +SKIP
"""

from evalsuite.comparison.compare import Asked, compare
from evalsuite.comparison.differences import Difference, notes_of, paired
from evalsuite.comparison.gate import GateResult, gate, parse_margin
from evalsuite.comparison.lineage import choose_pairs
from evalsuite.comparison.manifests import Change, manifest_changes
from evalsuite.comparison.records import Comparison, PairComparison

__all__ = [
    "Asked",
    "Change",
    "Comparison",
    "Difference",
    "GateResult",
    "PairComparison",
    "choose_pairs",
    "compare",
    "gate",
    "manifest_changes",
    "notes_of",
    "paired",
    "parse_margin",
]
