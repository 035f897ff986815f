"""Renders errors as MLflow's clients expect them: a code on which they branch, and a sentence."""

import msgspec
from starlette.responses import Response

from trimtab.infra.http.problems import as_error
from trimtab.kernel.errors import Invalid, Kind, TrimtabError

# error_code, HTTP status, sqlstate, error_class
_Row = tuple[str, int, str | None, str | None]
_INVALID: _Row = ("INVALID_PARAMETER_VALUE", 400, "KAM00", "INVALID_PARAMETER_VALUE")
_EXISTS: _Row = ("RESOURCE_ALREADY_EXISTS", 400, "KAM00", "RESOURCE_ALREADY_EXISTS")
_NO_ENDPOINT: _Row = ("ENDPOINT_NOT_FOUND", 404, "KAM00", "RESOURCE_NOT_FOUND")
_BY_KIND: dict[Kind, _Row] = {
    "invalid": _INVALID,
    "not-found": ("RESOURCE_DOES_NOT_EXIST", 404, "KAM00", "RESOURCE_NOT_FOUND"),
    "conflict": ("RESOURCE_CONFLICT", 409, None, None),
    "forbidden": ("PERMISSION_DENIED", 403, "KAM00", "PERMISSION_DENIED"),
    "unauthenticated": ("UNAUTHENTICATED", 401, None, None),
    "unavailable": ("TEMPORARILY_UNAVAILABLE", 503, "XXM00", "CLIENT_INTERNAL_ERROR"),
    "too-large": ("INVALID_PARAMETER_VALUE", 413, "KAM00", "INVALID_PARAMETER_VALUE"),
    "bug": ("INTERNAL_ERROR", 500, "XXM00", "CLIENT_INTERNAL_ERROR"),
}
_BY_CODE: dict[str, _Row] = {
    "address-not-found": _NO_ENDPOINT,
    "method-not-allowed": _NO_ENDPOINT,
    "experiment-exists": _EXISTS,
    "model-exists": _EXISTS,
    "duplicate": _EXISTS,
    "model-alias-not-found": _INVALID,
    "unsupported": ("NOT_IMPLEMENTED", 501, None, None),
    "bad-request": ("BAD_REQUEST", 400, "KAM00", "INVALID_PARAMETER_VALUE"),
}


class Unsupported(TrimtabError):
    """A part of the protocol that this server declines, so that clients take the other way that they know."""

    kind = "invalid"
    code = "unsupported"


class BadRequest(Invalid):
    """A reference to what is not there, or a name that is taken, where MLflow's server lets its database refuse."""

    code = "bad-request"


class Failure(msgspec.Struct, omit_defaults=True):
    """The body of every error answer."""

    error_code: str
    message: str
    sqlstate: str | None = None
    error_class: str | None = None


def render_error(error: Exception, request_id: str | None) -> Response:  # noqa: ARG001 - every renderer takes it
    """Return the answer for an error."""
    seen = as_error(error)
    error_code, status, sqlstate, error_class = _BY_CODE.get(seen.code) or _BY_KIND[seen.kind]
    headers: dict[str, str] = {}
    if status == 401:
        headers["www-authenticate"] = 'Basic realm="mlflow"'
    if status == 503:
        headers["retry-after"] = "1"
    body = msgspec.json.encode(Failure(error_code, seen.message, sqlstate, error_class))
    return Response(body, status, headers, "application/json")


def missing(field: str) -> Invalid:
    """Return the error for a field that must be given."""
    return Invalid(
        f"Missing value for required parameter '{field}'. See the API docs for more information about request "
        "parameters.",
        field=field,
    )
