"""Sequential comparison of two means in [0, 1] under randomly split traffic: interval and e-values at any
time.

Two versions, champion (a) and challenger (b), answer requests that a coin has split between them, and each
answer has a value in [0, 1] (an error flag, a loss, a score). The state is a handful of numbers; it takes
batches of any size and gives an interval for `mean(b) - mean(a)` and e-values for "the challenger is worse by
more than d" which stay valid however often one looks and whenever one stops.

Method. A batch has `n_a` and `n_b` rows, `n = n_a + n_b`, `h = n_a n_b / n`. For a bet size `l > 0` chosen
before the batch let `l_b = l n_a / n` and `l_a = l n_b / n`, and let the centres `c_a`, `c_b` depend on the
past only. Then

    prod_b (1 + l_b (y - c_b)) * prod_a (1 - l_a (y - c_a)) * exp(l h (c_b - c_a)) * exp(-l h d)

has expectation at most 1 when `mean(b) - mean(a) <= d`: rows are independent given the past and the sizes, so
the expectation is `(1 + l_b (m_b - c_b))^n_b (1 - l_a (m_a - c_a))^n_a` times the exponentials, `1 + u <=
exp(u)`, and `n_b l_b = n_a l_a = l h`, so that the centres cancel and `exp(l h (m_b - m_a - d)) <= 1`
remains. Products over batches are therefore test supermartingales for every `l` and every `d` at once; their
average over a geometric grid of `l` is one too, and Ville's inequality turns it into a confidence sequence.
`d` enters only through the last factor, so one state serves all `d`, and the interval is the root of a convex
function. The centre of each bet solves `E[1 / (1 + l_b (y - c))] = 1` under the values seen so far, which
makes the product the likelihood ratio against the nearest null (growth-optimal for error flags) and keeps
every factor positive.

If the means move, the interval is about the `h`-weighted average of the differences so far. Values given as
mass on knots lose nothing in validity: spreading a value over two neighbouring knots keeps its mean, and
lowers the product because the logarithm is concave.

Sources: Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86 (2024);
Turner, Ly & Gruenwald, "Generic E-variables for exact sequential k-sample tests", IJF 40 (2024); Howard,
Ramdas, McAuliffe & Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Ann. Statist.
49 (2021).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.science.interval import Interval

Floats = NDArray[np.float64]

BINARY = (0.0, 1.0)
"""Knots of a flag: all mass at 0 or 1."""

LOSS_KNOTS = tuple(i / 32 for i in range(33))
"""Knots for any other value in [0, 1]; `on_knots` spreads values over them."""


@dataclass(frozen=True)
class Difference:
    """Evidence on `mean(challenger) - mean(champion)` for S parallel streams; plain numbers, see
    `science.plain`.

    Shapes: `bets` J; `above` and `below` S * J log products (betting that the challenger is higher, lower);
    `past_*` and `pending_*` S * K mass on the knots, already bet on and not yet.
    """

    knots: tuple[float, ...]
    bets: tuple[float, ...]
    centre: tuple[float, ...]
    block: int
    weight: float
    above: tuple[float, ...]
    below: tuple[float, ...]
    past_champion: tuple[float, ...]
    past_challenger: tuple[float, ...]
    pending_champion: tuple[float, ...]
    pending_challenger: tuple[float, ...]

    @property
    def streams(self) -> int:
        """How many streams are compared side by side."""
        return len(self.centre)


def start(
    *,
    knots: Sequence[float] = BINARY,
    centre: float | Sequence[float] = 0.5,
    largest_bet: float = 64.0,
    bets: int = 14,
    block: int = 5,
) -> Difference:
    """An empty comparison.

    `centre`: a guess of the champion's mean before any row (one a stream), worth two rows; a bad guess costs
    power in the first batch, never validity. Neighbouring knots may be equal. `bets` sizes are `largest_bet` halved
    again and again. Rows wait until both versions have `block` of them, because a batch with one side only says
    nothing about the difference.
    """
    guesses = (centre,) if isinstance(centre, int | float) else tuple(centre)
    if not all(0.0 < guess < 1.0 for guess in guesses):
        raise ValueError("centre lies strictly between 0 and 1")
    if len(knots) < 2 or knots[0] != 0.0 or knots[-1] != 1.0 or list(knots) != sorted(knots):
        raise ValueError("knots rise from 0.0 to 1.0")
    if bets < 1 or block < 1 or largest_bet <= 0:
        raise ValueError("bets, block and largest_bet are positive")
    cells = (0.0,) * (len(guesses) * len(knots))
    wealth = (0.0,) * (len(guesses) * bets)
    return Difference(
        knots=tuple(float(knot) for knot in knots),
        bets=tuple(largest_bet * 0.5**j for j in range(bets)),
        centre=guesses,
        block=block,
        weight=0.0,
        above=wealth,
        below=wealth,
        past_champion=cells,
        past_challenger=cells,
        pending_champion=cells,
        pending_challenger=cells,
    )


def on_knots(values: ArrayLike, knots: Sequence[float] = LOSS_KNOTS) -> Floats:
    """Mass on each knot of `values` in [0, 1]: every value is split between its neighbours, keeping its mean.

    No two knots are equal. Raises ValueError for a value outside [0, 1] or NaN.

    >>> on_knots([0.0, 0.25, 1.0], [0.0, 0.5, 1.0]).tolist()
    [1.5, 0.5, 1.0]
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    at = np.asarray(knots, dtype=np.float64)
    if array.size and not (array.min() >= 0.0 and array.max() <= 1.0):
        raise ValueError("values lie in [0, 1]")
    left = np.clip(np.searchsorted(at, array, side="right") - 1, 0, at.size - 2)
    share = (array - at[left]) / (at[left + 1] - at[left])
    mass = np.bincount(left, weights=1.0 - share, minlength=at.size)
    mass = mass + np.bincount(left + 1, weights=share, minlength=at.size)
    return mass.astype(np.float64)


