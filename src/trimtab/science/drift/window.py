"""Decision on one window against the reference: drift is an effect that matters *and* evidence that it is
there.

Evidence for a column is the smallest of three p-values, times three: Pearson's chi-squared over all cells;
for numbers Neyman's smooth test, which looks at location, spread, skew and tails of the ranks and so sees a
change of scale that moves no mean; and the share of missing values. All take the size of both samples into
account, and the correlation within groups where the reference has learned one. P-values are then adjusted
across columns, so that the stated `alpha` is the chance of any false alarm in a window (holm) or the share of
false ones among alarms (benjamini-hochberg).

The effect is the population stability index. What it reaches by chance alone at this window size ("noise
floor", from its asymptotic distribution: (1/n + 1/m) chi-squared) is the least threshold, whatever the policy
says.

Sources: Neyman, Skand. Aktuarietidskr. 20 (1937); Yurdakul & Naranjo, "Statistical properties of the
population stability index", J. Risk Model Validation 14 (2020); Rao & Scott, JASA 76 (1981) for the design
effect.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, chdtri, erfc  # pyright: ignore[reportMissingTypeStubs]

from trimtab.science import clustering, multiplicity
from trimtab.science.drift import distances
from trimtab.science.drift.sketch import ColumnSketch, Reference, Window

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Policy:
    """What counts as drift: `min_psi`, the least effect that matters; below `min_rows` nothing is decided."""

    alpha: float = 0.01
    min_psi: float = 0.02
    min_rows: int = 100
    correction: Literal["holm", "benjamini-hochberg", "none"] = "holm"


@dataclass(frozen=True)
class ColumnDrift:
    """One column in one window. `threshold` is the PSI needed for an alarm: the larger of policy and noise
    floor.

    `statistic`: Kolmogorov-Smirnov distance of numbers, total variation distance of categories, missing
    values a cell of their own. `shift`: change of location and of spread in standard errors (numbers only).
    `wasserstein`: in reference standard deviations (numbers only). `adjusted`: p-value after correction
    across columns.
    """

    name: str
    rows: int
    psi: float
    statistic: float
    jensen_shannon: float
    wasserstein: float | None
    p_value: float
    adjusted: float
    threshold: float
    noise_floor: float
    alarm: bool
    location_z: float | None
    spread_z: float | None
    missing_reference: float
    missing_current: float


@dataclass(frozen=True)
class WindowDrift:
    """One window: `score` is the largest PSI; not `enough` rows means no columns and no alarm."""

    rows: int
    enough: bool
    score: float
    alarm: bool
    columns: tuple[ColumnDrift, ...]


def decide(reference: Reference, window: Window, policy: Policy | None = None) -> WindowDrift:
    """The decision on a window counted by `sketch.count` against its `reference`.

    >>> import numpy as np
    >>> from trimtab.science.drift import sketch
    >>> rng = np.random.default_rng(0)
    >>> reference = sketch.build({"x": rng.normal(size=5000), "y": rng.normal(size=5000)})
    >>> current = {"x": rng.normal(size=1000), "y": 1.3 * rng.normal(size=1000)}
    >>> found = decide(reference, sketch.count(reference, current))
    >>> [(column.name, column.alarm) for column in found.columns]
    [('x', False), ('y', True)]
    """
    rules = policy or Policy()
    if window.rows < rules.min_rows or reference.rows == 0:
        return WindowDrift(window.rows, False, 0.0, False, ())
    columns = [column for column in reference.columns if sum(window.counts.get(column.name, ())) > 0]
    tests = [_test(column, window.counts[column.name]) for column in columns]
    raw = np.asarray([test[0] for test in tests])
    match rules.correction:
        case "holm":
            adjusted = multiplicity.holm(raw)
        case "benjamini-hochberg":
            adjusted = multiplicity.benjamini_hochberg(raw)
        case "none":
            adjusted = raw
    found: list[ColumnDrift] = []
    for column, (p_value, location, spread), corrected in zip(columns, tests, adjusted.tolist(), strict=True):
        first, second = (
            np.asarray(column.counts, dtype=float),
            np.asarray(window.counts[column.name], dtype=float),
        )
        psi = distances.psi(first, second)
        floor = noise_floor(column, int(second.sum()), alpha=rules.alpha / len(columns))
        threshold = max(rules.min_psi, floor)
        ordered = column.kind == "numeric"
        found.append(
            ColumnDrift(
                name=column.name,
                rows=int(second.sum()),
                psi=psi,
                statistic=_distance(first, second, ordered=ordered),
                jensen_shannon=distances.jensen_shannon(first, second),
                wasserstein=_wasserstein(column, second) if ordered else None,
                p_value=p_value,
                adjusted=corrected,
                threshold=threshold,
                noise_floor=floor,
                alarm=corrected <= rules.alpha and psi >= threshold,
                location_z=location,
                spread_z=spread,
                missing_reference=float(first[-1] / first.sum()),
                missing_current=float(second[-1] / second.sum()),
            )
        )
    return WindowDrift(
        rows=window.rows,
        enough=True,
        score=max((one.psi for one in found), default=0.0),
        alarm=any(one.alarm for one in found),
        columns=tuple(found),
    )


def noise_floor(column: ColumnSketch, rows: int, *, alpha: float = 0.01) -> float:
    """PSI that a window of `rows` without drift exceeds with probability about `alpha`.

    >>> column = ColumnSketch("x", "numeric", (1.0, 2.0), (), (400, 300, 300, 0))
    >>> round(noise_floor(column, 100), 3), round(noise_floor(column, 10_000), 3)
    (0.101, 0.01)
    """
    used = sum(1 for count in column.counts if count > 0)
    if used < 2 or rows <= 0:
        return 0.0
    n, m = _worth(column, rows, max(column.clustering, default=0.0))
    return float(chdtri(used - 1, alpha)) * (1.0 / n + 1.0 / m)


def _worth(column: ColumnSketch, rows: float, correlation: float) -> tuple[float, float]:
    """Independent rows that the reference and a window of `rows`, one group, are worth."""
    total = float(sum(column.counts))
    share = clustering.effective_rows(column.group_rows, correlation) / column.group_rows
    return total * share, clustering.effective_rows(rows, correlation)


def _test(column: ColumnSketch, counts: tuple[int, ...]) -> tuple[float, float | None, float | None]:
    """P-value of a column, and z of location and spread."""
    first, second = np.asarray(column.counts, dtype=float), np.asarray(counts, dtype=float)
    n, m = float(first.sum()), float(second.sum())
    # The largest correlation stands for all cells together: conservative.
    most = max(column.clustering, default=0.0)
    worth_n, worth_m = _worth(column, m, most)
    first_worth, second_worth = first * (worth_n / n), second * (worth_m / m)
    statistic, degrees = distances.chi_squared(first_worth, second_worth)
    p_values = [float(chdtrc(degrees, statistic)) if degrees else 1.0, _share_p(first_worth, second_worth)]
    location = spread = None
    if column.kind == "numeric":
        z = smooth_components(first[:-1], second[:-1])
        if z.size:
            of_each = [most] * z.size
            of_each[:2] = column.clustering[: min(2, z.size)] or of_each[:2]
            worths = [_worth(column, m, one) for one in of_each]
            shrink = [(1 / n + 1 / m) / (1 / worth[0] + 1 / worth[1]) for worth in worths]
            z = z * np.sqrt(shrink)
            p_values.append(float(chdtrc(z.size, float((z * z).sum()))))
            location, spread = float(z[0]), float(z[1]) if z.size > 1 else None
    return min(1.0, len(p_values) * min(p_values)), location, spread


def smooth_components(reference: Floats, current: Floats, order: int = 4) -> Floats:
    """Neyman's components: independent z-scores (order,) of change in location, spread, skew and tails of
    ranks.

    `reference`, `current`: counts (K,) in ordered cells. Positive = current is higher, wider, ... Fewer
    components come back if fewer cells are in use, none if a sample is empty.
    """
    n, m = reference.sum(), current.sum()
    both = reference + current
    used = both > 0
    if n <= 0 or m <= 0 or used.sum() < 2:
        return np.zeros(0)
    share = both[used] / (n + m)
    ranks = np.cumsum(share) - share / 2
    root = np.sqrt(share)
    powers = np.vander(2.0 * ranks - 1.0, min(order, share.size - 1) + 1, increasing=True)
    # Orthonormal under the pooled distribution: QR of weighted powers, signed so that more rank scores more.
    basis, triangle = np.linalg.qr(root[:, None] * powers)
    scores = (basis * np.sign(np.diag(triangle)))[:, 1:] / root[:, None]
    change = (current[used] / m - reference[used] / n) @ scores
    return change / math.sqrt(1.0 / n + 1.0 / m)


def _share_p(first: Floats, second: Floats) -> float:
    """Two-sided p-value for the share of missing values; 1 unless the smaller sample expects five."""
    n, m = first.sum(), second.sum()
    pooled = (first[-1] + second[-1]) / (n + m)
    if min(n, m) * pooled < 5.0 or pooled >= 1.0:
        return 1.0
    z = (second[-1] / m - first[-1] / n) / math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return float(erfc(abs(z) / math.sqrt(2.0)))


def _distance(first: Floats, second: Floats, *, ordered: bool) -> float:
    if ordered:
        return distances.kolmogorov_smirnov(first, second)
    return float(np.abs(first / first.sum() - second / second.sum()).sum() / 2)


def _wasserstein(column: ColumnSketch, second: Floats) -> float | None:
    """Earth mover's distance between bin middles over the reference's standard deviation, if it has one."""
    first = np.asarray(column.counts[:-1], dtype=float)
    if not column.edges or not column.std or second[:-1].sum() <= 0 or first.sum() <= 0:
        return None
    low, high = column.low or 0.0, column.high or 0.0
    ends = np.asarray([min(low, column.edges[0]), *column.edges, max(high, column.edges[-1])])
    middles = (ends[:-1] + ends[1:]) / 2
    return distances.wasserstein(first, second[:-1], middles) / column.std
