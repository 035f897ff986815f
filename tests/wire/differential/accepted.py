"""The differences from MLflow's server that we keep on purpose, each with its reason."""

from collections.abc import Callable
from typing import Any

import msgspec

MALFORMED = "malformed"  # how scripts mark requests that MLflow's server half accepts


def _always(_old: Any, _new: Any) -> bool:
    return True


def _was_a_failure(old: Any, new: Any) -> bool:
    return old in (500, "INTERNAL_ERROR", "INVALID_STATE") and new not in (500, "INTERNAL_ERROR")


def _is_refused(_old: Any, new: Any) -> bool:
    return new in (400, "INVALID_PARAMETER_VALUE") or isinstance(new, dict)


def _was_a_web_page(old: Any, _new: Any) -> bool:
    return isinstance(old, str) and old.lstrip().lower().startswith("<!doctype html>")


class Accepted(msgspec.Struct, frozen=True):
    """A difference that may stay. ``request`` and ``field`` are searched for as regular expressions."""

    why: str
    request: str
    field: str
    when: Callable[[Any, Any], bool] = _always


ACCEPTED: tuple[Accepted, ...] = (
    Accepted(
        "MLflow's server fails here; what the caller did wrong is said to the caller, and is no error of the server",
        "",
        "^(status|error_code)$",
        _was_a_failure,
    ),
    Accepted(
        "MLflow's server fails here, or has no such address, and says so with a web page",
        "",
        "^answer$",
        _was_a_web_page,
    ),
    Accepted(
        "MLflow's server drops a value of the wrong type and all fields after it without a word; here it is refused by name",
        rf"\({MALFORMED}",
        "^(status|error_code|answer)$",
        _is_refused,
    ),
    Accepted(
        "every address outside the API answers 404 ENDPOINT_NOT_FOUND, also to the wrong method",
        "",
        "^status$",
        lambda old, new: (old, new) == (405, 404),
    ),
    Accepted(
        "what MLflow's server has only below /ajax-api is below /api too",
        r"/api/2\.0/mlflow/(metrics/get-history-bulk|experiments/search-datasets)",
        "^status$",
        lambda old, new: (old, new) == (404, 200),
    ),
    Accepted(
        "retries are safe: to say again which model came out of a run changes nothing",
        r"runs/outputs .*\(sent again\)",
        "^(status|error_code)$",
    ),
    Accepted(
        "times are kept in microseconds, which end in the year 294,247",
        r"\(a time beyond all calendars\)",
        "^(status|error_code)$",
    ),
    Accepted("a space within a name is a slip", r"metrics\. m >", "^(status|error_code)$", _is_refused),
    Accepted(
        "a name that is a word of SQL needs no quotes",
        r"metrics\.in >",
        "^(status|error_code|answer|runs)",
        _always,
    ),
    Accepted("a name is not empty", r'"order_by":\["metrics\."', "^(status|error_code)$", _is_refused),
    Accepted("the name of an entity may stand in quotes", r'\\"metrics\\"\.m', "^(status|error_code)$"),
)
