"""How many labels are wrong? What can be known of it, and what has to be assumed.

Where pairs are labelled more than once, two labels of one pair disagree with probability d. If each label is an
independent flip, with rate e, of one truth, then d = 2 e (1 - e), so e = (1 - sqrt(1 - 2 d)) / 2. Differences of taste
count as noise under that assumption.

Where nothing is repeated only a bound is to be had: no predictor beats the best possible one, so a simple model's
held-out accuracy is a lower bound of what is reachable, and 1 - accuracy an upper bound of the noise. How far below it
the noise lies, the data cannot tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evalsuite.errors import InputError
from evalsuite.preferences.contract import Pairs
from evalsuite.preferences.describe_figures import Figure, Section, share, unknown
from evalsuite.preferences.describe_text import Labels, Texts
from evalsuite.preferences.duplicates import Keys
from evalsuite.preferences.splits import folds
from evalsuite.statistics import ratio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FOLDS = 5
FEWEST = 50
"""Decided pairs below which no model is fitted."""
READ = 4000
"""Characters of an answer that the model reads."""
COLUMNS = 2**13
"""Hashed words of the model."""
COUNTED = 3.0
"""How much less counts are penalised than words."""
PENALTIES = (0.003, 0.03, 0.3)


def flip_rate(disagreement: float) -> float:
    """The flip rate at which two labels disagree so often; 0.5 from a half upwards.

    >>> round(flip_rate(0.375), 3)
    0.25
    """
    return 0.5 if disagreement >= 0.5 else (1 - (1 - 2 * disagreement) ** 0.5) / 2


def noise(pairs: Pairs, found: Keys, texts: Texts, labels: Labels) -> Section:
    """From repeated labels where there are some, and a bound from a simple model."""
    apart, flips = repeated(found)
    figures = [apart]
    if apart.value is not None:
        figures.append(flips)
    accuracy = predicted(pairs, texts, labels)
    figures.append(accuracy)
    if accuracy.value is not None and accuracy.low is not None and accuracy.high is not None:
        # A coin is right half the time: more than half of the labels cannot be wrong.
        value, low, high = (min(0.5, 1 - x) for x in (accuracy.value, accuracy.high, accuracy.low))
        figures.append(Figure("labels wrong: at most", value, low, high, accuracy.n, groups=accuracy.groups))
    note = (
        "the flip rate assumes one truth and independent errors; the bound assumes nothing, and the noise may lie "
        "anywhere below it"
    )
    return Section("label noise", tuple(figures), note)


def repeated(found: Keys) -> tuple[Figure, Figure]:
    """How often two decided labels of one pair disagree, and the flip rate that would make them."""
    import numpy as np

    use = ~np.isnan(found.forward) & (found.forward != 0.5) & ~found.same
    groups, codes = np.unique(found.pair[use], return_inverse=True)
    wins = np.bincount(codes, weights=found.forward[use] > 0.5, minlength=len(groups))
    sizes = np.bincount(codes, minlength=len(groups)).astype(float)
    several = sizes > 1
    names = "two labels of one pair disagree", "labels flipped, if errors are independent"
    if not several.any():
        none = unknown(names[0], "no pair is labelled twice")
        return none, none
    apart, all_ = (wins * (sizes - wins))[several], (sizes * (sizes - 1) / 2)[several]
    interval = ratio(apart, all_)
    if interval.value is None:
        return unknown(names[0], "no pair is labelled twice"), unknown(names[1], "")
    low, high = max(0.0, interval.low or 0.0), min(1.0, 1.0 if interval.high is None else interval.high)
    n = int(several.sum())
    flips = Figure(names[1], flip_rate(interval.value), flip_rate(low), flip_rate(high), n)
    return Figure(names[0], interval.value, low, high, n), flips


def predicted(pairs: Pairs, texts: Texts, labels: Labels) -> Figure:
    """Held-out accuracy of a logistic regression on differences of words, length and format, in folds that share no
    prompt."""
    import numpy as np

    name = "a simple model is right, held out: at least"
    rows: Any = np.flatnonzero(labels.decided)
    if len(rows) < FEWEST:
        return unknown(name, f"needs {FEWEST} decided pairs", len(rows))
    some = pairs.take(rows)
    try:
        part = folds(some, FOLDS)
    except InputError as error:
        return unknown(name, str(error), len(rows))
    x, y = _differences(some, texts.only(rows)), labels.first[rows]
    right = np.zeros(len(rows))
    for fold in range(FOLDS):
        out, tune = part == fold, part == (fold + 1) % FOLDS
        rest = ~out & ~tune
        # How much to penalise is chosen inside the training folds: the held-out one has no part in it.
        best = max(PENALTIES, key=lambda c: float((_fit(x[rest], y[rest], x[tune], c) == y[tune]).mean()))
        right[out] = _fit(x[~out], y[~out], x[out], best) == y[out]
    return share(name, right, labels.clusters[rows])


def _differences(pairs: Pairs, texts: Texts) -> Any:
    """Sparse (n, COLUMNS + 6): the words of the first text less those of the second, and counts on a log scale."""
    import numpy as np
    from scipy.sparse import csr_matrix, hstack
    from sklearn.feature_extraction.text import HashingVectorizer

    read = HashingVectorizer(n_features=COLUMNS, binary=True, norm="l2", alternate_sign=False)
    a = read.transform(p.a[:READ] for p in pairs)
    b = read.transform(p.b[:READ] for p in pairs)
    counts = [texts.words, texts.characters, *texts.formats.values()]
    logs = np.stack([np.log1p(c[:, 0]) - np.log1p(c[:, 1]) for c in counts], axis=1)
    return hstack([a - b, csr_matrix(COUNTED * logs / np.maximum(logs.std(axis=0), 1e-9))]).tocsr()


def _fit(x: Any, y: Any, new: Any, c: float) -> Any:
    """Predictions of an odd model: no intercept, and every pair is learned in both orders."""
    import numpy as np
    from scipy.sparse import vstack
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=c, fit_intercept=False, max_iter=300)
    model.fit(vstack([x, -x]), np.concatenate([y, ~y]))
    return model.decision_function(new) > 0
