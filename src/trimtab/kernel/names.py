"""The names that people give to endpoints, datasets and monitors: they stand in addresses and file names as they are."""

import re

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def is_name(text: str) -> bool:
    """Say whether a text has up to 128 letters, digits, '.', '_' and '-' only, a letter or digit first.

    >>> is_name("flights-2.1"), is_name("../flights"), is_name("")
    (True, False, False)
    """
    return _NAME.fullmatch(text) is not None
