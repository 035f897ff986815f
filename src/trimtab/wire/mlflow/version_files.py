"""Serves the files of registered versions among the artifacts, from the versions' own lists, for reading only.

A client that is sent to ``mlflow-artifacts:/model-versions/<digest>`` gets what was registered, whatever has become of the
run or the logged model since.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from trimtab.domains.registry import RegistryService
from trimtab.domains.registry.files import OWN_FILES
from trimtab.domains.registry.model import File
from trimtab.domains.tracking import TrackingService
from trimtab.infra.http import Request
from trimtab.kernel.errors import Forbidden, NotFound
from trimtab.wire.mlflow.binding import Handler
from trimtab.wire.mlflow.transfers import answer, sign

_ROUTES = "/mlflow-artifacts/"


class VersionFileNotFound(NotFound):
    code = "model-file-not-found"


class Entry(msgspec.Struct, omit_defaults=True):
    path: str
    is_dir: bool
    file_size: int | None = None


class Entries(msgspec.Struct, omit_defaults=True):
    files: list[Entry] = []


def before(
    handlers: Sequence[Handler], registry: RegistryService, tracking: TrackingService
) -> list[Handler]:
    """Return the artifact routes, which now look first whether a version's own files are meant."""
    return [
        msgspec.structs.replace(one, call=_first(one, registry, tracking))
        if one.path.startswith(_ROUTES) and not one.path.startswith(f"{_ROUTES}signed/")
        else one
        for one in handlers
    ]


def _first(one: Handler, registry: RegistryService, tracking: TrackingService) -> Callable[..., Any]:
    def call(request: Request, *messages: Any) -> Any:
        path = request.path.get("path") or (getattr(messages[0], "path", None) if messages else None) or ""
        top, _, rest = path.strip("/").partition("/")
        if top != OWN_FILES:
            return one.call(request, *messages)
        digest, _, inner = rest.partition("/")
        if one.method == "GET" and one.path == f"{_ROUTES}artifacts":
            return Entries(_folder(registry.files_of_digest(request.who, digest), inner))
        if one.method == "GET" and one.path.startswith(f"{_ROUTES}artifacts/"):
            return _send(registry, request, digest, inner)
        if one.path.startswith(f"{_ROUTES}presigned/"):
            file = _file(registry, request, digest, inner)
            return sign(tracking, request, path, blob=file.blob, size_bytes=file.size_bytes)
        raise Forbidden("The files of registered versions cannot be changed.", field="path")

    return call


def _folder(files: Sequence[File], folder: str) -> list[Entry]:
    """Return what is directly in a folder, by name."""
    prefix = f"{folder}/" if folder else ""
    found: dict[str, Entry] = {}
    for file in files:
        if file.path.startswith(prefix):
            name, slash, _ = file.path.removeprefix(prefix).partition("/")
            found[name] = Entry(name, True) if slash else Entry(name, False, file.size_bytes)
    return [found[name] for name in sorted(found)]


def _send(registry: RegistryService, request: Request, digest: str, path: str) -> Response:
    file = _file(registry, request, digest, path)
    stream = registry.open_blob(request.who, file)
    return answer(stream, path=path, blob=file.blob, size_bytes=file.size_bytes)


def _file(registry: RegistryService, request: Request, digest: str, path: str) -> File:
    file = next((one for one in registry.files_of_digest(request.who, digest) if one.path == path), None)
    if file is None:
        raise VersionFileNotFound(f"The version has no file {path[:300]!r}.", field="path")
    return file