def update(state: Difference, champion: ArrayLike, challenger: ArrayLike) -> Difference:
    """The state after a batch: mass on the knots for each version, shape (K,) or (S, K).

    >>> state = start()
    >>> for _ in range(20):
    ...     state = update(state, [90, 10], [80, 20])   # 10 % and 20 % errors in 100 rows each
    >>> found = interval(state, alpha=0.05)
    >>> round(found.estimate, 3), found.low > 0.05, found.high < 0.15
    (0.1, True, True)
    """
    shape = (state.streams, len(state.knots))
    waiting_a = np.asarray(state.pending_champion).reshape(shape) + _mass(champion, shape)
    waiting_b = np.asarray(state.pending_challenger).reshape(shape) + _mass(challenger, shape)
    rows_a, rows_b = float(waiting_a[0].sum()), float(waiting_b[0].sum())
    if min(rows_a, rows_b) < state.block:
        return replace(state, pending_champion=_flat(waiting_a), pending_challenger=_flat(waiting_b))

    past_a = np.asarray(state.past_champion).reshape(shape)
    past_b = np.asarray(state.past_challenger).reshape(shape)
    expected_a = _expected(past_a, state, None)
    expected_b = _expected(past_b, state, expected_a)
    knots, rows = np.asarray(state.knots), rows_a + rows_b
    bets = np.asarray(state.bets)
    bets_a, bets_b, h = bets * rows_b / rows, bets * rows_a / rows, rows_a * rows_b / rows

    # `low` centres serve bets that values are high, `high` centres (mirrored) bets that they are low.
    low_a, high_a = _centres(bets_a, knots, expected_a), _mirrored(bets_a, knots, expected_a)
    low_b, high_b = _centres(bets_b, knots, expected_b), _mirrored(bets_b, knots, expected_b)
    above = (
        _log_product(waiting_b, bets_b, low_b, knots)
        + _log_product(waiting_a, -bets_a, high_a, knots)
        + bets * h * (low_b - high_a)
    )
    below = (
        _log_product(waiting_b, -bets_b, high_b, knots)
        + _log_product(waiting_a, bets_a, low_a, knots)
        + bets * h * (low_a - high_b)
    )
    nothing = (0.0,) * (shape[0] * shape[1])
    return replace(
        state,
        weight=state.weight + h,
        above=_flat(np.asarray(state.above) + above.ravel()),
        below=_flat(np.asarray(state.below) + below.ravel()),
        past_champion=_flat(past_a + waiting_a),
        past_challenger=_flat(past_b + waiting_b),
        pending_champion=nothing,
        pending_challenger=nothing,
    )


