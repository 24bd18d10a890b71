"""The leaderboard: a static site of an index page and a report for each run, to be put on any web space or file share.

>>> from evalsuite.publishing import build_index
>>> build_index(list_runs(store), Path("site"))                                   # doctest: +SKIP
PosixPath('site/index.html')
"""

from evalsuite.publishing.index import build_index

__all__ = ["build_index"]
