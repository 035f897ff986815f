"""Rows that come in groups (a day with its weather, a customer) say less than as many independent ones: how
much less.

The intraclass correlation r is the share of the variance that lies between groups. The mean of one group of n
rows varies as the mean of n / (1 + (n - 1) r) independent rows would; with r = 0.01 a day of any size is
worth less than 100 rows.

Sources: Kish, "Survey Sampling" (1965), for the design effect; Donner, "A review of inference procedures for
the intraclass correlation coefficient", Int. Statist. Rev. 54 (1986), for its estimate from unequal groups.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri

Floats = NDArray[np.float64]


def correlation(values: ArrayLike, groups: ArrayLike) -> float:
    """Intraclass correlation, in [0, 1], of values (n,) within groups (n,); see `correlations`.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> day = np.repeat(np.arange(100), 50)
    >>> correlation(rng.normal(size=5000), day) < 0.02
    True
    >>> 0.1 < correlation(rng.normal(size=5000) + 0.5 * rng.normal(size=100)[day], day) < 0.35
    True
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    _, inverse = np.unique(np.asarray(groups).ravel(), return_inverse=True)
    rows = np.bincount(inverse).astype(np.float64)
    means = np.bincount(inverse, weights=x) / rows
    squares = np.bincount(inverse, weights=x * x) / rows
    return float(correlations(rows, means[None, :], squares[None, :])[0])


def correlations(rows: Floats, means: Floats, squares: Floats, *, confidence: float = 0.8) -> Floats:
    """Intraclass correlations (S,) from groups' `rows` (G,), `means` (S, G) and mean `squares` (S, G) of S
    columns.

    To err on the safe side the variance between groups enters as its upper bound at `confidence`. Fewer than
    five groups tell nothing: 0.
    """
    size, total = rows.size, float(rows.sum())
    if size < 5 or total <= size:
        return np.zeros(means.shape[0])
    overall = (means @ rows) / total
    between = ((means - overall[:, None]) ** 2 @ rows) / (size - 1)
    within = np.maximum((squares - means**2) @ rows, 0.0) / (total - size)
    between = between * (size - 1) / float(chdtri(size - 1, confidence))
    typical = (total - float((rows * rows).sum()) / total) / (size - 1)
    spread = between + (typical - 1.0) * within
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where(spread > 0, (between - within) / spread, 0.0)
    return np.clip(found, 0.0, 1.0)


def effective_rows(rows: float, correlation: float) -> float:
    """How many independent rows one group of `rows` is worth.

    >>> effective_rows(100, 0.0), round(effective_rows(100, 0.01), 1), round(effective_rows(1e9, 0.01))
    (100.0, 50.3, 100)
    """
    return float(rows) / (1.0 + max(float(rows) - 1.0, 0.0) * correlation)