def means(state: Difference) -> tuple[Floats, Floats]:
    """Mean of the champion's and of the challenger's rows, each (S,); NaN without rows."""
    champion, challenger = _seen(state)
    knots = np.asarray(state.knots)
    with np.errstate(invalid="ignore", divide="ignore"):
        return champion @ knots / champion.sum(1), challenger @ knots / challenger.sum(1)


def rows(state: Difference) -> tuple[int, int]:
    """Rows seen of champion and challenger, those still waiting for their block included."""
    champion, challenger = _seen(state)
    return round(float(champion[0].sum())), round(float(challenger[0].sum()))


def log_e_above(state: Difference, difference: float = 0.0) -> Floats:
    """Log e-value, one a stream, against "challenger - champion <= `difference`": large = it is more."""
    return _log_mean(_wealth(state, state.above), -np.asarray(state.bets) * state.weight * difference)


def log_e_below(state: Difference, difference: float = 0.0) -> Floats:
    """Log e-value, one a stream, against "challenger - champion >= `difference`": large = it is less."""
    return _log_mean(_wealth(state, state.below), np.asarray(state.bets) * state.weight * difference)


def intervals(state: Difference, *, alpha: float = 0.05) -> tuple[Interval, ...]:
    """For each stream the interval of `mean(challenger) - mean(champion)`.

    With probability 1 - `alpha` it covers the truth at all times together (for each stream; divide `alpha`
    among streams if all must hold). Before any bet it is [-1, 1].
    """
    first, second = means(state)
    lows = _lowest(_wealth(state, state.above), state, alpha / 2)
    highs = -_lowest(_wealth(state, state.below), state, alpha / 2)
    found: list[Interval] = []
    for a, b, low, high in zip(first, second, lows, highs, strict=True):
        estimate = float(b - a) if math.isfinite(b - a) else 0.0
        ends = sorted((float(low), float(high)))
        found.append(Interval(estimate, min(ends[0], estimate), max(ends[1], estimate)))
    return tuple(found)


def interval(state: Difference, *, alpha: float = 0.05) -> Interval:
    """`intervals` of a state with one stream."""
    (only,) = intervals(state, alpha=alpha)
    return only


def bound_below(state: Difference, *, alpha: float) -> Floats:
    """One-sided lower bounds (S,): the difference is at least this, always, with probability 1 - `alpha`."""
    return _lowest(_wealth(state, state.above), state, alpha)


def bound_above(state: Difference, *, alpha: float) -> Floats:
    """One-sided upper bounds (S,): the difference is at most this, always, with probability 1 - `alpha`."""
    return -_lowest(_wealth(state, state.below), state, alpha)


def _mass(given: ArrayLike, shape: tuple[int, int]) -> Floats:
    mass = np.asarray(given, dtype=np.float64)
    if mass.ndim == 1:
        mass = mass[None, :]
    if mass.shape != shape:
        raise ValueError(f"mass of shape {mass.shape}, expected {shape}")
    if not np.all(np.isfinite(mass)) or mass.min() < 0:
        raise ValueError("mass is finite and not negative")
    totals = mass.sum(1)
    if np.ptp(totals) > 1e-6 * (1.0 + float(totals[0])):
        raise ValueError("every stream sees the same rows")
    return mass


def _flat(array: Floats) -> tuple[float, ...]:
    return tuple(array.ravel().tolist())


