"""Where the files of a foreign store are: below folders that may be read, or in a store that stays in use."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from trimtab.moving.model import File, Problem, Tell
from trimtab.moving.sources.local_files import Roots, files_below, good_path, local_path

_PROXY = "mlflow-artifacts:"
_OWNED = re.compile(r"/(models/)?(m-[0-9a-f]{32}|[A-Za-z0-9][\w-]{0,255})/artifacts(?:/(.*))?$")


class Place:
    """The files of one run or logged model. ``kept_uri`` is set where they stay in a store that clients reach themselves."""

    def __init__(self, folder: Path | None, kept_uri: str | None, tell: Tell) -> None:
        self._folder = folder
        self._tell = tell
        self.kept_uri = kept_uri

    def files(self) -> Iterator[File]:
        if self._folder is not None and self._folder.is_dir():
            yield from files_below(self._folder, self._tell)


class Places:
    """Finds the files of runs. ``roots`` are the folders that may be read; ``proxied`` is where a server kept its own."""

    def __init__(self, roots: Sequence[Path], *, proxied: Path | None) -> None:
        self._roots = Roots(roots)
        self._proxied = proxied

    def find(self, uri: str, where: str, tell: Tell, *, own: Path | None = None) -> Place:
        """Return where the files are. ``own`` is the folder in which they would be by default, wherever it was moved."""
        if own is not None and own.is_dir() and not own.is_symlink():
            return Place(own, None, tell)
        if uri.startswith(_PROXY):
            path = uri.removeprefix(_PROXY).lstrip("/")
            if self._proxied is None or not good_path(path):
                advice = "name the folder in which the server kept its artifacts: --artifacts FOLDER"
                tell(Problem(where, f"its files are at {uri[:200]}", advice))
                return Place(None, None, tell)
            return Place(self._proxied / path, None, tell)
        folder = local_path(uri)
        if folder is None:
            return Place(None, uri or None, tell)
        if not folder.is_dir():
            return Place(None, None, tell)  # nothing was ever logged
        if not self._roots.permit(folder):
            tell(Problem(where, f"its files are at {folder}", f"allow that: --artifacts {folder}"))
            return Place(None, None, tell)
        return Place(folder, None, tell)

    @staticmethod
    def kept(uri: str | None) -> str | None:
        """Return an experiment's location where it is a store that clients go on using, such as ``s3://...``."""
        if not uri or uri.startswith(_PROXY) or local_path(uri) is not None:
            return None
        return uri


def owned_source(source: str, storage: str) -> str:
    """Return where a registered version's files are in the new home, from where they were in the old one.

    >>> owned_source("/x/mlruns/1/" + 32 * "a" + "/artifacts/model", "")
    'runs:/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/model'
    >>> owned_source("models:/clf/1", "s3://b/1/models/m-" + 32 * "0" + "/artifacts")
    'models:/m-00000000000000000000000000000000'
    """
    if re.fullmatch(r"models:/m-[0-9a-f]{32}", source) or source.startswith("runs:/"):
        return source
    for place in (storage, source):
        found = _OWNED.search(place)
        if found is None:
            continue
        if found[1] and found[2].startswith("m-"):
            return f"models:/{found[2]}"
        return f"runs:/{found[2]}/{found[3]}" if found[3] else f"runs:/{found[2]}/"
    return source
