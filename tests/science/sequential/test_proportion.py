import pytest

from trimtab.science.sequential import proportion


def test_a_worse_version_is_found_and_a_like_one_is_not_inferior():
    worse = alike = proportion.start(expected_rate=0.02)
    for _ in range(40):
        worse = proportion.update(
            worse, champion_errors=2, champion_rows=100, challenger_errors=8, challenger_rows=100
        )
        alike = proportion.update(
            alike, champion_errors=2, champion_rows=100, challenger_errors=2, challenger_rows=100
        )
    found, fine = proportion.compare(worse), proportion.compare(alike, margin=0.02)
    assert (found.worse, found.not_inferior) == (True, False)
    assert (fine.worse, fine.not_inferior) == (False, True)
    assert found.difference.covers(0.06)
    assert (found.champion, found.challenger) == pytest.approx((0.02, 0.08))


def test_more_errors_than_rows_are_refused():
    with pytest.raises(ValueError):
        proportion.update(
            proportion.start(), champion_errors=3, champion_rows=2, challenger_errors=0, challenger_rows=2
        )
