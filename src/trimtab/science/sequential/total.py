"""Evidence on how far two versions' classes are apart, in no order: the total variation distance over K bins.

It is the largest difference of the shares of any set A of the bins.

Alike. If the distance is d or more then for some A the challenger's share exceeds the champion's by d, and betting that it
does not is a fair game or a losing one, as in `difference` with both centres at one half:

    prod_b (1 - l_b (y - 1/2)) * prod_a (1 + l_a (y - 1/2)) * exp(l h d),   y = 1 for a row in A, else 0

has expectation at most 1. Nobody knows that A, but the least of all 2^K products is below its own, and with fixed centres
the logarithm is a sum over the bins, each inside A or outside: the least is found bin by bin. Its average over a grid of
bets l is therefore below an e-process wherever the distance is d or more, so that it passes 1 / alpha with a chance of at
most alpha, ever.

Apart. If the distance is d at most then no A has moved by more, whichever one bets on, and it may be another one for each batch
if the rows of that batch have no say in it. So the bet is on the bins in which the challenger had more than the champion in
all batches before, as a stream of `difference`; the first batch is not bet on.

Sources: those of `difference`; Shekhar & Ramdas, "Nonparametric two-sample testing by betting", IEEE Trans. Inf. Theory 70
(2024), for bets on the set that was the best one so far; Vovk & Wang, "E-values: calibration, combination and applications",
Ann. Statist. 49 (2021), for averages.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.science.sequential import difference as two
from trimtab.science.sequential.difference import Difference

Floats = NDArray[np.float64]

BETS = tuple(1.5 * 0.5**j for j in range(8))
_BLOCK = 5


@dataclass(frozen=True)
class Total:
    """Evidence over K bins: rows of both versions (K,), those that wait for the other side, and log products.

    `inside` and `outside`: bet by bet what each bin adds where it is in A, and where it is not (J * K). `learnt`: the bets
    on the bins that had more of the challenger's rows than of the champion's.
    """

    champion: tuple[float, ...]
    challenger: tuple[float, ...]
    pending_champion: tuple[float, ...]
    pending_challenger: tuple[float, ...]
    inside: tuple[float, ...]
    outside: tuple[float, ...]
    learnt: Difference
    weight: float = 0.0


def start(bins: int) -> Total:
    """No evidence over so many bins."""
    rows, logs = (0.0,) * bins, (0.0,) * (bins * len(BETS))
    return Total(rows, rows, rows, rows, logs, logs, start_learning(1))


def start_learning(trials: int) -> Difference:
    """No bets yet, of so many trials side by side."""
    return two.start(centre=(0.5,) * trials, largest_bet=8.0, bets=11, block=_BLOCK)


def update(state: Total, champion: ArrayLike, challenger: ArrayLike) -> Total:
    """The state after a batch of rows per bin (K,) of each version.

    >>> state = start(3)
    >>> for _ in range(20):
    ...     state = update(state, [30, 20, 10], [29, 21, 10])
    >>> log_e_near(state, 0.25) > math.log(20) > log_e_near(state, 0.05)
    True
    """
    first = np.asarray(state.pending_champion) + np.asarray(champion, dtype=np.float64)
    second = np.asarray(state.pending_challenger) + np.asarray(challenger, dtype=np.float64)
    seen = replace(
        state,
        champion=_flat(np.asarray(state.champion) + np.asarray(champion, dtype=np.float64)),
        challenger=_flat(np.asarray(state.challenger) + np.asarray(challenger, dtype=np.float64)),
    )
    if min(first.sum(), second.sum()) < _BLOCK:
        return replace(seen, pending_champion=_flat(first), pending_challenger=_flat(second))
    past = (
        np.asarray(state.champion) - np.asarray(state.pending_champion),
        np.asarray(state.challenger) - np.asarray(state.pending_challenger),
    )
    inside, outside, weight = logs(first, second)
    nothing = (0.0,) * len(state.champion)
    return replace(
        seen,
        pending_champion=nothing,
        pending_challenger=nothing,
        inside=_flat(np.asarray(state.inside) + inside.ravel()),
        outside=_flat(np.asarray(state.outside) + outside.ravel()),
        learnt=learn(state.learnt, past, (first[None], second[None])),
        weight=state.weight + weight,
    )


def learn(state: Difference, past: tuple[Floats, Floats], batch: tuple[Floats, Floats]) -> Difference:
    """The bets of S trials after a batch of champion and challenger (S, K), by the rows of both before it (S, K) or (K,)."""
    before = [np.broadcast_to(rows, batch[0].shape) for rows in past]
    if not all(rows[0].any() for rows in before):
        return state
    shares = [rows / rows.sum(-1, keepdims=True) for rows in before]
    more = shares[1] > shares[0]

    def mass(rows: Floats) -> Floats:
        among = np.where(more, rows, 0.0).sum(-1)
        return np.stack([rows.sum(-1) - among, among], axis=-1)

    known = replace(
        state, past_champion=_flat(mass(before[0]).ravel()), past_challenger=_flat(mass(before[1]).ravel())
    )
    return two.update(known, mass(batch[0]), mass(batch[1]))


def logs(champion: Floats, challenger: Floats) -> tuple[Floats, Floats, float]:
    """What one batch (..., K), of as many rows in each trial, adds inside and outside of A (..., J, K), and its weight."""
    rows_a, rows_b = float(champion.sum(-1).flat[0]), float(challenger.sum(-1).flat[0])
    rows, bets = rows_a + rows_b, np.asarray(BETS)[:, None]
    half_a, half_b = bets * rows_b / rows / 2, bets * rows_a / rows / 2
    first, second = champion[..., None, :], challenger[..., None, :]
    inside = first * np.log1p(half_a) + second * np.log1p(-half_b)
    outside = first * np.log1p(-half_a) + second * np.log1p(half_b)
    return inside, outside, rows_a * rows_b / rows


def log_es_near(inside: Floats, outside: Floats, weight: float, distance: float) -> Floats:
    """Log e-values (...) against "the distance is at least `distance`" from sums of `logs`: large = it is less."""
    least = np.minimum(inside, outside).sum(-1) + np.asarray(BETS) * weight * distance
    top = least.max(-1)
    return top + np.log(np.exp(least - top[..., None]).mean(-1))


def log_e_near(state: Total, distance: float) -> float:
    """Log e-value against "the distance is at least `distance`": large = it is less."""
    shape = (len(BETS), len(state.champion))
    inside, outside = np.reshape(state.inside, shape), np.reshape(state.outside, shape)
    return float(log_es_near(inside, outside, state.weight, distance))


def log_e_beyond(state: Total, distance: float) -> float:
    """Log e-value against "the distance is at most `distance`": large = it is more."""
    return float(two.log_e_above(state.learnt, distance)[0])


def estimate(state: Total) -> float:
    """The distance of the rows seen so far, which few rows of many classes exceed by chance alone; NaN without rows."""
    first, second = np.asarray(state.champion), np.asarray(state.challenger)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.abs(first / first.sum() - second / second.sum()).sum() / 2)


def bound_below(state: Total, *, alpha: float) -> float:
    """The distance is at least this, always, with probability 1 - `alpha`."""
    return max(float(two.bound_below(state.learnt, alpha=alpha)[0]), 0.0)


def bound_above(state: Total, *, alpha: float) -> float:
    """The distance is at most this, always, with probability 1 - `alpha`."""
    low, high = 0.0, 1.0
    if log_e_near(state, high) < -math.log(alpha):
        return 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if log_e_near(state, middle) >= -math.log(alpha) else (middle, high)
    return high


def _flat(array: Floats) -> tuple[float, ...]:
    return tuple(array.tolist())
