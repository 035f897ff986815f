"""The HTTP face of a run's artifacts: listed, streamed in and out."""

import mimetypes
from urllib.parse import quote

import msgspec

from trimtab.domains.tracking.artifacts.model import check_path, path_of_uri
from trimtab.domains.tracking.artifacts.tables import TableRows
from trimtab.domains.tracking.service import TrackingService
from trimtab.infra.http import FileAnswer, Request, Route, route
from trimtab.kernel.errors import Invalid
from trimtab.kernel.pages import Page

_SAFE = ("text/plain", "image/png", "image/jpeg", "application/json", "text/csv")
_PAGE = "text/html"
_BOX = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; frame-ancestors 'self'"
)
"""A logged page may show itself and run, with an origin of its own: no cookies, no requests, no reach into the frame around it."""


class ArtifactsQuery(msgspec.Struct):
    path: str = ""


class DownloadQuery(msgspec.Struct):
    inline: bool = False


class TableQuery(msgspec.Struct):
    rows: int = 200


class ArtifactView(msgspec.Struct):
    """A file or a folder; the path is relative to the run's artifacts."""

    path: str
    is_dir: bool
    size_bytes: int | None


class StoredArtifact(msgspec.Struct):
    path: str
    blob: str
    size_bytes: int


def routes(service: TrackingService) -> list[Route]:
    artifacts = service.artifacts

    def root_of(request: Request) -> str:
        head = service.runs.head(request.who, request.path["run_id"])
        root = path_of_uri(head.artifact_uri)
        if root is None:
            raise Invalid(f"The run keeps its artifacts in {head.artifact_uri}, not on this server.")
        return root

    @route(
        "GET",
        "/api/v1/runs/{run_id}/artifacts",
        query=ArtifactsQuery,
        returns=Page[ArtifactView],
        tags=["runs"],
    )
    def list_artifacts(request: Request, query: ArtifactsQuery) -> Page[ArtifactView]:
        """List what is directly in a folder of the run's artifacts."""
        root = root_of(request)
        folder = check_path(query.path.strip("/"), root=True)
        entries = artifacts.list(request.who, f"{root}/{folder}" if folder else root)
        return Page(
            [ArtifactView(one.path.removeprefix(f"{root}/"), one.is_dir, one.size_bytes) for one in entries]
        )

    @route(
        "GET",
        "/api/v1/runs/{run_id}/artifacts/{path:path}",
        query=DownloadQuery,
        media_type="application/octet-stream",
        tags=["runs"],
    )
    def download_artifact(request: Request, query: DownloadQuery) -> FileAnswer:
        """Return a file of the run's artifacts, or a range of it."""
        path = f"{root_of(request)}/{check_path(request.path['path'])}"
        artifact, file = artifacts.open_with_facts(request.who, path)
        name = path.rpartition("/")[2]
        guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
        inline = query.inline and (guessed in _SAFE or guessed == _PAGE)
        headers = {
            "content-disposition": f"{'inline' if inline else 'attachment'}; filename*=UTF-8''{quote(name)}",
            "content-security-policy": _BOX if inline and guessed == _PAGE else "sandbox; default-src 'none'",
            "x-content-type-options": "nosniff",
        }
        return FileAnswer(
            file,
            size_bytes=artifact.size_bytes,
            media_type=guessed,
            etag=f'"{artifact.blob}"',
            headers=headers,
        )

    @route(
        "GET",
        "/api/v1/runs/{run_id}/table/{path:path}",
        query=TableQuery,
        returns=TableRows,
        tags=["runs"],
    )
    def table(request: Request, query: TableQuery) -> TableRows:
        """Return the first rows of a Parquet file among the run's artifacts."""
        path = f"{root_of(request)}/{check_path(request.path['path'])}"
        return service.tables.rows(request.who, path, most=query.rows)

    @route(
        "PUT",
        "/api/v1/runs/{run_id}/artifacts/{path:path}",
        raw_body=True,
        returns=StoredArtifact,
        tags=["runs"],
    )
    def upload_artifact(request: Request) -> StoredArtifact:
        """Store a file among the run's artifacts; the body streams."""
        path: str = check_path(request.path["path"])
        root = root_of(request)
        with request.body() as content:
            stored = artifacts.put(request.who, f"{root}/{path}", content)
        return StoredArtifact(path, stored.blob, stored.size_bytes)

    @route("DELETE", "/api/v1/runs/{run_id}/artifacts/{path:path}", tags=["runs"])
    def delete_artifact(request: Request) -> None:
        """Remove a file, or a folder with all that is in it."""
        artifacts.delete(request.who, f"{root_of(request)}/{check_path(request.path['path'])}")

    return [list_artifacts, download_artifact, table, upload_artifact, delete_artifact]
