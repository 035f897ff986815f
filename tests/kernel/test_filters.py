"""The grammar of search filters and orderings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.kernel.filters import BadFilter, Ordering, parse_filter, parse_ordering


@pytest.mark.parametrize(
    ("text", "entity", "key", "operator", "value"),
    [
        ("metrics.auc > 0.9", "metrics", "auc", ">", 0.9),
        ("metrics.auc>=-1e-3", "metrics", "auc", ">=", -0.001),
        ("start_time != 12", None, "start_time", "!=", 12),
        ("metrics.`val auc`=1", "metrics", "val auc", "=", 1),
        ('tags."a b" = "it\'s"', "tags", "a b", "=", "it's"),
        ("tags.mlflow.source.name like '%x_'", "tags", "mlflow.source.name", "LIKE", "%x_"),
        ("params.`a.b` ILIKE 'x'", "params", "a.b", "ILIKE", "x"),
        ("attributes.`Run name` = 'x'", "attributes", "Run name", "=", "x"),
        ("run_id IN ('a', \"b\")", None, "run_id", "IN", ("a", "b")),
        ("run_id not  in ('a',)", None, "run_id", "NOT IN", ("a",)),
        ("tags.x IS  NULL", "tags", "x", "IS NULL", None),
        ("tags.x is not null", "tags", "x", "IS NOT NULL", None),
        ("name = 'it''s'", None, "name", "=", "it''s"),
        ("params.and = 'and or'", "params", "and", "=", "and or"),
    ],
)
def test_a_clause_is_read(text: str, entity: str | None, key: str, operator: str, value: object) -> None:
    (clause,) = parse_filter(text)
    assert (clause.entity, clause.key, clause.operator, clause.value) == (entity, key, operator, value)


def test_clauses_are_joined_by_and() -> None:
    clauses = parse_filter("  params.a = 'x' AND metrics.b < 2\nand tags.c != 'y' ")
    assert [clause.key for clause in clauses] == ["a", "b", "c"]
    assert [clause.position for clause in clauses] == [2, 21, 39]
    assert parse_filter("") == []


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("   ", 0),
        ("metrics.1 > 0", 0),
        ("a = 1 or b = 2", 9),
        ("metrics.a > ", 12),
        ("metrics.a = abc", 12),
        ("(a = 1)", 0),
        ("metrics.a-b > 1", 9),
        ("metrics.a", 9),
        ("x IN (1, 2)", 5),
        ("x IN ()", 5),
        ("x IN ('a\\x00')", 5),
        ("x = 'open", 4),
        ("x <> 1", 3),
    ],
)
def test_errors_name_the_place(text: str, position: int) -> None:
    with pytest.raises(BadFilter) as caught:
        parse_filter(text)
    assert caught.value.details == {"position": position}


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_filter, parse_ordering):
        try:
            parse(text)
        except BadFilter:
            continue


@given(
    st.text(st.characters(blacklist_characters="`'", blacklist_categories=["Cs"]), min_size=1, max_size=30)
)
def test_quoted_keys_and_values_survive(text: str) -> None:
    (clause,) = parse_filter(f"params.`{text}` = '{text}'")
    assert clause.value == text
    assert clause.key == text or text[0] == text[-1] == '"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metrics.auc DESC", Ordering("metrics", "auc", False)),
        ("start_time", Ordering(None, "start_time", True)),
        ("metrics.`a b`  asc", Ordering("metrics", "a b", True)),
        ('params."a b"', Ordering("params", "a b", True)),
    ],
)
def test_an_ordering_is_read(text: str, expected: Ordering) -> None:
    assert parse_ordering(text) == expected


@pytest.mark.parametrize("text", ["", "x y", "x y desc", "params.a;drop", "desc desc desc"])
def test_a_bad_ordering_is_refused(text: str) -> None:
    with pytest.raises(BadFilter):
        parse_ordering(text)