def _seen(state: Difference) -> tuple[Floats, Floats]:
    shape = (state.streams, len(state.knots))
    champion = np.asarray(state.past_champion) + np.asarray(state.pending_champion)
    challenger = np.asarray(state.past_challenger) + np.asarray(state.pending_challenger)
    return champion.reshape(shape), challenger.reshape(shape)


def _wealth(state: Difference, flat: tuple[float, ...]) -> Floats:
    return np.asarray(flat).reshape(state.streams, len(state.bets))


def _expected(past: Floats, state: Difference, prior: Floats | None) -> Floats:
    """Shares (S, K) expected of the next rows: those of the past, smoothed so that both ends have mass."""
    guess = np.asarray(state.centre)
    ends = np.zeros_like(past)
    ends[:, 0], ends[:, -1] = 1.0 - guess, guess
    weight = 1.0 if prior is not None else 2.0
    smoothed = past + weight * ends
    if prior is not None:
        # Until the challenger has rows of its own, the best guess is that it is like the champion.
        smoothed = smoothed + 10.0 * prior
    return smoothed / smoothed.sum(1, keepdims=True)


def _centres(bets: Floats, knots: Floats, expected: Floats) -> Floats:
    """Centres (S, J) with E[1 / (1 + bet (y - c))] = 1, so that 1 + bet (y - c) > 0 for every y in [0, 1]."""
    bet = bets[None, :]
    if knots.size == 2:
        quiet = expected[:, :1]
        half = (1.0 - bet) / 2.0
        slack = half + np.sqrt(half * half + quiet * bet)
        return (1.0 - slack) / bet
    # Newton on the harmonic mean of slack + bet y, which is concave in slack = 1 - bet c and must become 1: from the
    # left it never oversteps. Stopping early costs nothing but a little power, as any slack > 0 is valid.
    quiet = expected[:, knots == 0.0].sum(1, keepdims=True)
    slack = np.maximum(quiet, 1.0 - (expected @ knots)[:, None] * bet)
    reach = bets[:, None] * knots[None, :]
    for _ in range(7):
        inverse = 1.0 / (slack[:, :, None] + reach[None, :, :])
        first = np.einsum("sk,sjk->sj", expected, inverse)
        second = np.einsum("sk,sjk,sjk->sj", expected, inverse, inverse)
        slack = slack + (1.0 - 1.0 / first) * first * first / second
    return (1.0 - slack) / bet


def _mirrored(bets: Floats, knots: Floats, expected: Floats) -> Floats:
    return 1.0 - _centres(bets, 1.0 - knots[::-1], expected[:, ::-1])


def _log_product(mass: Floats, bets: Floats, centres: Floats, knots: Floats) -> Floats:
    factors = 1.0 + bets[None, :, None] * (knots[None, None, :] - centres[:, :, None])
    return np.einsum("sk,sjk->sj", mass, np.log(factors))


def _log_mean(wealth: Floats, shift: Floats) -> Floats:
    logs = wealth + shift
    top = logs.max(1)
    return top + np.log(np.exp(logs - top[:, None]).mean(1))


def _lowest(wealth: Floats, state: Difference, alpha: float) -> Floats:
    """Root d of mean_j exp(wealth_j - bet_j * weight * d) = 1 / alpha, clipped to [-1, 1]."""
    if not 0.0 < alpha < 1.0:
        raise ValueError("alpha lies between 0 and 1")
    if state.weight <= 0.0:
        return np.full(state.streams, -1.0)
    rates, goal = np.asarray(state.bets) * state.weight, -math.log(alpha)
    # The best single bet is left of the root; from there Newton on a convex falling function never oversteps.
    root = ((wealth - goal - math.log(len(state.bets))) / rates).max(1)
    for _ in range(50):
        logs = wealth - rates * root[:, None]
        top = logs.max(1)
        shares = np.exp(logs - top[:, None])
        gap = top + np.log(shares.mean(1)) - goal
        step = gap / ((shares * rates).sum(1) / shares.sum(1))
        root = root + step
        if float(np.abs(step).max()) < 1e-10:
            break
    return np.clip(root, -1.0, 1.0)
