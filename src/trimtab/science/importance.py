"""How much each parameter of many runs has to do with a metric: permutation importance of a small random forest.

Trees are extremely randomised (Geurts, Ernst, Wehenkel: Extremely randomized trees, Machine Learning 63, 2006), each
grown on a random two thirds of the runs; a parameter's importance is how much worse a tree predicts the runs that it
has not seen once the parameter's values are shuffled among them (Breiman: Random forests, Machine Learning 45, 2001).
Metric values enter as ranks, so that one diverged run does not decide alone and a logarithm changes nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TREES = 64
DEPTH = 9
LEAST_IN_LEAF = 3
TRIES = 12
FEWEST_RUNS = 8
MOST_PARAMETERS = 120


def parameter_importance(
    params: Sequence[Mapping[str, str]], values: Sequence[float], *, seed: int = 7
) -> dict[str, Any]:
    """Return ``{"explained": R2, "parameters": [{name, importance, correlation, kind}]}``, greatest first.

    ``values`` are finite, one a run. Importances are shares that add up to 1 (all 0 where nothing is explained);
    parameters that never vary are left out. Fewer than 8 runs explain nothing.

    >>> runs = [{"x": str(i % 10), "noise": str(i * 7919 % 13)} for i in range(200)]
    >>> parameter_importance(runs, [float(i % 10) for i in range(200)])["parameters"][0]["name"]
    'x'
    """
    columns = {
        name: encode([run.get(name) for run in params]) for name in sorted({k for r in params for k in r})
    }
    varying = {name: column for name, column in columns.items() if len(np.unique(column[0])) > 1}
    if len(varying) > MOST_PARAMETERS:
        spread = sorted(varying, key=lambda name: -len(np.unique(varying[name][0])))
        varying = {name: varying[name] for name in spread[:MOST_PARAMETERS]}
    target = ranks(np.asarray(values, np.float64))
    names = list(varying)
    scores, explained = np.zeros(len(names)), 0.0
    if len(target) >= FEWEST_RUNS and names and target.std() > 0:
        matrix = np.column_stack([varying[name][0] for name in names])
        scores, explained = _forest(matrix, target, np.random.default_rng(seed))
    total = scores.sum()
    shares = scores / total if total > 0 else scores
    order = sorted(range(len(names)), key=lambda i: (-shares[i], names[i]))
    return {
        "explained": round(float(explained), 4),
        "parameters": [
            {
                "name": names[i],
                "importance": round(float(shares[i]), 4),
                "correlation": _correlation(varying[names[i]], target),
                "kind": "number" if varying[names[i]][1] else "category",
            }
            for i in order
        ],
    }


def encode(texts: Sequence[str | None]) -> tuple[Floats, bool]:
    """Return a parameter as numbers, and whether it is one: categories become codes by how common they are.

    A missing value lies below all others.

    >>> encode(["1", None, "3"])[0].tolist()
    [1.0, -1.0, 3.0]
    """
    known = [text for text in texts if text is not None]
    numbers = [_number(text) for text in known]
    if known and all(number is not None for number in numbers):
        found = np.asarray(numbers, np.float64)
        below = float(found.min() - max(1.0, float(np.ptp(found))))
        return np.asarray([below if text is None else float(_number(text) or 0.0) for text in texts]), True
    counts: dict[str, int] = {}
    for text in known:
        counts[text] = counts.get(text, 0) + 1
    codes = {text: code for code, text in enumerate(sorted(counts, key=lambda text: (-counts[text], text)))}
    return np.asarray([-1.0 if text is None else float(codes[text]) for text in texts]), False


def ranks(values: Floats) -> Floats:
    """Return ranks in 0..1, equal for equal values."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts + 1) / 2
    return middle[inverse] / max(1, len(values) - 1)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _correlation(column: tuple[Floats, bool], target: Floats) -> float | None:
    values, numeric = column
    if not numeric or target.std() == 0:
        return None
    found = np.corrcoef(ranks(values), target)[0, 1]
    return round(float(found), 4) if np.isfinite(found) else None


