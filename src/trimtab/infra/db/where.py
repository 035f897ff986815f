"""Builds WHERE fragments from conditions with bound values; values never become text of the statement."""

from typing import Any

from trimtab.infra.db.port import Dialect
from trimtab.kernel.filters import BadFilter, Operator

_LONGEST_PATTERN = 8000
_GLOB_SPECIAL = str.maketrans({"*": "[*]", "?": "[?]", "[": "[[]", "%": "*", "_": "?"})


class Where:
    """Conditions joined by AND, with their parameters."""

    def __init__(self) -> None:
        self._conditions: list[str] = []
        self.params: dict[str, Any] = {}

    def add(self, condition: str, **params: Any) -> "Where":
        """Add a condition whose text comes from code and whose values are ``:name`` parameters."""
        clash = self.params.keys() & params.keys()
        if clash:
            raise ValueError(f"parameters used twice: {sorted(clash)}")
        self._conditions.append(condition)
        self.params.update(params)
        return self

    def equals(self, **columns: Any) -> "Where":
        """Add ``column = value`` for each value that is not None."""
        for column, value in columns.items():
            if value is not None:
                self.add(f"{column} = :{column}", **{column: value})
        return self

    def any_of(self, column: str, values: list[Any]) -> "Where":
        """Add ``column in (values)``; an empty list matches nothing."""
        if not values:
            return self.add("1 = 0")
        names = {f"{column.replace('.', '_')}_{index}": value for index, value in enumerate(values)}
        return self.add(f"{column} in ({', '.join(':' + name for name in names)})", **names)

    def add_all(self, other: "Where") -> "Where":
        """Add every condition of another fragment."""
        self._conditions += other._conditions  # noqa: SLF001 - of the same class
        self.params.update(other.params)
        return self

    @property
    def sql(self) -> str:
        """The fragment with its leading WHERE, or nothing where there is no condition."""
        return (
            "where " + " and ".join(f"({condition})" for condition in self._conditions)
            if self._conditions
            else ""
        )


def comparison(
    column: str, operator: Operator, value: Any, *, name: str, dialect: Dialect
) -> tuple[str, dict[str, Any]]:
    """Return a condition and its parameters, alike on every engine.

    LIKE minds case and ILIKE does not (SQLite folds ASCII letters only); ``%`` and ``_`` are the only special
    characters. The names of the parameters begin with ``name``. Raises BadFilter for an overlong pattern.
    """
    if operator in ("LIKE", "ILIKE") and len(value) > _LONGEST_PATTERN:
        raise BadFilter(f"A pattern is longer than {_LONGEST_PATTERN} characters.", field="filter")
    match operator:
        case "IS NULL" | "IS NOT NULL":
            return f"{column} {operator.lower()}", {}
        case "IN" | "NOT IN":
            params = {f"{name}_{index}": one for index, one in enumerate(value)}
            return f"{column} {operator.lower()} ({', '.join(':' + key for key in params)})", params
        case "LIKE" if dialect == "sqlite":
            return f"{column} glob :{name}", {name: value.translate(_GLOB_SPECIAL)}
        case "LIKE" | "ILIKE" if dialect == "postgresql":
            return f"{column} {operator.lower()} :{name} escape ''", {name: value}
        case "ILIKE":
            return f"{column} like :{name}", {name: value}
        case "RLIKE":
            raise BadFilter("Regular expressions are not understood here.", field="filter")
        case _:
            return f"{column} {operator} :{name}", {name: value}
