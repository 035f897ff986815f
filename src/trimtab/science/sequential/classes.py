"""Bins for predictions that are classes: which of them get a bin of their own, and in which order the bins are compared.

The champion's past says so, before the first row of evidence (see `divergence`, whose tests then compare the bins). A class
that has at least half a bin's share of the past has a bin of its own; the others, and classes that nobody has seen, are
dealt by their codes to as many bins as their share of the past is worth, one at least. So a model of a thousand
classes is compared over 32 bins that hold some thirty each, and what a challenger invents has a bin to show in.

Classes have no order. They are compared over all sets of bins, by total variation distance (`total`). Since which set has moved
must be learnt first, half of the bets for harm are on an order that shows the usual failures at once, as differences over
"the k commonest classes" (`divergence`): those of the champion's shares, the dealt bins last. A challenger that falls back on
the commonest class, or answers what nobody knows, is as far off there as it is in total, and so is what goes from one
bin to another, wherever these are.

Texts that hardly repeat are no classes: most of what comes would be new, and fall into the dealt bins of both versions alike.
How much of what comes is new is estimated by the share of the past that was seen once.

Sources: Good, "The population frequencies of species and the estimation of population parameters", Biometrika 40 (1953), for
the share of the unseen; those of `divergence` for the tests.
"""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.science.sequential import divergence, total
from trimtab.science.sequential.divergence import Divergence

MOST_UNSEEN = 0.25
"""Of the predictions to come at most so many may be of a class that the past has not: else there are no bins (yet)."""


def code(name: str) -> int:
    """A number for a class, 1 to 2**48, the same everywhere and always; JSON keeps it.

    >>> code("yes") == code("yes") != code("no")
    True
    """
    return 1 + int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=6).digest())


def start(past: ArrayLike, *, bins: int = 32) -> Divergence | None:
    """An empty comparison over bins that fit the codes of the champion's past; None where that tells too little.

    >>> state = start([code("no")] * 60 + [code("yes")] * 40)
    >>> places(state, [code("yes"), code("no"), code("maybe")]).tolist()
    [1, 0, 2]
    """
    codes, seen = np.unique(np.asarray(past, dtype=np.int64).ravel(), return_counts=True)
    rows = int(seen.sum())
    if int((seen == 1).sum()) + 1 > MOST_UNSEEN * rows:
        return None
    order = np.lexsort((codes, -seen))
    codes, seen = codes[order], seen[order]
    own = int((seen * 2 * bins >= rows).sum())
    dealt = max(1, round(bins * float(seen[own:].sum()) / rows))
    counted = _counts(np.repeat(codes, seen), codes[:own], own + dealt)
    shares = np.cumsum(counted)[:-1] / (rows + 1)  # of one that may be new
    edges = [place + 0.5 for place in range(own + dealt - 1)]
    if not edges:
        return None  # one bin tells nothing of anyone
    return replace(
        divergence.start(edges, shares=shares.tolist()),
        classes=tuple(codes[:own].tolist()),
        total=total.start(own + dealt),
    )


def places(state: Divergence, codes: ArrayLike) -> NDArray[np.int64]:
    """The bin of each code, as a score that `divergence.counts` sorts into it."""
    assert state.classes is not None, "the bins are of numbers"
    return _places(np.asarray(codes, dtype=np.int64).ravel(), state.classes, len(state.edges) + 1)


def _places(codes: NDArray[np.int64], own: Sequence[int] | NDArray[np.int64], bins: int) -> NDArray[np.int64]:
    found = len(own) + codes % (bins - len(own))
    for place, one in enumerate(own):
        found[codes == one] = place
    return found


def _counts(codes: NDArray[np.int64], own: NDArray[np.int64], bins: int) -> NDArray[np.int64]:
    return np.bincount(_places(codes, own, bins), minlength=bins)
