"""Allocation of a bandit with two arms: how many requests each version gets by what it gained so far.

Source: Thompson, "On the likelihood that one unknown probability exceeds another in view of the evidence of two
samples", Biometrika 25 (1933); Chapelle & Li, "An empirical evaluation of Thompson sampling", NIPS 2011, for batches.
Standard library only, so that a server process may call it.
"""

import math


def share_of_best(good: tuple[float, float], bad: tuple[float, float], *, floor: float) -> float:
    """Return the challenger's share in percent: the chance that it is the better of two, kept off both ends.

    ``good`` and ``bad`` are what champion and challenger gained and missed so far, each summed over its rows, in units
    of one row. This is Thompson sampling by its allocation: requests follow the posterior chance that a version is best
    (Beta(1, 1) priors, compared by their means and variances).

    >>> share_of_best((0, 0), (0, 0), floor=5)
    50.0
    >>> share_of_best((100, 200), (200, 100), floor=5)
    95.0
    """
    means: list[float] = []
    variance = 0.0
    for won, lost in zip(good, bad, strict=True):
        a, b = 1.0 + won, 1.0 + lost
        means.append(a / (a + b))
        variance += a * b / ((a + b) ** 2 * (a + b + 1.0))
    chance = 0.5 * math.erfc((means[0] - means[1]) / math.sqrt(2.0 * variance))
    return min(max(100.0 * chance, floor), 100.0 - floor)
