"""How small a difference a plan can find, before anything is computed."""

from evalsuite.statistics.intervals import NORMAL


def minimum_detectable_effect(
    n: int,
    p: float = 0.5,
    sd: float | None = None,
    correlation: float = 0.5,
    power: float = 0.8,
    alpha: float = 0.05,
) -> float | None:
    """Smallest true difference of two runs on the same n samples that a two-sided paired test finds with `power`.

    (z_{1-alpha/2} + z_power) · sqrt(2 sd² (1 - correlation) / n); Miller, "Adding error bars to evals" (2024), eq. 9.
    `sd` is the standard deviation of one run's scores over samples; without it that of a share, sqrt(p(1-p)), and the
    answer is at most 1 (a share cannot move further: nothing could be found). `correlation` is that of the two runs'
    scores over samples: 0 is unpaired data, and 0.5 an assumption for checkpoints of one lineage, to be printed with
    the figure. None where n < 2.
    """
    if not (0 <= p <= 1 and -1 <= correlation <= 1 and 0 < alpha < 1 and 0 < power < 1):
        raise ValueError("p, correlation, alpha or power is out of range")
    if n < 2:
        return None
    variance = p * (1 - p) if sd is None else sd**2
    quantiles = NORMAL.inv_cdf(1 - alpha / 2) + NORMAL.inv_cdf(power)
    effect = quantiles * (2 * variance * (1 - correlation) / n) ** 0.5
    return min(effect, 1.0) if sd is None else effect
