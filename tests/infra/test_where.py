"""Comparisons mean the same on both engines."""

import pytest

from trimtab.infra.db import Database, comparison
from trimtab.infra.db.queries import statement
from trimtab.kernel.filters import BadFilter, Operator

_SELECT = statement(
    "select_names",
    "select name from (select 'Abc' as name union all select 'abc' union all select 'a*c'"
    " union all select 'a%c' union all select 'a[c' union all select 'a\\c') as t where {condition} order by name",
)


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("LIKE", "a_c", {"abc", "a*c", "a%c", "a[c", "a\\c"}),
        ("LIKE", "A%", {"Abc"}),
        ("LIKE", "a*c", {"a*c"}),
        ("LIKE", "a[c", {"a[c"}),
        ("LIKE", "a\\c", {"a\\c"}),
        ("LIKE", "b", set[str]()),
        ("ILIKE", "ABC", {"abc", "Abc"}),
        ("ILIKE", "%\\%", {"a\\c"}),
        ("=", "abc", {"abc"}),
        ("IN", ("abc", "nothing"), {"abc"}),
        ("NOT IN", ("abc", "Abc"), {"a*c", "a%c", "a[c", "a\\c"}),
        ("IS NULL", None, set[str]()),
    ],
)
def test_comparisons(db: Database, operator: Operator, value: object, expected: set[str]) -> None:
    condition, params = comparison("name", operator, value, name="v", dialect=db.dialect)
    with db.read() as tx:
        assert {row[0] for row in tx.all(_SELECT.with_(condition=condition), **params)} == expected


def test_an_overlong_pattern_is_refused(db: Database) -> None:
    with pytest.raises(BadFilter):
        comparison("name", "LIKE", "[" * 9000, name="v", dialect=db.dialect)
