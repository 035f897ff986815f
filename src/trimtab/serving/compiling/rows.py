"""Reference rows: what both forms of a model must agree on.

Given rows and the input example; random rows over the ranges that the fitted model betrays; rows with values at tree
thresholds and next to them, in both precisions; rows with values missing, where the signature lets them be.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from trimtab.serving.loaders import Rows
from trimtab.serving.routes import Field

RANDOM_ROWS = 1000
MOST_NEAR_ROWS = 3000
_MISSING_ROWS = 4
_TIMED_BATCHES = 100
_MOST_THRESHOLD = 1e37  # beyond are those that only tell missing values from others
_SEED = 20_260_101
_INTEGERS = {"integer": (-(2**31), 2**31 - 1), "long": (-(2**53), 2**53)}


class Hint:
    """What the fitted model betrays of one column: values that occur, its middle and spread, its thresholds."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.low: float | None = None
        self.high: float | None = None
        self.thresholds: np.ndarray = np.array([])

    def reach(self, *values: float) -> None:
        finite = [value for value in values if np.isfinite(value)]
        self.low = min([*finite, *([] if self.low is None else [self.low])], default=None)
        self.high = max([*finite, *([] if self.high is None else [self.high])], default=None)


def hints_of(estimator: Any, names: Sequence[str]) -> list[Hint]:
    """Return what a scikit-learn estimator or pipeline betrays of the columns that it takes, in their order."""
    hints = [Hint() for _ in names]
    _look(estimator, list(range(len(names))), hints, np.ones(len(names)), np.zeros(len(names)))
    return hints


def _look(part: Any, columns: list[int], hints: list[Hint], scale: np.ndarray, shift: np.ndarray) -> None:
    """Follow the columns through the parts that keep them one for one; raw = seen * scale + shift."""
    if hasattr(part, "steps"):
        _look_at_steps(part, columns, hints, scale, shift)
        return
    if hasattr(part, "transformers_"):
        places = getattr(part, "_transformer_to_input_indices", {})
        for name, step, _ in part.transformers_:
            picked = [at for at in places.get(name, []) if at < len(columns)]
            if picked and not isinstance(step, str):
                _look(step, [columns[at] for at in picked], hints, scale[picked], shift[picked])
        return
    _look_at_values(part, columns, hints, scale, shift)
    thresholds = _thresholds(part)
    for at, values in thresholds.items():
        if at < len(columns):
            hint = hints[columns[at]]
            hint.thresholds = np.unique(np.concatenate([hint.thresholds, values * scale[at] + shift[at]]))
    for one in [] if thresholds else _parts(getattr(part, "estimators_", None)):
        if hasattr(one, "get_params"):
            _look(one, columns, hints, scale, shift)


def _look_at_steps(
    pipeline: Any, columns: list[int], hints: list[Hint], scale: np.ndarray, shift: np.ndarray
) -> None:
    for _, step in pipeline.steps:
        if step is None or isinstance(step, str):
            continue
        _look(step, columns, hints, scale, shift)
        if not _keeps_columns(step, len(columns)):
            return
        step_scale, step_shift = _affine(step, len(columns))
        shift = step_shift * scale + shift
        scale = step_scale * scale


