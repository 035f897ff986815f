"""Turns errors into RFC 9457 problem documents; the one table from kinds to HTTP status."""

from typing import Any

import msgspec
from starlette.responses import Response

from trimtab.kernel.errors import Invalid, Kind, TrimtabError

STATUS: dict[Kind, int] = {
    "invalid": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not-found": 404,
    "conflict": 409,
    "too-large": 413,
    "bug": 500,
    "unavailable": 503,
}
TITLES: dict[Kind, str] = {
    "invalid": "Invalid request",
    "unauthenticated": "Sign-in required",
    "forbidden": "Not allowed",
    "not-found": "Not found",
    "conflict": "Conflict",
    "too-large": "Too large",
    "bug": "Internal error",
    "unavailable": "Unavailable",
}


class Problem(msgspec.Struct, omit_defaults=True):
    """The body of every error answer of the native API."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    field: str | None = None
    request_id: str | None = None
    details: dict[str, Any] = {}


def as_error(error: Exception) -> TrimtabError:
    """Return the error as a caller may see it; what was not foreseen says nothing of its inside."""
    if isinstance(error, TrimtabError):
        return error
    if isinstance(error, msgspec.ValidationError):
        return invalid_from(error)
    if isinstance(error, OverflowError):
        return Invalid("A number is outside the range of 64 bits.")
    if isinstance(error, UnicodeEncodeError):
        return Invalid("A text holds half a surrogate pair, which is no character.")
    return TrimtabError("Something went wrong in the server. Its log has the details under the request id.")


def invalid_from(error: msgspec.ValidationError) -> Invalid:
    """Return an Invalid which names the field that msgspec found wrong."""
    text = str(error)
    message, _, path = text.partition(" - at `")
    field = path.rstrip("`").removeprefix("$").lstrip(".") or None
    if field is None and "`" in message:
        field = message.split("`")[1]
    return Invalid(f"{message}{f' (field {field})' if path and field else ''}.", field=field)


def problem_response(error: Exception, request_id: str | None, *, status: int | None = None) -> Response:
    """Return the problem+json answer for an error, with the status of its kind unless another is given."""
    seen = as_error(error)
    status = STATUS[seen.kind] if status is None else status
    body = Problem(
        type=f"urn:trimtab:error:{seen.code}",
        title=TITLES[seen.kind],
        status=status,
        detail=seen.message,
        code=seen.code,
        field=seen.field,
        request_id=request_id,
        details=seen.details,
    )
    headers = {}
    if status == 401:
        headers["www-authenticate"] = 'Bearer realm="trimtab"'
    if status == 503:
        headers["retry-after"] = "1"
    return Response(msgspec.json.encode(body), status, headers, "application/problem+json")
