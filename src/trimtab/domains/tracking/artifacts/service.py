"""Takes, lists, opens and removes the files of runs and logged models; bytes go to the blob store."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from trimtab.domains.govern import GovernService
from trimtab.domains.tracking.artifacts import store
from trimtab.domains.tracking.artifacts.model import Artifact, Entry, check_path
from trimtab.domains.tracking.errors import ArtifactNotFound, BadPath
from trimtab.domains.tracking.trash import store as trash
from trimtab.domains.tracking.trash.model import Row, experiment_of, held_among
from trimtab.infra.blobs import Blobs
from trimtab.infra.db import Database, Tx
from trimtab.kernel import refs
from trimtab.kernel.ids import new_id
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal


class ArtifactService:
    """Files by path, such as ``<experiment>/<run>/artifacts/...`` and ``<experiment>/models/<model>/artifacts/...``."""

    def __init__(self, db: Database, blobs: Blobs, govern: GovernService) -> None:
        self._db = db
        self._blobs = blobs
        self.govern = govern

    def put(self, who: Principal, path: str, content: bytes | BinaryIO | Iterator[bytes]) -> Artifact:
        """Store a file in constant memory, in the place of one that was there; raises BadPath."""
        self.govern.permit(who, "write", "artifacts")
        check_path(path)
        with self._db.read() as tx:
            store.check_place(tx, path=path)  # before anything is written
        blob = self._blobs.put(content)
        return self.put_blob(who, path, blob)

    def put_blob(self, who: Principal, path: str, blob: str) -> Artifact:
        """Give bytes that are in the blob store a path; raises BadPath and BlobNotFound."""
        self.govern.permit(who, "write", "artifacts")
        check_path(path)
        self._blobs.touch(blob)
        artifact = Artifact(path, blob, self._blobs.size(blob), now_us())
        with self._db.write() as tx:
            store.check_place(tx, path=path)
            before = store.get(tx, path=path)
            if before is not None and before.blob != blob and self._is_held(tx, path):
                self._into_trash(tx, who, path, [before])  # what is held is not lost by overwriting it either
            store.put(tx, artifact)
        return artifact

    def _is_held(self, tx: Tx, path: str) -> bool:
        return held_among(self.govern.held(tx)).artifact(experiment_of(path), path)

    def get(self, who: Principal, path: str) -> Artifact:
        """Return what is known of a file; raises BadPath and ArtifactNotFound."""
        self.govern.permit(who, "read", "artifacts")
        check_path(path)
        with self._db.read() as tx:
            artifact = store.get(tx, path=path)
            if artifact is None and store.is_folder(tx, path=path):
                raise BadPath(f"Artifact path refers to a directory, not a file: '{path}'", field="path")
        if artifact is None:
            raise ArtifactNotFound(f"No such artifact: '{path}'")
        return artifact

    def open(self, who: Principal, path: str) -> BinaryIO:
        """Open a file for reading; raises BadPath and ArtifactNotFound."""
        self.govern.permit(who, "read", "artifacts")
        return self._blobs.open(self.get(who, path).blob)

    def open_with_facts(self, who: Principal, path: str) -> tuple[Artifact, BinaryIO]:
        """Return what is known of a file, and the file opened for reading; raises BadPath and ArtifactNotFound."""
        self.govern.permit(who, "read", "artifacts")
        artifact = self.get(who, path)
        return artifact, self._blobs.open(artifact.blob)

    def list(self, who: Principal, path: str = "") -> list[Entry]:
        """Return what is directly in a folder, by name; nothing where there is no such folder. Raises BadPath."""
        self.govern.permit(who, "read", "artifacts")
        check_path(path, root=True)
        with self._db.read() as tx:
            return store.entries(tx, folder=path)

    def delete(self, who: Principal, path: str) -> int:
        """Move a file, or a folder with all that is in it, to the trash; return how many files went. Raises BadPath."""
        self.govern.permit(who, "write", "artifacts")
        check_path(path)
        with self._db.write() as tx:
            own = store.get(tx, path=path)
            files = [own] if own is not None else store.below(tx, folder=path)
            if files:
                store.delete(tx, path=path)
                ref = self._into_trash(tx, who, path, files)
                detail = {"path": path, "files": len(files)}
                self.govern.audit(tx, who, "tracking.artifact.delete", ref, detail=detail)
        return len(files)

    def _into_trash(self, tx: Tx, who: Principal, path: str, files: "Sequence[Artifact]") -> str:
        ref = refs.make("artifact", new_id("ar_"))
        trash.put(tx, Row(ref, "artifact", path, experiment_of(path), now_us(), who.id))
        trash.put_files(tx, ref=ref, files=files)
        return ref

    def size(self, who: Principal, prefix: str) -> int:
        """Return the bytes of all files in a folder; raises BadPath."""
        self.govern.permit(who, "read", "artifacts")
        check_path(prefix)
        with self._db.read() as tx:
            return sum(artifact.size_bytes for artifact in store.below(tx, folder=prefix))

    def files(self, who: Principal, prefix: str) -> "list[Artifact]":
        """Return every file in a folder and the folders in it; raises BadPath."""
        self.govern.permit(who, "read", "artifacts")
        check_path(prefix)
        with self._db.read() as tx:
            return store.below(tx, folder=prefix)

    def materialize(self, who: Principal, prefix: str, folder: Path) -> Path:
        """Write a folder's files below a local folder and return that; raises BadPath and ArtifactNotFound."""
        self.govern.permit(who, "read", "artifacts")
        files = self.files(who, prefix)
        if not files:
            raise ArtifactNotFound(f"There are no artifacts in {prefix[:200]}.")
        for artifact in files:
            target = folder / artifact.path.removeprefix(f"{prefix}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            self._write(artifact.blob, target)
        return folder

    def _write(self, blob: str, target: Path) -> None:
        with self._blobs.open(blob) as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
