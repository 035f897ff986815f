"""A compiled model for many rows at once: its graph up to the trees, XGBoost's predictor, and its graph behind them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from trimtab.serving.trees.graphs import Cut, cut
from trimtab.serving.trees.model import written
from trimtab.serving.trees.predictor import Predictor

_RELATIVE, _ABSOLUTE = 1e-5, 1e-6
"""How far sums in single precision may be apart that are added up in another order."""


class Batches:
    """A model whose trees are taken out of its graph. Any thread may call it, several at a time too."""

    def __init__(self, parts: Cut, before: Any, after: Any, predictor: Predictor) -> None:
        self._fed = parts.fed
        self._sums = parts.sums
        self._base = parts.trees.base
        self._before = before
        self._after = after
        self._predictor = predictor

    def run(self, names: Sequence[str], feed: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Return the named outputs, as a session of the whole graph does. Raises PredictorFailed, or what a session raises."""
        given = feed[self._fed] if self._before is None else self._before.run([self._fed], feed)[0]
        sums = self._predictor.sums(np.ascontiguousarray(given, np.float32))
        sums += self._base
        return self._after.run(names, {self._sums: sums})


def taken_out(
    model: bytes,
    session: Callable[[bytes], Any],
    *,
    whole: Any,
    names: Sequence[str],
    feed: Mapping[str, np.ndarray],
) -> Batches | None:
    """Return a model with its trees taken out, None where that cannot be or where it answers these rows otherwise.

    ``session`` opens a graph, and ``whole`` is that of the whole one. Raises PredictorFailed, BadProtobuf, or what a
    session raises.
    """
    parts = cut(model)
    if parts is None:
        return None
    before = session(parts.before) if parts.before is not None else None
    given = feed[parts.fed] if before is None else before.run([parts.fed], feed)[0]
    columns = int(given.shape[1])
    if given.dtype != np.float32 or int(parts.trees.feature.max()) >= columns:
        return None
    predictor = Predictor(written(parts.trees, columns=columns), columns=columns)
    batches = Batches(parts, before, session(parts.after), predictor)
    return batches if _agree(whole.run(names, feed), batches.run(names, feed)) else None


def _agree(wanted: Sequence[np.ndarray], given: Sequence[np.ndarray]) -> bool:
    """Whether numbers are as good as the same. Labels follow from them; where there are labels alone, they must be the same."""
    numbers = [at for at, array in enumerate(wanted) if array.dtype.kind == "f"]
    if not numbers:
        return all(np.array_equal(one, other) for one, other in zip(wanted, given, strict=True))
    return all(
        np.allclose(given[at], wanted[at], rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True) for at in numbers
    )
