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


def _are_numbers(old: Any, new: Any) -> bool:
    return str(old).isdigit() and str(new).isdigit()


ACCEPTED: tuple[Accepted, ...] = (
    Accepted(
        "at the root lie the experiments of all scripts; a number that one server gave may have failed at the other",
        r"GET /api/2\.0/mlflow-artifacts/artifacts(\?path=)?$",
        r"^files\[\d+\]\.path$",
        _are_numbers,
    ),
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
    Accepted(
        "MLflow's server turns NaN into 0 in the metrics of a logged model; here it stays NaN",
        "logged-models",
        r"data\.metrics\[\d+\]\.value$",
        lambda old, new: (old, new) == (0, "NaN"),
    ),
    Accepted(
        "a metric of a logged model may have one value for each data set at a step",
        r"\(of two data sets at a step\)",
        "^(status|error_code)$",
    ),
    Accepted(
        "a data set without a digest stands for all its digests, and not for none",
        r'"datasets":\[\{"dataset_name":"(train|test)"\}',
        "^models$",
        lambda old, _new: old == "(absent)",
    ),
    Accepted(
        "in the search for logged models a name or a text may stand in either kind of quotes, as in all searches",
        r'logged-models/search .*(\\"(alpha|auc|it\'s)\\"|`(auc|a b)`"\})',
        "",
    ),
    Accepted(
        "a filter that is wrong is refused in the search for logged models too",
        r'logged-models/search .*"filter":"(name IN \((1)?\)|name = alpha|metrics\.a/b > 0|metrics\.auc > NaN)',
        "^(status|error_code)$",
        _is_refused,
    ),
    Accepted(
        "the status of a logged model may be named, not only numbered",
        r"\"filter\":\"status = 'READY'",
        "^models$",
    ),
    Accepted("a page has at least one result", r'"max_results":-1', "^(status|error_code)$", _is_refused),
    Accepted(
        "names of logged models have at most 500 characters",
        f'"name":"{"n" * 200}',
        "^(status|error_code)$",
        _is_refused,
    ),
    Accepted(
        "retries are safe: to give a parameter its own value again changes nothing",
        r"/params .*\(the same value\)",
        "^(status|error_code)$",
    ),
    Accepted("the key of a tag may hold a slash", r"/tags/a/b", "^status$"),
    Accepted("the name of a media type minds no case", r"\(in large letters\)", "^(status|error_code)$"),
    Accepted("an address with a doubled slash is another address", r"mlflow//runs/get", "^status$"),
    Accepted(
        "large files go up and come down in parts, also to and from the local store",
        "server-info",
        r"^multipart_(up|down)loads_enabled$",
        lambda old, new: (old, new) == (False, True),
    ),
    Accepted(
        "the tag that names the versions of a logged model names each once, and its number as a number",
        "GET .*/logged-models/m-",
        r"^model\.info\.tags\[\d+\]\.value$",
        lambda old, new: (
            str(old).startswith('[{"name"') and '"version": "' in old and '"version": "' not in new
        ),
    ),
    Accepted(
        "PostgreSQL folds all letters, where SQLite folds those of ASCII", "name ILIKE 'ÜBER", "^experiments$"
    ),
    Accepted(
        "a listing takes paths in their shortest form; the root lists what it holds",
        r"artifacts\?path=(\.|/|a//b|a\\b)$",
        "^(status|error_code|answer|files)",
    ),
    Accepted(
        "a request for several ranges is answered with the whole file",
        r"model\.bin \(several ranges\)",
        "^(status|answer)$",
    ),
    Accepted(
        "the words about a range that cannot be read are our own", r"model\.bin \(no range\)", "^answer$"
    ),
    Accepted(
        "a folder is no file, and the answer says so",
        r"/artifacts/model \(a folder\)",
        "^(error_code|answer)$",
    ),
    Accepted("there is no gateway for language models", "server-info", r"^features_enabled\.gateway$"),
    Accepted("a space within a name is a slip", r"metrics\. m >", "^(status|error_code)$", _is_refused),
    Accepted(
        "a name that is a word of SQL needs no quotes",
        r"metrics\.in >",
        "^(status|error_code|answer|runs)",
        _always,
    ),
    Accepted("a name is not empty", r'"order_by":\["metrics\."', "^(status|error_code)$", _is_refused),
    Accepted("the name of an entity may stand in quotes", r'\\"metrics\\"\.m', "^(status|error_code)$"),
    Accepted(
        "a version without a description has an empty one",
        r"model-versions/",
        r"^model_version\.description$",
        lambda old, new: (old, new) == ("(absent)", ""),
    ),
    Accepted(
        "a copy of a version of a run is found where the run's files are, by their address instead of the run's",
        r"get-download-uri.*version=6",
        "^artifact_uri$",
    ),
    Accepted("a space within a name is a slip", r"filter=tags\. ", "^(status|error_code)$", _is_refused),
    Accepted("a page has at least one result", r"max_results=(0|-1)$", "^(status|error_code)$", _is_refused),
    Accepted(
        "the numbers of versions are never given again, not even where a model of the name is gone",
        r'(model-versions/create \{"name":"S\w+B","source":"s3://x/y"\}|registered-models/search\?filter=name LIKE .S\w+%.$)',
        r"version$",
    ),
)
