"""The rules of what is written down, for the columns of a table that are written beside its predictions.

Heavy: imported only where tables are predicted.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from trimtab.serving.policies.fields import Anonymiser
from trimtab.serving.policies.settings import FieldRule

UNTOLD = "not told, since rules hold for what is written down of this model's inputs"
"""Stands where a reason stood that may quote a value."""


class TableRules:
    """The rules of one model over one table. Each column has one type, whatever its values are."""

    def __init__(self, rules: Mapping[str, FieldRule], key: bytes, *, inputs: Mapping[str, str]) -> None:
        """``rules`` are by the model's names for its inputs, ``inputs`` are these with the table's names for them."""
        self._anonymiser = Anonymiser(rules, key)
        self._rules = rules
        self._names = {name: name for name in rules} | {
            inputs[name]: name for name in rules if name in inputs
        }

    def __bool__(self) -> bool:
        return bool(self._rules)

    def drops(self, column: str) -> bool:
        """Whether a column of the table must not be written at all."""
        name = self._names.get(column)
        return name is not None and self._rules[name].kind == "drop"

    def apply(self, table: pa.Table) -> pa.Table:
        """Return the table as it may be written down."""
        for column in table.column_names:
            name = self._names.get(column)
            if name is None:
                continue
            if self.drops(column):
                table = table.drop_columns([column])
                continue
            values = self._anonymiser.apply({name: table.column(column).to_pylist()})[name]
            at = table.column_names.index(column)
            table = table.set_column(at, column, _typed(values, self._rules[name]))
        return table


def _typed(values: list[Any], rule: FieldRule) -> "pa.Array[Any]":
    if rule.kind == "generalise" and not rule.by.isalpha() and not rule.by.startswith("prefix:"):
        # What is no number cannot be coarsened; among numbers nothing stands for it.
        return pa.array([None if isinstance(value, str) else value for value in values], pa.float64())
    return pa.array([None if value is None else str(value) for value in values], pa.string())
