"""What a saved view is, and which ones are kept."""

from typing import Any

import msgspec

from trimtab.kernel.errors import Invalid

MOST_NAME = 200
MOST_STATE_BYTES = 65_536
MOST_PAGE = 50


class View(msgspec.Struct, frozen=True):
    """A name for the state of a page: its filter, columns, order. ``experiment_id`` is empty where it fits any.

    The server does not look into ``state``; it belongs to the page.
    """

    id: str
    name: str
    page: str
    experiment_id: str
    state: dict[str, Any]
    owner_id: str
    owner: str
    shared: bool
    updated_us: int


def check_view(name: str, page: str, state: dict[str, Any]) -> bytes:
    """Return the state as it is kept; raises Invalid for what is empty or too large."""
    if not name.strip() or len(name) > MOST_NAME:
        raise Invalid(f"The name of a view has between 1 and {MOST_NAME} characters.", field="name")
    if not page or len(page) > MOST_PAGE or not page.replace("-", "").isalnum():
        raise Invalid("The page of a view is a word such as 'runs'.", field="page")
    kept = msgspec.json.encode(state)
    if len(kept) > MOST_STATE_BYTES:
        raise Invalid(f"The state of a view has at most {MOST_STATE_BYTES} bytes.", field="state")
    return kept