def _forest(matrix: Floats, target: Floats, random: np.random.Generator) -> tuple[Floats, float]:
    """Return each column's importance, in shares of the variance, and the share that unseen rows' columns explain."""
    rows, columns = matrix.shape
    harm = np.zeros(columns)
    guesses, votes = np.zeros(rows), np.zeros(rows)
    for _ in range(TREES):
        order = random.permutation(rows)
        cut = max(LEAST_IN_LEAF * 2, rows * 2 // 3)
        grown_on, unseen = order[:cut], order[cut:]
        tree = _Tree(matrix[grown_on], target[grown_on], random)
        if not len(unseen):
            continue
        held, truth = matrix[unseen], target[unseen]
        guess = tree.predict(held)
        guesses[unseen] += guess
        votes[unseen] += 1
        error = float(np.mean((guess - truth) ** 2))
        for column in tree.used:
            shuffled = held.copy()
            shuffled[:, column] = random.permutation(held[:, column])
            harm[column] += float(np.mean((tree.predict(shuffled) - truth) ** 2)) - error
    seen = votes > 0
    variance = float(target.var())
    missed = float(np.mean((guesses[seen] / votes[seen] - target[seen]) ** 2)) if seen.any() else variance
    return np.clip(harm / TREES / variance, 0.0, None), max(0.0, 1.0 - missed / variance)


class _Tree:
    """One tree, grown level by level for all nodes at once; node n has the children 2n + 1 and 2n + 2."""

    def __init__(self, matrix: Floats, target: Floats, random: np.random.Generator) -> None:
        size = 2 ** (DEPTH + 1) - 1
        self.column = np.full(size, -1)
        self.cut = np.zeros(size)
        self.mean = np.full(size, float(target.mean()))
        node = np.zeros(len(target), np.int64)
        for _ in range(DEPTH):
            if not self._split(matrix, target, node, random):
                break
        self.used = sorted({int(column) for column in self.column if column >= 0})

    def _split(
        self, matrix: Floats, target: Floats, node: NDArray[np.int64], random: np.random.Generator
    ) -> bool:
        """Give every node of the deepest level its best of some random cuts; ``node`` is moved down in place."""
        size = len(self.column)
        rows = np.arange(len(target))
        count = np.bincount(node, minlength=size).astype(np.float64)
        total = np.bincount(node, target, minlength=size)
        best_gain = np.full(size, 1e-9)
        best_column, best_cut = np.full(size, -1), np.zeros(size)
        for _ in range(TRIES):
            column = random.integers(matrix.shape[1], size=size)
            member = np.zeros(size, np.int64)
            shuffled = random.permutation(len(target))
            member[node[shuffled]] = shuffled  # some row of each node
            cut = matrix[member, column]
            right = matrix[rows, column[node]] > cut[node]
            n_right = np.bincount(node, right, minlength=size)
            sum_right = np.bincount(node, right * target, minlength=size)
            n_left, sum_left = count - n_right, total - sum_right
            fits = (n_left >= LEAST_IN_LEAF) & (n_right >= LEAST_IN_LEAF)
            gain = np.zeros(size)
            gain[fits] = (
                sum_left[fits] ** 2 / n_left[fits]
                + sum_right[fits] ** 2 / n_right[fits]
                - total[fits] ** 2 / count[fits]
            )
            better = gain > best_gain
            best_gain[better] = gain[better]
            best_column[better], best_cut[better] = column[better], cut[better]
        divided = best_column >= 0
        self.column[divided], self.cut[divided] = best_column[divided], best_cut[divided]
        moved = divided[node]
        if not moved.any():
            return False
        going = matrix[rows, np.maximum(best_column[node], 0)] > best_cut[node]
        node[moved] = 2 * node[moved] + 1 + going[moved]
        counts = np.bincount(node, minlength=size)
        sums = np.bincount(node, target, minlength=size)
        reached = counts > 0
        self.mean[reached] = sums[reached] / counts[reached]
        return True

    def predict(self, matrix: Floats) -> Floats:
        """Return the mean of each row's leaf."""
        rows = np.arange(len(matrix))
        node = np.zeros(len(matrix), np.int64)
        for _ in range(DEPTH):
            column = self.column[node]
            inner = column >= 0
            if not inner.any():
                break
            going = matrix[rows, np.maximum(column, 0)] > self.cut[node]
            node = np.where(inner, 2 * node + 1 + going, node)
        return self.mean[node]
