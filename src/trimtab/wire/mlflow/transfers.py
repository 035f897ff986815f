"""Files of the MLflow API by ways other than the plain proxy: in parts, by signed address, and as the web pages ask."""

import mimetypes
import unicodedata
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

import msgspec
from starlette.responses import Response

from trimtab.domains.registry import RegistryService
from trimtab.domains.tracking import TrackingService
from trimtab.domains.tracking.artifacts.model import check_path, path_of_uri
from trimtab.infra.blobs import Part
from trimtab.infra.http import FileAnswer, Request
from trimtab.kernel.errors import Invalid
from trimtab.kernel.time import SECOND_US, now_us
from trimtab.wire.mlflow.binding import Handler, handler
from trimtab.wire.mlflow.errors import BadRequest, missing
from trimtab.wire.mlflow.messages import Int64, required

_BASE = "/api/2.0/mlflow-artifacts"
PUBLIC = (f"{_BASE}/mpu/part/", f"{_BASE}/signed/")
"""Where the address itself says that its holder may come in."""

_GOOD_FOR_US = 900 * SECOND_US
_MOST_UPLOADED = 10 << 20
_MOST_EXPIRATION_S = 604_800
_DEFAULT_EXPIRATION_S = 300
_TEXT = frozenset(
    ("txt", "log", "err", "cfg", "conf", "cnf", "cf", "ini", "properties", "prop", "hocon", "toml", "yaml", "yml", "xml",
     "json", "js", "py", "py3", "csv", "tsv", "md", "rst", "ipynb", "MLmodel", "MLproject")
)  # fmt: skip


class CreateUpload(msgspec.Struct):
    path: str | None = None
    num_parts: Int64 | None = None


class PartAddress(msgspec.Struct):
    url: str
    part_number: int
    headers: dict[str, str] = {}


class CreatedUpload(msgspec.Struct):
    upload_id: str
    credentials: list[PartAddress]


class SentPart(msgspec.Struct):
    part_number: Int64 | None = None
    etag: str | None = None
    url: str | None = None


class CompleteUpload(msgspec.Struct):
    path: str | None = None
    upload_id: str | None = None
    parts: list[SentPart] | None = None


class AbortUpload(msgspec.Struct):
    path: str | None = None
    upload_id: str | None = None


class FileAddress(msgspec.Struct):
    """Where a file can be fetched, also in several ranges at once."""

    url: str
    headers: dict[str, str]
    file_size: int


class Presign(msgspec.Struct):
    run_id: str | None = None
    model_id: str | None = None
    path: str | None = None
    expiration: Int64 | None = None


def handlers(tracking: TrackingService, registry: RegistryService) -> list[Handler]:
    return [*_parts(tracking), *_addresses(tracking), *_pages(tracking, registry)]


def _parts(tracking: TrackingService) -> list[Handler]:
    uploads = tracking.uploads

    @handler("POST", "/mlflow-artifacts/mpu/create/{path:path}", CreateUpload)
    def create(request: Request, body: CreateUpload) -> CreatedUpload:
        folder = check_path(request.path["path"])
        upload, secret = uploads.begin(
            request.who, folder, required(body.path, "path"), parts=body.num_parts or 1
        )
        root = f"{request.base_url}{_BASE}/mpu/part/{upload.id}"
        query = urlencode({"secret": secret})
        return CreatedUpload(
            upload.id,
            [PartAddress(f"{root}/{number}?{query}", number) for number in range(1, upload.parts + 1)],
        )

    @handler("PUT", "/mlflow-artifacts/mpu/part/{upload_id}/{number:int}", raw_body=True)
    def put_part(request: Request) -> Response:
        if request.announced_bytes is None:
            raise Invalid("A part needs a Content-Length.", field="content-length")
        with request.body() as content:
            mark = uploads.put_part(
                request.path["upload_id"],
                request.path["number"],
                content,
                secret=request.query.get("secret", ""),
                size_bytes=request.announced_bytes,
            )
        return Response(b"", 200, {"etag": f'"{mark}"'})

    @handler("POST", "/mlflow-artifacts/mpu/complete/{path:path}", CompleteUpload)
    def complete(request: Request, body: CompleteUpload) -> None:
        required(body.path, "path")
        if not body.parts:
            raise missing("parts")
        parts = [Part(one.part_number or 0, (one.etag or "").strip('"')) for one in body.parts]
        uploads.complete(request.who, request.path["path"], required(body.upload_id, "upload_id"), parts)

    @handler("POST", "/mlflow-artifacts/mpu/abort/{path:path}", AbortUpload)
    def abort(request: Request, body: AbortUpload) -> None:
        required(body.path, "path")
        uploads.abort(request.who, request.path["path"], required(body.upload_id, "upload_id"))

    return [create, put_part, complete, abort]


