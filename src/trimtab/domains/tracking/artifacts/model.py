"""What an artifact is, and which paths one may have."""

from urllib.parse import unquote

import msgspec

from trimtab.domains.tracking.errors import BadPath

_MOST_PATH = 4000
_MOST_NAME = 255
SCHEME = "mlflow-artifacts:"


class Artifact(msgspec.Struct, frozen=True):
    """A file: where it is, which bytes it holds, how many and since when."""

    path: str
    blob: str
    size_bytes: int
    created_us: int


class Entry(msgspec.Struct, frozen=True):
    """A file or a folder in a listing; ``path`` is whole, the size None for folders."""

    path: str
    is_dir: bool
    size_bytes: int | None = None


class Upload(msgspec.Struct, frozen=True):
    """An upload in parts; ``blob`` is what became of it once it was completed."""

    id: str
    path: str
    parts: int
    secret_digest: str
    blob: str | None
    created_us: int
    created_by: str


def check_path(path: str, *, root: bool = False) -> str:
    """Return a path such as ``1/<run>/artifacts/model/MLmodel``; raises BadPath.

    ``root`` permits the empty path. Nothing climbs up, also not when quoted once more, and nothing is absolute.
    """
    if not path:
        if root:
            return ""
        raise BadPath("Invalid path: it is empty.", field="path")
    seen = path
    for _ in range(5):
        unquoted = unquote(seen)
        if unquoted == seen:
            break
        seen = unquoted
    for form in {path, seen}:
        parts = form.split("/")
        if (
            form.startswith("/")
            or "\\" in form
            or "#" in form
            or any(part in (".", "..") for part in parts)
            or any(ord(letter) < 32 or 0xD800 <= ord(letter) <= 0xDFFF for letter in form)
        ):
            raise BadPath("Invalid path", field="path")
    if any(not part or len(part.encode()) > _MOST_NAME for part in path.split("/")) or len(path) > _MOST_PATH:
        raise BadPath("Invalid path: a part of it is empty or too long.", field="path")
    return path


def path_of_uri(uri: str) -> str | None:
    """Return the path that an ``mlflow-artifacts:`` URI names, or None for a place this server does not keep.

    >>> path_of_uri("mlflow-artifacts:/1/abc/artifacts")
    '1/abc/artifacts'
    """
    if not uri.startswith(SCHEME):
        return None
    rest = uri.removeprefix(SCHEME)
    if rest.startswith("//"):
        rest = rest[2:].partition("/")[2]
    return check_path(rest.strip("/"), root=True)


def ancestors(path: str) -> list[str]:
    """Return the folders above a path, nearest last.

    >>> ancestors("a/b/c")
    ['a', 'a/b']
    """
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]
