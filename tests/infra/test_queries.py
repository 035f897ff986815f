"""The parser of ``queries.sql``: names, dialects, parameters and slots."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.infra.db.queries import parse, pyformat, statement

TEXT = """
-- A remark before the first statement is left out.
-- name: one
select a from t
where b = :b;

-- name: two
select ':not_a_parameter', x || '%' from t where y = :y_1;

-- name: two @postgresql
select 2::text where y = :y_1;

-- name: three
select * from t {where} order by {order};
"""


def test_statements_are_split_by_name() -> None:
    queries = parse(TEXT, "p")
    assert [query.name for query in queries] == ["one", "two", "three"]
    assert queries.one.sqlite == "select a from t\nwhere b = :b"
    assert queries.one.postgresql == "select a from t\nwhere b = %(b)s"


def test_a_variant_is_for_its_dialect_alone() -> None:
    two = parse(TEXT, "p").two
    assert two.sqlite == "select ':not_a_parameter', x || '%' from t where y = :y_1"
    assert two.postgresql == "select 2::text where y = %(y_1)s"


def test_an_unknown_statement_is_named() -> None:
    with pytest.raises(AttributeError, match=r"p/queries\.sql has no statement named 'four'"):
        _ = parse(TEXT, "p").four


def test_a_name_may_come_once() -> None:
    with pytest.raises(ValueError, match="names 'a' twice"):
        parse("-- name: a\nselect 1\n-- name: a\nselect 2", "p")


def test_a_variant_needs_its_statement() -> None:
    with pytest.raises(ValueError, match="only a PostgreSQL variant"):
        parse("-- name: a @postgresql\nselect 1", "p")


def test_slots_take_fragments_with_parameters() -> None:
    filled = parse(TEXT, "p").three.with_(where="where a = :a and b like '50%'", order="a")
    assert filled.sqlite == "select * from t where a = :a and b like '50%' order by a"
    assert filled.postgresql == "select * from t where a = %(a)s and b like '50%%' order by a"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("a = :b", "a = %(b)s"),
        ("cast(a as text) = :b_2", "cast(a as text) = %(b_2)s"),
        ("a::text", "a::text"),
        ("':b'", "':b'"),
        ("'it''s :b' || :c", "'it''s :b' || %(c)s"),
        ("5 % 2", "5 %% 2"),
        ("a like '%x'", "a like '%%x'"),
        ("'12:30'", "'12:30'"),
    ],
)
def test_parameters_are_translated(sql: str, expected: str) -> None:
    assert pyformat(sql) == expected


@given(st.text(st.sampled_from("ab:'% \n"), max_size=30))
def test_quoted_text_keeps_its_meaning(text: str) -> None:
    quoted = "'" + text.replace("'", "''") + "'"
    assert pyformat(quoted).replace("%%", "%") == quoted
    names = re.findall(r"%\((\w+)\)s", pyformat(f"{quoted} = :name"))
    assert names == ["name"]


def test_a_statement_made_in_code() -> None:
    query = statement("q", "select :a", postgresql="select :a::bigint")
    assert (query.sqlite, query.postgresql, repr(query)) == ("select :a", "select %(a)s::bigint", "Query(q)")
