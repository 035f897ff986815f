"""The artifact proxy of the MLflow API: files go through the server in constant memory, both ways."""

import msgspec
from starlette.responses import Response

from trimtab.domains.tracking import TrackingService
from trimtab.domains.tracking.artifacts.model import check_path, path_of_uri
from trimtab.infra.http import Request
from trimtab.wire.mlflow.binding import Handler, handler
from trimtab.wire.mlflow.errors import Unsupported
from trimtab.wire.mlflow.messages import Empty, required
from trimtab.wire.mlflow.transfers import send


class FileInfo(msgspec.Struct, omit_defaults=True):
    path: str
    is_dir: bool
    file_size: int | None = None


class FileList(msgspec.Struct, omit_defaults=True):
    files: list[FileInfo] = []
    root_uri: str | None = None


class ListFiles(msgspec.Struct):
    path: str | None = None


class ListArtifacts(msgspec.Struct):
    run_id: str | None = None
    run_uuid: str | None = None
    path: str | None = None
    page_token: str | None = None


def handlers(tracking: TrackingService) -> list[Handler]:
    artifacts = tracking.artifacts

    @handler("PUT", "/mlflow-artifacts/artifacts/{path:path}", raw_body=True)
    def upload(request: Request) -> Response:
        with request.body() as content:
            artifacts.put(request.who, request.path["path"], content)
        return Response(b"", 200)

    @handler("GET", "/mlflow-artifacts/artifacts/{path:path}", raw_body=True)
    def download(request: Request) -> Response:
        return send(tracking, request, request.path["path"])

    @handler("DELETE", "/mlflow-artifacts/artifacts/{path:path}", Empty)
    def delete(request: Request, _: Empty) -> None:
        artifacts.delete(request.who, request.path["path"])

    @handler("GET", "/mlflow-artifacts/artifacts", ListFiles)
    def list_files(request: Request, body: ListFiles) -> FileList:
        entries = artifacts.list(request.who, (body.path or "").rstrip("/"))
        return FileList(
            [FileInfo(one.path.rpartition("/")[2], one.is_dir, one.size_bytes or None) for one in entries]
        )

    @handler("GET", "/mlflow/artifacts/list", ListArtifacts)
    def list_artifacts(request: Request, body: ListArtifacts) -> FileList:
        run_id = required(body.run_id or body.run_uuid, "run_id")
        uri = tracking.runs.head(request.who, run_id).artifact_uri
        return list_below(tracking, request, root_uri=uri, root=path_of_uri(uri), path=body.path)

    return [upload, download, delete, list_files, list_artifacts]


def list_below(
    tracking: TrackingService, request: Request, *, root_uri: str, root: str | None, path: str | None
) -> FileList:
    """List a folder of a run or logged model, with paths relative to its root; raises BadPath.

    What clients keep in stores of their own is not listed: this server never goes there.
    """
    if root is None:
        raise Unsupported(f"The artifacts in {root_uri[:200]} are not kept by this server.")
    folder = check_path((path or "").rstrip("/"), root=True)
    entries = tracking.artifacts.list(request.who, f"{root}/{folder}" if folder else root)
    return FileList(
        [FileInfo(one.path.removeprefix(f"{root}/"), one.is_dir, one.size_bytes or None) for one in entries],
        root_uri,
    )