def _addresses(tracking: TrackingService) -> list[Handler]:
    @handler("GET", "/mlflow-artifacts/presigned/{path:path}", raw_body=True)
    def address(request: Request) -> FileAddress:
        artifact = tracking.artifacts.get(request.who, request.path["path"])
        return sign(tracking, request, artifact.path, blob=artifact.blob, size_bytes=artifact.size_bytes)

    @handler("GET", "/mlflow-artifacts/signed/{path:path}", raw_body=True)
    def fetch(request: Request) -> Response:
        path, blob, expires = (
            request.path["path"],
            request.query.get("blob", ""),
            request.query.get("expires", ""),
        )
        if not (expires.isascii() and expires.isdigit() and len(expires) < 19):
            raise Invalid("This is no address that the server gave.", field="expires")
        file, size = tracking.uploads.open_signed(
            path, blob, expires_us=int(expires), signature=request.query.get("signature", "")
        )
        return answer(file, path=path, blob=blob, size_bytes=size)

    @handler("POST", "/mlflow/artifacts/presigned-upload-url", Presign)
    def presign_upload(request: Request, body: Presign) -> None:
        path = required(body.path, "path")
        if bool(body.run_id) == bool(body.model_id):
            raise Invalid("Exactly one of run_id and model_id must be provided.", field="run_id")
        check_path(path)
        if body.run_id:
            uri = tracking.runs.head(request.who, body.run_id).artifact_uri
        else:
            uri = tracking.logged_models.get(request.who, body.model_id or "").artifact_uri
        raise Invalid(
            f"Presigned upload is not supported for proxied artifact storage (artifact URI scheme: {_scheme(uri)}). "
            "This endpoint requires a direct cloud storage artifact URI."
        )

    @handler("POST", "/mlflow/artifacts/presigned-download-url", Presign)
    def presign_download(request: Request, body: Presign) -> None:
        run_id, path = required(body.run_id, "run_id"), required(body.path, "path")
        check_path(path)
        seconds = _DEFAULT_EXPIRATION_S if body.expiration is None else body.expiration
        if not 1 <= seconds <= _MOST_EXPIRATION_S:
            raise Invalid(
                f"expiration must be between 1 and {_MOST_EXPIRATION_S} seconds (got {seconds}).",
                field="expiration",
            )
        uri = tracking.runs.head(request.who, run_id).artifact_uri
        raise Invalid(
            "Presigned download is not supported for runs with proxied artifact storage (artifact URI scheme: "
            f"{_scheme(uri)}). This endpoint requires a run with a direct cloud storage artifact URI."
        )

    return [address, fetch, presign_upload, presign_download]


