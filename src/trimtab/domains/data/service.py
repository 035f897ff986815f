"""Adds, lists, reads, compares and removes versions of datasets."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
from blake3 import blake3

from trimtab.domains.data import store, tables
from trimtab.domains.data.compare import DataComparison, Sketches, compare
from trimtab.domains.data.content import ContentService
from trimtab.domains.data.errors import (
    BlobsMissing,
    DatasetNotFound,
    FileNotInVersion,
    FolderNotEmpty,
    ProfileNotFound,
    VersionNotFound,
)
from trimtab.domains.data.events import DataValidationFinished, DataVersionAdded
from trimtab.domains.data.model import (
    Added,
    DataFile,
    Dataset,
    DataVersion,
    Findings,
    check_files,
    check_message,
    check_name,
    check_parents,
    digest_of,
)
from trimtab.domains.data.validation import ValidationService
from trimtab.domains.govern import GovernService
from trimtab.domains.lineage import LineageService
from trimtab.infra.blobs import BlobCorrupt, Blobs
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database, Tx, Where
from trimtab.infra.jobs import Jobs
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.kernel.pages import Page, check_limit, cursor_key, page_of
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal

_PIECE = 1 << 20
_MOST_NAMED = 1000
_MANIFEST = msgspec.json.Decoder(list[DataFile])


class DataService:
    """Datasets. ``content`` moves bytes, ``validation`` keeps suites and profiles."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        jobs: Jobs,
        blobs: Blobs,
        govern: GovernService,
        lineage: LineageService,
        *,
        scratch: Path,
    ) -> None:
        self._db = db
        self._bus = bus
        self._blobs = blobs
        self._lineage = lineage
        self.govern = govern
        self.content = ContentService(blobs, govern)
        self.validation = ValidationService(db, bus, jobs, blobs, govern, scratch=scratch)

    def add(
        self,
        who: Principal,
        name: str,
        files: Sequence[DataFile],
        *,
        message: str = "",
        derived_from: Sequence[str] = (),
    ) -> Added:
        """Add a version made of blobs that are stored already; the newest version is returned if it is the same.

        Going back to older content makes a new version with the old digest. Raises Invalid or BadPath naming
        the file, and BlobsMissing.
        """
        self.govern.permit(who, "write", refs.data(name))
        check_name(name)
        check_message(message)
        parents = check_parents(derived_from)
        ordered = check_files(files)
        digest = digest_of(ordered)
        with self._db.read() as tx:
            newest = store.latest(tx, name=name)
            self._check_known(tx, parents)
        if newest is not None and newest.digest == digest:
            return Added(newest, created=False)
        self._check_stored(ordered)
        manifest = self._blobs.put(msgspec.json.encode(ordered))
        tabular = any(tables.format_of(file.path) for file in ordered)
        with self._db.write() as tx:
            tx.lock(f"data.dataset:{name}")
            newest = store.latest(tx, name=name)
            if newest is not None and newest.digest == digest:
                return Added(newest, created=False)
            version = DataVersion(
                name=name,
                version=(store.last_version(tx, name=name) or 0) + 1,
                digest=digest,
                manifest=manifest,
                file_count=len(ordered),
                size_bytes=sum(file.size_bytes for file in ordered),
                message=message,
                created_us=now_us(),
                created_by=who.id,
                derived_from=parents,
                validation_state="pending" if tabular else "none",
            )
            store.insert_version(tx, version)
            store.put_dataset(
                tx, name=name, version=version.version, created_by=who.id, now_us=version.created_us
            )
            for parent in parents:
                self._lineage.link(tx, parent, version.ref, "derived")
            detail = {"digest": digest, "files": version.file_count, "message": message}
            self.govern.audit(tx, who, "data.version.add", version.ref, detail=detail)
            self._announce(tx, who, version)
        return Added(version, created=True)

    def _announce(self, tx: Tx, who: Principal, version: DataVersion) -> None:
        added = DataVersionAdded(
            version.name, version.version, version.digest, version.file_count, version.size_bytes
        )
        self._bus.emit(tx, added, subject=version.ref, actor=who.id)
        if version.validation_state == "pending":
            self.validation.enqueue(tx, version)
        else:
            finished = DataValidationFinished(
                version.name, version.version, "none", 0, 0, "It holds no table."
            )
            self._bus.emit(tx, finished, subject=version.ref, actor=who.id)

    def _check_known(self, tx: Tx, parents: Sequence[str]) -> None:
        for parent in parents:
            if refs.split(parent)[0] == "data":
                name, number = refs.data_parts(parent)
                if (
                    not (number or "").isdigit()
                    or store.version(tx, name=name, version=int(number or 0)) is None
                ):
                    raise Invalid(f"There is no version {parent!r} to come from.", field="derived_from")

    def _check_stored(self, files: Sequence[DataFile]) -> None:
        missing: list[str] = []
        for place, file in enumerate(files):
            if not self._blobs.touch(file.blob):
                missing.append(file.blob)
            elif (size := self._blobs.size(file.blob)) != file.size_bytes:
                raise Invalid(
                    f"{file.path!r} is said to have {file.size_bytes} bytes, but {file.blob} has {size}.",
                    field=f"files[{place}].size_bytes",
                )
        if missing:
            raise BlobsMissing(
                f"{len(missing)} blobs of the manifest were not uploaded.",
                field="files",
                details={"missing": missing[:_MOST_NAMED], "count": len(missing)},
            )

    def datasets(
        self, who: Principal, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[Dataset]:
        """Return the datasets that have a version, by name."""
        self.govern.permit(who, "read", "data")
        size = check_limit(limit)
        where = Where()
        if cursor:
            where.add("d.name > :after", after=cursor_key(cursor, str))
        with self._db.read() as tx:
            found = store.datasets(tx, where=where, limit=size + 1)
        return page_of(found, size, key=lambda one: one.name)

    def get(self, who: Principal, name: str) -> Dataset:
        """Return one dataset; raises DatasetNotFound."""
        self.govern.permit(who, "read", refs.data(name))
        with self._db.read() as tx:
            found = store.datasets(tx, where=Where().add("d.name = :name", name=name), limit=1)
            if not found:
                raise self._unknown(tx, name)
        return found[0]

    def versions(
        self, who: Principal, name: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[DataVersion]:
        """Return the versions of a dataset, newest first; raises DatasetNotFound."""
        self.govern.permit(who, "read", refs.data(name))
        size = check_limit(limit)
        where = Where().equals(dataset=name).add("removed_us is null")
        if cursor:
            where.add("version < :before", before=cursor_key(cursor, int))
        with self._db.read() as tx:
            found = store.versions(tx, where=where, limit=size + 1)
            if not found and not cursor:
                raise self._unknown(tx, name)
        return page_of(found, size, key=lambda one: one.version)

    def get_version(self, who: Principal, name: str, version: int | None = None) -> DataVersion:
        """Return a version, the newest for None; raises DatasetNotFound or VersionNotFound."""
        self.govern.permit(who, "read", refs.data(name))
        with self._db.read() as tx:
            return self._require(tx, name, version)

    def findings(self, who: Principal, name: str, version: int) -> Findings:
        """Return what the profile of a version found, and the checks of its validation."""
        self.govern.permit(who, "read", refs.data(name))
        with self._db.read() as tx:
            self._require(tx, name, version)
            found = store.findings(tx, name=name, version=version)
        assert found is not None
        return found

    def profile(self, who: Principal, name: str, version: int) -> bytes | None:
        """Return the profile of a version as JSON, None while or where there is none."""
        self.govern.permit(who, "read", refs.data(name))
        blob = self.findings(who, name, version).profile
        if blob is None:
            return None
        with self._blobs.open(blob) as stream:
            return stream.read()

    def files(self, who: Principal, name: str, version: int | None = None) -> list[DataFile]:
        """Return the files of a version by path."""
        self.govern.permit(who, "read", refs.data(name))
        with self._blobs.open(self.get_version(who, name, version).manifest) as stream:
            return _MANIFEST.decode(stream.read())

    def blobs_in_use(self, who: Principal, *, removed_before_us: int) -> Iterator[str]:
        """Go through every blob that a version needs which is not removed, was so lately, or is held."""
        self.govern.permit(who, "admin", "blobs")
        with self._db.read() as tx:
            held = {ref for ref in self.govern.held(tx) if ref.startswith("data:")}
            kept = store.kept_versions(tx, removed_before_us=removed_before_us, held=bool(held))
        for name, version, manifest, profile, sketches, removed_us in kept:
            long_gone = removed_us is not None and removed_us < removed_before_us
            if long_gone and held.isdisjoint((refs.data(name), refs.data(name, version))):
                continue
            yield from (blob for blob in (manifest, profile, sketches) if blob is not None)
            if self._blobs.exists(manifest):
                with self._blobs.open(manifest) as stream:
                    yield from (file.blob for file in _MANIFEST.decode(stream.read()))

    def open_file(
        self, who: Principal, name: str, version: int | None, path: str
    ) -> tuple[DataFile, BinaryIO]:
        """Open one file of a version for reading; raises FileNotInVersion."""
        self.govern.permit(who, "read", refs.data(name))
        files = self.files(who, name, version)
        for file in files:
            if file.path == path:
                return file, self._blobs.open(file.blob)
        hint = did_you_mean(path, [file.path for file in files[:_MOST_NAMED]])
        raise FileNotInVersion(f"There is no file {path[:200]!r} in this version.{hint}")

    def pack(self, who: Principal, name: str, version: int | None, blobs: Sequence[str]) -> Iterator[bytes]:
        """Return a pack of blobs of a version; raises FileNotInVersion for blobs of others."""
        self.govern.permit(who, "read", refs.data(name))
        known = {file.blob for file in self.files(who, name, version)}
        for blob in blobs:
            if blob not in known:
                raise FileNotInVersion(
                    f"The blob {blob[:80]!r} does not belong to this version.", field="blobs"
                )
        return self.content.pack(who, dict.fromkeys(blobs))

    def materialize(self, who: Principal, name: str, version: int | None, folder: Path) -> Path:
        """Write the files of a version into a folder that is empty or not there yet, and return it.

        The folder appears complete or not at all. The files are copies whose digests were checked, so nothing
        done to them harms the version. Raises FolderNotEmpty, and BlobCorrupt.
        """
        self.govern.permit(who, "read", refs.data(name))
        files = self.files(who, name, version)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise FolderNotEmpty(f"{folder} is there already and not an empty folder.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        incoming = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.incoming-"))
        try:
            for file in files:
                self._copy(file, incoming / file.path)
            incoming.chmod(0o755)
            incoming.replace(folder)
        except OSError as error:
            raise FolderNotEmpty(f"{folder} cannot be written: {error.strerror}.") from error
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        return folder

    def _copy(self, file: DataFile, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = blake3()
        with self._blobs.open(file.blob) as source, target.open("xb") as copy:
            while piece := source.read(_PIECE):
                digest.update(piece)
                copy.write(piece)
        if f"b3:{digest.hexdigest()}" != file.blob:
            raise BlobCorrupt(f"The stored bytes of {file.path!r} are not those of {file.blob} any more.")

    def compare(self, who: Principal, name: str, old: int | None, new: int | None) -> DataComparison:
        """Return how two versions differ in columns, rows and distributions; raises ProfileNotFound."""
        self.govern.permit(who, "read", refs.data(name))
        with self._db.read() as tx:
            pair = [self._require(tx, name, number) for number in (old, new)]
            found = [store.findings(tx, name=name, version=one.version) for one in pair]
        loaded: list[Sketches] = []
        for one, its in zip(pair, found, strict=True):
            if its is None or its.sketches is None:
                why = (
                    "is still being profiled"
                    if one.validation_state == "pending"
                    else "holds no readable table"
                )
                raise ProfileNotFound(f"Version {one.version} of {name} {why}.")
            with self._blobs.open(its.sketches) as stream:
                loaded.append(Sketches.read(stream.read(), its.columns))
        return compare(name, (pair[0].version, loaded[0]), (pair[1].version, loaded[1]))

    def remove(self, who: Principal, name: str, version: int | None = None) -> int:
        """Take a version, or the whole dataset, out of every listing and return how many versions went.

        Numbers are not given again, so a reference to a removed version never means another.
        """
        self.govern.permit(who, "approve", refs.data(name))
        with self._db.write() as tx:
            tx.lock(f"data.dataset:{name}")
            now = now_us()
            if version is None:
                count = store.remove_versions(tx, name=name, now_us=now)
                store.remove_suites(tx, name=name)
                if count == 0:
                    raise self._unknown(tx, name)
            else:
                self._require(tx, name, version)
                count = int(store.remove_version(tx, name=name, version=version, now_us=now))
            store.touch_dataset(tx, name=name, now_us=now)
            self.govern.audit(tx, who, "data.remove", refs.data(name, version), detail={"versions": count})
        return count

    def _require(self, tx: Tx, name: str, version: int | None) -> DataVersion:
        newest = store.latest(tx, name=name)
        if newest is None:
            raise self._unknown(tx, name)
        if version is None or version == newest.version:
            return newest
        found = store.version(tx, name=name, version=version)
        if found is None:
            raise VersionNotFound(f"{name} has no version {version}; the newest is {newest.version}.")
        return found

    def _unknown(self, tx: Tx, name: str) -> DatasetNotFound:
        known = [dataset.name for dataset in store.datasets(tx, where=Where(), limit=_MOST_NAMED)]
        return DatasetNotFound(f"There is no dataset {name[:128]!r}.{did_you_mean(name, known)}")
