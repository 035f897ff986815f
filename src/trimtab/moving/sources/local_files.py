"""Artifacts in local folders: only what truly lies below the folders that may be read."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from trimtab.moving.model import File, Problem, Tell

_MOST_NAME_BYTES = 255


def files_below(folder: Path, tell: Tell, *, hidden: Sequence[str] = ()) -> Iterator[File]:
    """Yield the regular files below a folder by path. Links are told and not followed: they may lead anywhere."""
    waiting = [(folder, "")]
    while waiting:
        place, prefix = waiting.pop()
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            tell(Problem(str(place), f"the folder cannot be read: {error.strerror}"))
            continue
        for entry in entries:
            if not prefix and entry.name in hidden:
                continue
            path = f"{prefix}{entry.name}"
            if entry.is_symlink():
                tell(
                    Problem(entry.path, "it is a link and was left out", "copy the file to where the link is")
                )
            elif entry.is_dir(follow_symlinks=False):
                waiting.append((Path(entry.path), f"{path}/"))
            elif not entry.is_file(follow_symlinks=False):
                tell(Problem(entry.path, "it is no regular file"))
            elif not good_path(path):
                tell(Problem(entry.path, "its name cannot be that of an artifact", "rename the file"))
            else:
                yield File(path, entry.stat(follow_symlinks=False).st_size, local=Path(entry.path))


def good_path(path: str) -> bool:
    """Tell whether a path is one that an artifact may have: plain, relative, and the same when unquoted again."""
    seen = path
    for _ in range(5):
        seen = unquote(seen)
    for form in {path, seen}:
        parts = form.split("/")
        if "\\" in form or "#" in form or any(part in ("", ".", "..") for part in parts):
            return False
        if any(ord(letter) < 32 or 0xD800 <= ord(letter) <= 0xDFFF for letter in form):
            return False
    return len(path) <= 3000 and all(len(part.encode()) <= _MOST_NAME_BYTES for part in path.split("/"))


def local_path(uri: str) -> Path | None:
    """Return the local folder that a URI or path names, or None for a place elsewhere.

    >>> local_path("file:///srv/a%20b"), local_path("s3://bucket/x"), local_path("./mlruns/0")
    (PosixPath('/srv/a b'), None, PosixPath('mlruns/0'))
    """
    if "://" not in uri and not uri.startswith("file:"):
        return Path(uri) if ":" not in uri.partition("/")[0] else None
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    return Path(unquote(parts.path))


class Roots:
    """The folders whose files may be brought in. A foreign store may name any path; only these are opened."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = [folder.resolve() for folder in folders]

    def permit(self, place: Path) -> bool:
        """Tell whether a place, links resolved, lies in one of the folders."""
        resolved = place.resolve()
        return any(resolved == folder or folder in resolved.parents for folder in self._folders)
