"""The files of a version: listed, read, and laid out as a folder whose content is checked byte by byte."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import BinaryIO

from blake3 import blake3

from trimtab.domains.registry import store
from trimtab.domains.registry.errors import ModelCorrupt, ModelFileNotFound
from trimtab.domains.registry.model import File, ModelVersion, tree_digest
from trimtab.domains.registry.versions import Versions
from trimtab.infra.blobs.port import BlobNotFound
from trimtab.kernel import refs
from trimtab.kernel.errors import Conflict, did_you_mean
from trimtab.kernel.who import Principal

OWN_FILES = "model-versions"  # the folder among the artifacts under which versions have their own addresses
_PIECE = 1 << 20


class Files(Versions):
    """Files by version."""

    def files(self, who: Principal, name: str, version: int) -> list[File]:
        """Return the files of a version by path; raises ModelVersionNotFound."""
        self.govern.permit(who, "read", refs.model(name, version))
        with self._db.read() as tx:
            self._version(tx, name, version)
            return store.files(tx, name=name, version=version)

    def open_file(self, who: Principal, name: str, version: int, path: str) -> tuple[File, BinaryIO]:
        """Open one file for reading; raises ModelFileNotFound, and ModelCorrupt where its bytes are gone."""
        self.govern.permit(who, "read", refs.model(name, version))
        with self._db.read() as tx:
            self._version(tx, name, version)
            file = store.file(tx, name=name, version=version, path=path)
            if file is None:
                known = [one.path for one in store.files(tx, name=name, version=version)]
                raise ModelFileNotFound(
                    f"{name} version {version} has no file {path[:300]!r}.{did_you_mean(path, known)}",
                    field="path",
                )
        return file, self.open_blob(who, file)

    def open_blob(self, who: Principal, file: File) -> BinaryIO:
        """Open the bytes of a version's file for reading; raises ModelCorrupt where they are gone."""
        self.govern.permit(who, "read", "models")
        try:
            return self._blobs.open(file.blob)
        except BlobNotFound as error:
            raise ModelCorrupt(f"The bytes of {file.path} are gone.") from error

    def location(self, who: Principal, name: str, version: int) -> str:
        """Return where clients of MLflow find a version's files; raises ModelVersionNotFound.

        That is where they were registered from as long as tracking has exactly these files there, and the version's own
        address, which no one can write to, as soon as it has not.
        """
        self.govern.permit(who, "read", refs.model(name, version))
        with self._db.read() as tx:
            found = self._version(tx, name, version)
            files = store.files(tx, name=name, version=version)
        if found.location is None or self._sources.unchanged(who, found, files):
            return found.source if found.source.startswith("runs:") else found.location or found.source
        return f"mlflow-artifacts:/{OWN_FILES}/{found.digest.partition(':')[2]}"

    def files_of_digest(self, who: Principal, digest: str) -> list[File]:
        """Return the files of the versions with a digest (64 hex digits) by path; raises ModelFileNotFound."""
        self.govern.permit(who, "read", "models")
        with self._db.read() as tx:
            found = store.version_of_digest(tx, digest=f"sha256:{digest}")
            files = store.files(tx, name=found[0], version=found[1]) if found else []
        if not files:
            raise ModelFileNotFound(f"No version has the digest {digest[:64]}.")
        return files

    def local_file(self, who: Principal, file: File) -> Path | None:
        """Return a read-only local copy of a file's bytes where the blob store has one; raises ModelCorrupt."""
        self.govern.permit(who, "read", "models")
        try:
            return self._blobs.path(file.blob)
        except BlobNotFound as error:
            raise ModelCorrupt(f"The bytes of {file.path} are gone.") from error

    def materialize(self, who: Principal, name: str, version: int, folder: Path) -> Path:
        """Write a version's files (its MLmodel folder) to a folder that appears complete or not at all; return it.

        Every byte is compared with what was registered, also in a folder that is there already. Raises
        ModelFileNotFound for a version without files, ModelCorrupt, and Conflict where other files are in the folder.
        """
        self.govern.permit(who, "read", refs.model(name, version))
        with self._db.read() as tx:
            found = self._version(tx, name, version)
            files = store.files(tx, name=name, version=version)
        if not files:
            raise ModelFileNotFound(f"{name} version {version} has no files.")
        if tree_digest(files) != found.digest:
            raise ModelCorrupt(
                f"The list of files of {name} version {version} is not the one that was registered."
            )
        if folder.exists() and any(folder.iterdir()):
            _compare(folder, files)
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        incoming = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            for file in files:
                self._write(found, file, incoming)
            incoming.chmod(0o755)
            try:
                incoming.replace(folder)
            except OSError:  # someone else was faster, or the folder is not empty after all
                _compare(folder, files)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        return folder

    def _write(self, version: ModelVersion, file: File, root: Path) -> None:
        target = root / file.path
        if not target.resolve().is_relative_to(root.resolve()):
            raise ModelCorrupt(f"{version.name} version {version.version} has a file outside of its folder.")
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = blake3()
        try:
            with self._blobs.open(file.blob) as source, target.open("wb") as copy:
                while piece := source.read(_PIECE):
                    digest.update(piece)
                    copy.write(piece)
        except BlobNotFound as error:
            raise ModelCorrupt(
                f"The bytes of {file.path} of {version.name} version {version.version} are gone."
            ) from error
        if f"b3:{digest.hexdigest()}" != file.blob:
            raise ModelCorrupt(
                f"{file.path} of {version.name} version {version.version} is not what was registered."
            )


def _compare(folder: Path, files: list[File]) -> None:
    """Raise Conflict unless the folder holds exactly these files with these bytes."""
    wanted = {file.path: file.blob for file in files}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            relative = path.relative_to(folder).as_posix()
            blob = wanted.pop(relative, None)
            if blob is None or path.is_symlink() or f"b3:{_digest(path)}" != blob:
                raise Conflict(f"{folder} holds other files than the version ({relative}).")
    if wanted:
        raise Conflict(f"{folder} lacks files of the version ({min(wanted)}).")


def _digest(path: Path) -> str:
    digest = blake3()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
