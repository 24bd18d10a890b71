"""Runs against runs: paired differences on shared samples, who is compared with whom, gates, what was made otherwise.

>>> from evalsuite.comparison import paired
>>> for d in paired(sft, base):                                                   # doctest: +SKIP
...     print(d.task, d.metric, d.value, (d.low, d.high), d.q, d.verdict, d.fixed)
"""

from evalsuite.comparison.differences import Difference, notes_of, paired
from evalsuite.comparison.gate import GateResult, gate, parse_margin
from evalsuite.comparison.lineage import choose_pairs
from evalsuite.comparison.manifests import Change, manifest_changes

__all__ = [
    "Change",
    "Difference",
    "GateResult",
    "choose_pairs",
    "gate",
    "manifest_changes",
    "notes_of",
    "paired",
    "parse_margin",
]