def _parts(value: Any) -> Iterable[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _look_at_values(
    part: Any, columns: list[int], hints: list[Hint], scale: np.ndarray, shift: np.ndarray
) -> None:
    for at, values in enumerate(getattr(part, "categories_", None) or []):
        if at < len(columns):
            hints[columns[at]].values += [value for value in list(values) if not _is_gap(value)]
    middle, spread = getattr(part, "mean_", None), getattr(part, "scale_", None)
    if middle is None:
        middle = getattr(part, "center_", None)
    low, high = getattr(part, "data_min_", None), getattr(part, "data_max_", None)
    for at, column in enumerate(columns):
        ends: list[float] = []
        if middle is not None and spread is not None and np.size(middle) == np.size(spread) == len(columns):
            ends = [float(middle[at] - 4 * spread[at]), float(middle[at] + 4 * spread[at])]
        elif low is not None and high is not None and np.size(low) == len(columns):
            ends = [float(low[at]), float(high[at])]
        hints[column].reach(*(end * scale[at] + shift[at] for end in ends))
    filled = getattr(part, "statistics_", None)
    if filled is not None and np.size(filled) == len(columns):
        for at, column in enumerate(columns):
            if isinstance(filled[at], str):
                hints[column].values.append(filled[at])


def _keeps_columns(step: Any, count: int) -> bool:
    name = type(step).__name__
    return name.endswith(("Scaler", "Imputer")) and getattr(step, "n_features_in_", count) == count


def _affine(step: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (scale, shift) with which a scaler's output becomes its input again."""
    scale, shift = np.ones(count), np.zeros(count)
    spread = getattr(step, "scale_", None)
    if spread is not None and np.size(spread) == count:
        if hasattr(step, "data_min_"):
            return 1 / np.asarray(spread), -np.asarray(step.min_) / np.asarray(spread)
        scale = np.asarray(spread, dtype=np.float64)
    middle = getattr(step, "mean_", None)
    if middle is None:
        middle = getattr(step, "center_", None)
    if middle is not None and np.size(middle) == count:
        shift = np.asarray(middle, dtype=np.float64)
    return scale, shift


def _thresholds(part: Any) -> Mapping[int, np.ndarray]:
    from trimtab.serving.compiling.convert import estimator_ensemble
    from trimtab.serving.compiling.errors import Unsupported

    try:
        found = estimator_ensemble(part)
    except Unsupported:
        return {}
    return found.forest.thresholds() if found is not None else {}


def _is_gap(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


class References:
    """Makes rows of the signature's columns, the same for the same model."""

    def __init__(
        self, fields: Sequence[Field], hints: Sequence[Hint], examples: Mapping[str, Sequence[Any]]
    ) -> None:
        self._fields = fields
        self._hints = hints
        self._random = np.random.default_rng(_SEED)
        for field, hint in zip(fields, hints, strict=True):
            seen = [value for value in examples.get(field.name, []) if not _is_gap(value)]
            if field.type == "string":
                hint.values += seen
            else:
                numbers = [float(value) for value in seen]
                hint.reach(*numbers, *(value * 2 for value in numbers), *(-value for value in numbers))
            if len(hint.thresholds):
                hint.thresholds = hint.thresholds[np.abs(hint.thresholds) < _MOST_THRESHOLD]
            if len(hint.thresholds):
                width = float(np.ptp(hint.thresholds)) or 1.0
                ends = float(hint.thresholds.min()) - width / 4, float(hint.thresholds.max()) + width / 4
                hint.reach(*ends)
        self._base = self._make(RANDOM_ROWS)

    def random(self) -> Rows:
        return self._rows(self._base)

    def near(self) -> Rows | None:
        """Return rows in which one value is a threshold, or the next number below or above it in either precision."""
        pairs = [
            (at, value)
            for at, hint in enumerate(self._hints)
            for value in hint.thresholds
            if self._fields[at].type in ("float", "double")
        ]
        if not pairs:
            return None
        most = MOST_NEAR_ROWS // 6
        if len(pairs) > most:
            pairs = [pairs[at] for at in np.sort(self._random.choice(len(pairs), most, replace=False))]
        count = len(pairs) * 6
        columns = {
            name: [values[at % RANDOM_ROWS] for at in range(count)] for name, values in self._base.items()
        }
        for place, (at, value) in enumerate(pairs):
            column = columns[self._fields[at].name]
            column[place * 6 : place * 6 + 6] = _neighbours(float(value))
        return self._rows(columns)

    def gaps(self) -> dict[str, Rows]:
        """Return, for each column that may have missing values, a few rows in which it is missing."""
        made: dict[str, Rows] = {}
        for field in self._fields:
            if field.required:
                continue
            columns = {name: values[:_MISSING_ROWS] for name, values in self._base.items()}
            columns[field.name] = [None] * _MISSING_ROWS
            made[field.name] = self._rows(columns)
        return made

    def holey(self, names: Sequence[str]) -> Rows | None:
        """Return random rows with a fifth of the values of these columns missing."""
        if not names:
            return None
        columns = {name: list(values) for name, values in self._base.items()}
        for name in names:
            lost = self._random.random(RANDOM_ROWS) < 0.2
            columns[name] = [None if gone else value for value, gone in zip(columns[name], lost, strict=True)]
        return self._rows(columns)

    def strangers(self) -> Rows | None:
        """Return rows with texts that the model has never seen, None where it takes no text."""
        texts = [field.name for field in self._fields if field.type == "string"]
        if not texts:
            return None
        columns = {name: list(values[:_MISSING_ROWS]) for name, values in self._base.items()}
        for at in range(_MISSING_ROWS):
            columns[texts[at % len(texts)]][at] = ("never seen", "", "\N{SNOWMAN}", " ")[at]
        return self._rows(columns)

    def batches(self, rows: int) -> list[Rows]:
        """Return random rows in batches of one size, for taking times: a hundred single rows, or one batch of many."""
        return [
            self._rows(
                {
                    name: [values[(start + at) % RANDOM_ROWS] for at in range(rows)]
                    for name, values in self._base.items()
                }
            )
            for start in range(_TIMED_BATCHES if rows == 1 else 1)
        ]

    def _make(self, count: int) -> dict[str, list[Any]]:
        return {
            field.name: self._column(field, hint, count)
            for field, hint in zip(self._fields, self._hints, strict=True)
        }

    def _column(self, field: Field, hint: Hint, count: int) -> list[Any]:
        random = self._random
        if field.type == "string":
            known = [str(value) for value in hint.values] or [f"text {at}" for at in range(5)]
            return [known[at] for at in random.integers(len(known), size=count)]
        if field.type == "boolean":
            return [bool(one) for one in random.integers(2, size=count)]
        numbers = [value for value in hint.values if isinstance(value, int | float | np.number)]
        if numbers:
            values = np.array(numbers, dtype=np.float64)[random.integers(len(numbers), size=count)]
        elif hint.low is not None and hint.high is not None and hint.high > hint.low:
            values = random.uniform(hint.low, hint.high, count)
        else:
            # Nothing is known: numbers of every ordinary size.
            values = random.normal(size=count) * 10.0 ** random.integers(-2, 4, count)
        if field.type in _INTEGERS:
            low, high = _INTEGERS[field.type]
            return [int(one) for one in np.clip(np.rint(values), low, high)]
        return values.tolist()

    def _rows(self, columns: dict[str, list[Any]]) -> Rows:
        return Rows(len(next(iter(columns.values()))), columns=columns)


def _neighbours(value: float) -> list[float]:
    single = np.float32(value)
    return [
        value,
        float(np.nextafter(value, -np.inf)),
        float(np.nextafter(value, np.inf)),
        float(single),
        float(np.nextafter(single, np.float32(-np.inf))),
        float(np.nextafter(single, np.float32(np.inf))),
    ]


def packed(rows: Rows, fields: Sequence[Field]) -> Rows:
    """Return rows of numbers as the gateway sends them: one float64 matrix, missing values as NaN."""
    assert rows.columns is not None
    columns = [[np.nan if value is None else value for value in rows.columns[field.name]] for field in fields]
    return Rows(rows.count, matrix=np.array(columns, dtype=np.float64).T)
