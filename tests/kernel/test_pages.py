"""Keyset pages: what was not issued is refused, whatever it would have meant to a database."""

import pytest

from trimtab.kernel.errors import Invalid
from trimtab.kernel.pages import cursor_key, decode_cursor, encode_cursor, page_of

KEYS = [2**63, -(2**63) - 1, 10**40, "a\x00b", None, True, 1.5]
LONE_SURROGATE = "WyJcdWQ4MDAiXQ"  # ["\ud800"]


@pytest.mark.parametrize("cursor", [*(encode_cursor((key,)) for key in KEYS), LONE_SURROGATE, "no cursor"])
def test_a_forged_key_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid, match="cursor"):
        cursor_key(cursor, int)
    with pytest.raises(Invalid, match="cursor"):
        cursor_key(cursor, str)


def test_a_key_comes_back() -> None:
    assert cursor_key(encode_cursor((2**63 - 1,)), int) == 2**63 - 1
    assert cursor_key(encode_cursor(("Grüße",)), str) == "Grüße"
    assert decode_cursor(encode_cursor((1.5, None)), 2) == (1.5, None)
    with pytest.raises(Invalid):
        cursor_key(encode_cursor((1, 2)), int)


def test_one_more_than_a_page_tells_that_there_are_more() -> None:
    assert page_of([], 2, key=int).next_cursor is None
    assert page_of([3, 2], 2, key=int).next_cursor is None
    page = page_of([3, 2, 1], 2, key=int)
    assert page.items == [3, 2]
    assert cursor_key(page.next_cursor or "", int) == 2