def _pages(tracking: TrackingService, registry: RegistryService) -> list[Handler]:
    """Return what MLflow's web pages call, and clients that learned it from them."""
    artifacts = tracking.artifacts

    @handler("GET", "/get-artifact", raw_body=True, rooted=True)
    def of_run(request: Request) -> Response:
        path = _path(request, "path")
        run_id = request.query.get("run_id") or request.query.get("run_uuid")
        uri = tracking.runs.head(request.who, run_id or "None").artifact_uri
        return send(tracking, request, below(uri, path))

    @handler("GET", "/model-versions/get-artifact", raw_body=True, rooted=True)
    def of_version(request: Request) -> Response:
        path = _path(request, "path")
        name, given = request.query.get("name"), request.query.get("version")
        if not name:
            raise missing("name")
        if not given or not (given.isascii() and given.isdigit() and len(given) < 19):
            raise Invalid(f"Parameter 'version' must be an integer, got {given!r}.", field="version")
        file, content = registry.open_file(request.who, name, int(given), path)
        return answer(content, path=path, blob=file.blob, size_bytes=file.size_bytes)

    @handler("POST", "/mlflow/upload-artifact", raw_body=True, prefixes=("/ajax-api",))
    def upload(request: Request) -> Response:
        run_id = request.query.get("run_uuid")
        if not run_id:
            raise Invalid("Request must specify run_uuid.", field="run_uuid")
        if not request.query.get("path"):
            raise Invalid("Request must specify path.", field="path")
        path = _path(request, "path")
        content, size = bytearray(), request.announced_bytes or 0
        if size <= _MOST_UPLOADED:
            for piece in request.chunks():
                content += piece
                if len(content) > _MOST_UPLOADED:
                    break
        if size > _MOST_UPLOADED or len(content) > _MOST_UPLOADED:
            raise Invalid("Artifact size is too large. Max size is 10MB.")
        if not content:
            raise Invalid("Request must specify data.")
        uri = tracking.runs.head(request.who, run_id).artifact_uri
        artifacts.put(request.who, below(uri, path), bytes(content))
        return Response(b"", 200, media_type="application/json")

    @handler(
        "GET", "/mlflow/logged-models/{model_id}/artifacts/files", raw_body=True, prefixes=("/ajax-api",)
    )
    def of_logged_model(request: Request) -> Response:
        if not request.query.get("artifact_file_path"):
            raise BadRequest('Request must include the "artifact_file_path" query parameter.')
        path = _path(request, "artifact_file_path")
        uri = tracking.logged_models.get(request.who, request.path["model_id"]).artifact_uri
        return send(tracking, request, below(uri, path))

    return [of_run, of_version, upload, of_logged_model]


def send(tracking: TrackingService, request: Request, path: str) -> Response:
    """Answer with an artifact, or the range of it that was asked for; raises ArtifactNotFound and BadPath."""
    artifact, file = tracking.artifacts.open_with_facts(request.who, path)
    return answer(file, path=path, blob=artifact.blob, size_bytes=artifact.size_bytes)


def answer(file: BinaryIO, *, path: str, blob: str, size_bytes: int) -> FileAnswer:
    """Return an open file as a download under the last part of its path."""
    name = path.rpartition("/")[2]
    headers = {
        "content-disposition": _attachment(name),
        "x-content-type-options": "nosniff",
        "cache-control": "no-cache",
    }
    return FileAnswer(
        file, size_bytes=size_bytes, media_type=_media_type(name), etag=f'"{blob}"', headers=headers
    )


def sign(
    tracking: TrackingService, request: Request, path: str, *, blob: str, size_bytes: int
) -> FileAddress:
    """Return an address that gives a file to whoever has it, for a quarter of an hour."""
    expires_us = now_us() + _GOOD_FOR_US
    signature = tracking.uploads.sign(path, blob, expires_us=expires_us)
    query = urlencode({"blob": blob, "expires": expires_us, "signature": signature})
    url = f"{request.base_url}{_BASE}/signed/{quote(path)}?{query}"
    return FileAddress(url, {}, size_bytes)


def below(uri: str, path: str) -> str:
    """Return the path of a file below the artifacts of a run or logged model; raises Invalid for other stores."""
    root = path_of_uri(uri)
    if root is None:
        raise Invalid(f"The artifacts in {uri[:200]} are not kept by this server.")
    return f"{root}/{path}"


def _path(request: Request, name: str) -> str:
    given: Any = request.query.get(name)
    if given is None:
        raise missing(name)
    return check_path(given)


def _scheme(uri: str) -> str:
    return uri.partition(":")[0]


def _media_type(name: str) -> str:
    """Return the type as MLflow's server guesses it: text is plain, whatever its form."""
    if name.rpartition(".")[2] in _TEXT:
        return "text/plain"
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _attachment(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() or "download"
    quoted = plain if plain.replace(".", "").replace("-", "").replace("_", "").isalnum() else _quoted(plain)
    if plain == name:
        return f"attachment; filename={quoted}"
    return f"attachment; filename={quoted}; filename*=UTF-8''{quote(name, safe='!#$&+-.^_`|~')}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
