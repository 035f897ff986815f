"""YAML files of foreign stores, read as plain mappings: no objects, no depth, no size beyond reason."""

from pathlib import Path
from typing import Any

from trimtab.moving.model import Unreadable

_MOST_BYTES = 24 << 20  # the profile of a data set may have 16 MiB
_MOST_DEPTH = 20
_STARTS = ("MappingStartEvent", "SequenceStartEvent")
_ENDS = ("MappingEndEvent", "SequenceEndEvent")


def read_mapping(file: Path) -> dict[str, Any]:
    """Return the mapping in a file; raises Unreadable, which says what is wrong."""
    import yaml

    try:
        if file.is_symlink() or file.stat().st_size > _MOST_BYTES:
            raise Unreadable("it is a link or too large")
        text = file.read_bytes()
    except OSError as error:
        raise Unreadable(f"it cannot be read: {error.strerror}") from error
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        depth = 0
        for event in yaml.parse(text, Loader=loader):  # the loader recurses in C, and would crash
            kind = type(event).__name__
            depth += (kind in _STARTS) - (kind in _ENDS)
            if depth > _MOST_DEPTH:
                raise Unreadable("it is nested too deeply")
        content = yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(f"it is no YAML: {str(error).splitlines()[0][:200]}") from error
    if not isinstance(content, dict):
        raise Unreadable("it is empty" if content is None else "it is no mapping")
    return content
