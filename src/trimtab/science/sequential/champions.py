"""Champions of few distinct scores, and of classes, with challengers that differ from them: what `simulation` tries too."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.science.sequential import classes, divergence
from trimtab.science.sequential.divergence import Divergence

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """A champion of few distinct scores: `values` and their chances (V,), and those of the challenger that differs by 1.

    A challenger that differs by d has d times that difference. Scores that only the challenger has are values, too.
    `named`: the values are names of classes, and no numbers.
    """

    values: tuple[float, ...]
    champion: tuple[float, ...]
    moves: tuple[float, ...]
    named: bool = False

    def chances(self, effect: float) -> tuple[Floats, Floats]:
        """Chances (V,) of champion and challenger."""
        champion = np.asarray(self.champion)
        return champion, champion + effect * np.asarray(self.moves)

    def past(self, rng: np.random.Generator, size: int = 2000) -> Floats:
        """Scores of the champion from before the rollout."""
        return rng.choice(np.asarray(self.values), size, p=np.asarray(self.champion))

    def start(self, rng: np.random.Generator) -> Divergence:
        """An empty comparison over bins that fit such a past."""
        past = self.past(rng)
        if self.named:
            found = classes.start(_codes(past))
            assert found is not None, "they repeat"
            return found
        edges = divergence.edges_from(past)
        return divergence.start(edges, shares=divergence.shares_of(past, edges))

    def binned(self, start: Divergence, chances: Floats) -> Floats:
        """Chances (G + 1,) of its bins."""
        at = (
            classes.places(start, _codes(self.values))
            if self.named
            else np.searchsorted(start.edges, self.values, side="left")
        )
        return np.bincount(at, weights=chances, minlength=len(start.edges) + 1).astype(np.float64)


FLAGS = Scores((0.0, 1.0), (0.8, 0.2), (-1.0, 1.0))
"""Zeros and ones, of which the challenger says one more often."""
TWO_SCORES = Scores((0.02, 0.31, 0.999), (0.0, 0.5, 0.5), (1.0, -1.0, 0.0))
"""Two scores, the lower of which moves down: below all of the champion's, and above none of them."""
TEN_CLASSES = Scores(
    (*map(float, range(10)), 4.5),
    (*(0.05,) * 5, 0.55, *(0.05,) * 4, 0.0),
    (*(0.0,) * 5, -1.0, *(0.0,) * 4, 1.0),
)
"""Ten numbers of classes, of which the commonest moves to a place between two others."""
TEXTS = Scores((0.0, 1.0, 2.0, 3.0), (0.55, 0.4, 0.05, 0.0), (-1.0, 0.5, 0.0, 0.5), named=True)
"""Yes, no and maybe, of which the commonest is called another one, or something new."""
CLASSES = Scores(tuple(map(float, range(40))), (0.025,) * 40, (*(-0.05,) * 20, *(0.05,) * 20), named=True)
"""Forty classes of equal share, half of which the challenger loses to the others."""


def _codes(values: ArrayLike) -> NDArray[np.int64]:
    return np.asarray([classes.code(str(value)) for value in np.asarray(values).tolist()], np.int64)
