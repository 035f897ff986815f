"""The built UI as an ASGI application: files from `static/`, and index.html for every page of the router."""

import mimetypes
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

STATIC = Path(__file__).with_name("static")

_SECURITY = {
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
_FOREVER = "public, max-age=31536000, immutable"
_NOT_BUILT = (
    "The web UI is not built in this copy. Run `make ui`, then reload. The API is at /api/v1 all the same.\n"
)


def ui_app(static: Path = STATIC) -> ASGIApp:
    """Return the application, for all addresses that nothing else answers.

    Files under `assets/` carry a hash in their names and are cached for good; all else is asked for again each time.
    Raises HTTPException 404 for paths of the APIs and for assets that are not there, 405 for writes.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = _answer(Request(scope), static)
        await response(scope, receive, send)

    return app


def _answer(request: Request, static: Path) -> Response:
    path = request.url.path.lstrip("/")
    if path.startswith(("api/", "ajax-api/")):
        raise HTTPException(404)
    if request.method not in {"GET", "HEAD"}:
        raise HTTPException(405, headers={"allow": "GET, HEAD"})
    file = static / path
    if not path or not file.resolve().is_relative_to(static.resolve()) or not file.is_file():
        if path.startswith("assets/"):
            raise HTTPException(404)
        path, file = "index.html", static / "index.html"
    if not file.is_file():
        return PlainTextResponse(_NOT_BUILT, status_code=503, headers={"retry-after": "30"})
    headers = {**_SECURITY, "cache-control": _FOREVER if path.startswith("assets/") else "no-cache"}
    packed = file.with_name(file.name + ".gz")
    if packed.is_file():
        headers["vary"] = "accept-encoding"
        if "gzip" in request.headers.get("accept-encoding", ""):
            return FileResponse(
                packed, headers={**headers, "content-encoding": "gzip"}, media_type=_media_type(file)
            )
    return FileResponse(file, headers=headers, media_type=_media_type(file))


def _media_type(file: Path) -> str:
    """Return the type by the name alone, so that a machine's own tables cannot change it for scripts."""
    known = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
    return known.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
