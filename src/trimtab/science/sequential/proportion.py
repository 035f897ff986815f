"""Sequential comparison of two error rates from counts, with a margin for "not worse enough to matter".

A face of `difference` for flags: give errors and rows of champion and challenger batch by batch, read rates,
the interval of their difference, the e-value for harm and whether non-inferiority is shown. All of it holds
at any stopping time.

Source: Turner, Ly & Gruenwald, "Generic E-variables for exact sequential k-sample tests that allow for
optional stopping", IJF 40 (2024), of which `difference` is the form that gives all margins at once.
"""

import math
from dataclasses import dataclass

from trimtab.science.interval import Interval
from trimtab.science.sequential import difference as two
from trimtab.science.sequential.difference import Difference


@dataclass(frozen=True)
class Comparison:
    """Two rates compared. `difference` is challenger minus champion, a two-sided interval at level 1 - alpha.

    `e_worse`: e-value against "worse by at most `harm`"; `e_not_inferior`: against "worse by at least
    `margin`". `worse` and `not_inferior` are those tests at level alpha each (one-sided).
    """

    champion: float
    challenger: float
    difference: Interval
    e_worse: float
    e_not_inferior: float
    worse: bool
    not_inferior: bool
    rows_champion: int
    rows_challenger: int


def start(*, expected_rate: float = 0.01, block: int = 5) -> Difference:
    """An empty comparison; `expected_rate` in (0, 1) guesses the champion's rate (power, not validity)."""
    return two.start(centre=min(max(expected_rate, 1e-4), 1 - 1e-4), block=block)


def update(
    state: Difference,
    *,
    champion_errors: float,
    champion_rows: float,
    challenger_errors: float,
    challenger_rows: float,
) -> Difference:
    """The state after a batch of counts. Raises ValueError if there are more errors than rows."""
    return two.update(
        state,
        [champion_rows - champion_errors, champion_errors],
        [challenger_rows - challenger_errors, challenger_errors],
    )


def compare(state: Difference, *, alpha: float = 0.05, harm: float = 0.0, margin: float = 0.01) -> Comparison:
    """What is known by now.

    >>> state = start(expected_rate=0.01)
    >>> for _ in range(8):
    ...     state = update(
    ...         state, champion_errors=1, champion_rows=100, challenger_errors=10, challenger_rows=100
    ...     )
    >>> now = compare(state)
    >>> now.worse, now.not_inferior, now.rows_challenger
    (True, False, 800)
    """
    rates = two.means(state)
    worse = float(two.log_e_above(state, harm)[0])
    fine = float(two.log_e_below(state, margin)[0])
    goal = -math.log(alpha)
    rows = two.rows(state)
    return Comparison(
        champion=float(rates[0][0]),
        challenger=float(rates[1][0]),
        difference=two.interval(state, alpha=alpha),
        e_worse=math.exp(min(worse, 700.0)),
        e_not_inferior=math.exp(min(fine, 700.0)),
        worse=worse >= goal,
        not_inferior=fine >= goal,
        rows_champion=rows[0],
        rows_challenger=rows[1],
    )
