"""What an experiment is, and what its searches may compare."""

from typing import Literal

import msgspec

from trimtab.domains.tracking.names import (
    MOST_EXPERIMENT_NAME,
    MOST_EXPERIMENT_TAG,
    MOST_LOCATION,
    check_key,
    check_length,
)
from trimtab.kernel.errors import Invalid

State = Literal["active", "deleted"]
View = Literal["active", "deleted", "all"]

DEFAULT_ID = "0"
ARTIFACT_SCHEME = "mlflow-artifacts"
_MOST_NUMBER = 2**63 - 1


class Experiment(msgspec.Struct, frozen=True):
    """A named group of runs. Its id is a whole number as text."""

    id: str
    name: str
    artifact_location: str
    state: State
    created_us: int
    updated_us: int
    tags: dict[str, str]


def states(view: View) -> tuple[State, ...]:
    """Return the states that a view shows."""
    return ("active", "deleted") if view == "all" else (view,)


def parse_id(text: str) -> int:
    """Return the number of an experiment's id; raises Invalid for what is none."""
    try:
        number = int(text)
    except ValueError:
        number = _MOST_NUMBER + 1
    if not -_MOST_NUMBER <= number <= _MOST_NUMBER:
        raise Invalid(
            f"Invalid experiment ID '{text[:100]}'. Experiment ID must be a valid integer.",
            field="experiment_id",
        )
    return number


def check_name(name: str, field: str = "name") -> str:
    """Return the name; raises Invalid when it is empty or too long."""
    if not name:
        raise Invalid(f"Invalid experiment name: '{name}'", field=field)
    return check_length(name, MOST_EXPERIMENT_NAME, field)


def check_location(location: str) -> str:
    """Return where artifacts go; raises Invalid for a place that is no storage.

    The server itself reads and writes only ``mlflow-artifacts:`` locations; others are for clients alone.
    """
    if location.startswith("runs:"):
        raise Invalid(
            f"Artifact location cannot be a runs:/ URI. Given: '{location[:200]}'", field="artifact_location"
        )
    if "#" in location or any(ord(letter) < 32 for letter in location):
        raise Invalid("'artifact_location' URL can't include fragments or params.", field="artifact_location")
    if ".." in location.partition("?")[2]:
        raise Invalid("Invalid query string", field="artifact_location")
    if location.startswith(f"{ARTIFACT_SCHEME}:") and any(mark in location for mark in "?;"):
        raise Invalid("'artifact_location' URL can't include params or a query.", field="artifact_location")
    if location.startswith(f"{ARTIFACT_SCHEME}:") and ".." in location.split("/"):
        raise Invalid("'artifact_location' may not climb up.", field="artifact_location")
    return check_length(location, MOST_LOCATION, "artifact_location")


def check_tag(key: str, value: str) -> None:
    """Raise Invalid for a tag that an experiment does not take."""
    check_key(key, "key")
    check_length(value, MOST_EXPERIMENT_TAG, "value")


def below(location: str, path: str) -> str:
    """Return the place of a path within a location; a query stays at the end."""
    place, mark, query = location.partition("?")
    return f"{place.rstrip('/')}/{path}{mark}{query}"


def default_location(number: int) -> str:
    """Return where the artifacts of an experiment go unless it says otherwise."""
    return f"{ARTIFACT_SCHEME}:/{number}"
