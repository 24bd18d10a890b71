"""Drawing: figures (plotly), tables, samples, and the page that holds them.

>>> from evalsuite.reporting import write_report
>>> write_report([base, sft], Path("report.html"), title="What SFT changed")          # doctest: +SKIP
"""

from evalsuite.reporting.report import write_report

__all__ = ["write_report"]
