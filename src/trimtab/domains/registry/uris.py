"""Reads the URIs that name models and the places they come from; anything else than these few forms is refused."""

import re
from typing import Literal
from urllib.parse import unquote, unquote_plus, urlsplit

import msgspec

from trimtab.domains.registry.errors import BadModelUri, BadSource
from trimtab.domains.registry.model import LATEST, MOST_VERSION

MOST_SOURCE = 2000
_RUN_ID = re.compile(r"[A-Za-z0-9][\w-]{0,255}")
_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_EXPERIMENT_ID = re.compile(r"[A-Za-z0-9][\w-]{0,63}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_HERE = frozenset({"file", "models", "runs", "mlflow-artifacts"})
_HOSTS = frozenset({"http", "https", "ftp", "sftp", "hdfs", "viewfs", "r2", "b2", "abfss"})


class ModelUri(msgspec.Struct, frozen=True):
    """A registered version: by number, by alias, by stage, or the newest where all three are None."""

    name: str
    version: int | None = None
    alias: str | None = None
    stage: str | None = None


class RunSource(msgspec.Struct, frozen=True):
    """A folder among the artifacts of a run."""

    run_id: str
    path: str


class LoggedModelSource(msgspec.Struct, frozen=True):
    model_id: str


class ArtifactSource(msgspec.Struct, frozen=True):
    """A folder of the artifact store, owned by a run or by a logged model."""

    experiment_id: str
    owner: Literal["run", "logged-model"]
    owner_id: str
    path: str

    @property
    def prefix(self) -> str:
        between = "models/" if self.owner == "logged-model" else ""
        root = f"{self.experiment_id}/{between}{self.owner_id}/artifacts"
        return f"{root}/{self.path}" if self.path else root


class ExternalSource(msgspec.Struct, frozen=True):
    """A place in a store that only clients reach, such as ``s3://bucket/model``."""

    uri: str


Source = RunSource | LoggedModelSource | ArtifactSource | ExternalSource | ModelUri


def parse_model_uri(uri: str) -> ModelUri:
    """Read ``models:/NAME/3``, ``models:/NAME@alias``, ``models:/NAME/latest`` or a legacy ``models:/NAME/Production``.

    Raises BadModelUri.
    """
    rest = uri.removeprefix("models:/")
    if rest == uri or rest.startswith("/") or len(uri) > MOST_SOURCE:
        raise BadModelUri(f"{uri[:200]!r} is not models:/NAME/VERSION or models:/NAME@ALIAS.", field="uri")
    name, slash, suffix = rest.partition("/")
    if slash:
        if not name or not suffix or "/" in suffix:
            raise BadModelUri(
                f"{uri[:200]!r} is not models:/NAME/VERSION or models:/NAME@ALIAS.", field="uri"
            )
        if suffix.isascii() and suffix.isdigit():
            return ModelUri(name, version=min(int(suffix[:12]), MOST_VERSION + 1))
        return ModelUri(name) if suffix.lower() == LATEST else ModelUri(name, stage=suffix)
    name, at, alias = rest.rpartition("@")
    if not at:
        raise BadModelUri(
            f"{uri[:200]!r} names no version: add /VERSION, /latest or @ALIAS to the name.", field="uri"
        )
    if not name or not alias:
        raise BadModelUri(f"{uri[:200]!r} is not models:/NAME/VERSION or models:/NAME@ALIAS.", field="uri")
    return ModelUri(name, alias=alias)


def parse_source(source: str) -> Source:
    """Read where a version's files are: a logged model, a run's artifacts, another version, or a store of the clients'.

    Paths of the server and addresses of other hosts are refused, as is every path that could lead elsewhere. Raises
    BadSource.
    """
    if len(source) > MOST_SOURCE or any(ord(letter) < 32 for letter in source):
        raise BadSource("The source is too long or holds control characters.", field="source")
    scheme, _, rest = source.partition(":")
    if rest.startswith("/") and not rest.startswith("//"):
        match scheme:
            case "models":
                return _models_source(source, rest[1:])
            case "runs":
                run_id, _, path = rest[1:].partition("/")
                if _RUN_ID.fullmatch(run_id):
                    return RunSource(run_id, _checked(source, re.sub("/+", "/", path)))
            case "mlflow-artifacts":
                return _artifact_source(source, rest[1:])
            case _:
                pass
    if _SCHEME.fullmatch(scheme) and scheme.lower() not in _HERE | _HOSTS:
        return _external(source)
    raise BadSource(
        f"A model version cannot come from {source[:200]!r}: give models:/m-<id>, runs:/<run_id>/<path>"
        " or mlflow-artifacts:/<experiment>/<run>/artifacts/<path>.",
        field="source",
    )


def _external(source: str) -> ExternalSource:
    """Return a place elsewhere; raises BadSource unless its path is absolute and plain."""
    decoded = source
    while (once_more := unquote_plus(decoded)) != decoded:
        decoded = once_more
    try:
        path = re.sub("/+", "/", urlsplit(decoded).path.rstrip("/"))
    except ValueError as error:
        raise BadSource(f"{source[:200]!r} is no URI.", field="source") from error
    parts = decoded.split("/")
    if not path.startswith("/") or "\x00" in decoded or ".." in parts or "." in path.split("/"):
        raise BadSource(
            f"Invalid model version source: {source[:200]!r}. Give an absolute path without relative parts.",
            field="source",
        )
    return ExternalSource(source)


def _models_source(source: str, rest: str) -> Source:
    if _MODEL_ID.fullmatch(rest):
        return LoggedModelSource(rest)
    try:
        return parse_model_uri(source)
    except BadModelUri as error:
        raise BadSource(error.message, field="source") from error


def _artifact_source(source: str, rest: str) -> Source:
    parts = _checked(source, rest).split("/")
    match parts:
        case [experiment, "models", model_id, "artifacts", *path] if _MODEL_ID.fullmatch(model_id):
            owner = "logged-model"
            owner_id = model_id
        case [experiment, run_id, "artifacts", *path] if _RUN_ID.fullmatch(run_id):
            owner = "run"
            owner_id = run_id
        case _:
            experiment, owner, owner_id, path = "", "run", "", []
    if not _EXPERIMENT_ID.fullmatch(experiment):
        raise BadSource(
            f"{source[:200]!r} is not a folder that a run or a logged model owns.", field="source"
        )
    return ArtifactSource(experiment, owner, owner_id, "/".join(path))


def _checked(source: str, path: str) -> str:
    path = path.rstrip("/")
    decoded = path
    while (once_more := unquote(decoded)) != decoded:
        decoded = once_more
    parts = decoded.replace("\\", "/").split("/")
    if path and any(part in ("", ".", "..") for part in parts):
        raise BadSource(f"The path of {source[:200]!r} is not plain.", field="source")
    return path
