"""Large artifacts that come in parts, and addresses that let their holder send a part or fetch a file for a while."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import msgspec

from trimtab.domains.govern import GovernService
from trimtab.domains.tracking.artifacts import store
from trimtab.domains.tracking.artifacts.model import Upload, check_path
from trimtab.domains.tracking.artifacts.service import ArtifactService
from trimtab.domains.tracking.errors import BadAddress, UploadGone
from trimtab.infra.blobs import Blobs, Part
from trimtab.infra.db import Database
from trimtab.kernel.errors import Invalid
from trimtab.kernel.time import DAY_US, now_us
from trimtab.kernel.who import Principal

MOST_PARTS = 10_000
LIFE_US = DAY_US


class UploadService:
    """Uploads in parts. Who began one may complete it; who was given the address of a part may send that part."""

    def __init__(self, db: Database, blobs: Blobs, govern: GovernService, artifacts: ArtifactService) -> None:
        self._db = db
        self._blobs = blobs
        self._artifacts = artifacts
        self.govern = govern
        # Addresses of files are good for minutes, so they need not outlive the process that gave them.
        self._key = secrets.token_bytes(32)

    def begin(self, who: Principal, folder: str, local_file: str, *, parts: int) -> tuple[Upload, str]:
        """Begin an upload of so many parts; return it and the secret that its parts must show. Raises BadPath."""
        self.govern.permit(who, "write", "artifacts")
        name = re.split(r"[\\/]", local_file)[-1]
        path = check_path(f"{folder}/{name}" if folder else name)
        if not 1 <= parts <= MOST_PARTS:
            raise Invalid(f"An upload has 1 to {MOST_PARTS} parts.", field="num_parts")
        with self._db.read() as tx:
            store.check_place(tx, path=path)
        secret = secrets.token_urlsafe(24)
        upload = Upload(
            id=self._blobs.begin_parts(),
            path=path,
            parts=parts,
            secret_digest=_digest(secret),
            blob=None,
            created_us=now_us(),
            created_by=who.id,
        )
        with self._db.write() as tx:
            store.insert_upload(tx, upload)
        return upload, secret

    def put_part(
        self,
        upload_id: str,
        number: int,
        content: BinaryIO | Iterator[bytes],
        *,
        secret: str,
        size_bytes: int,
    ) -> str:
        """Store a part, which whoever knows the secret may send, and return its mark.

        Raises UploadGone, BadAddress, BadParts and Invalid.
        """
        with self._db.read() as tx:
            upload = store.upload(tx, upload_id=upload_id)
        if upload is None or upload.created_us < now_us() - LIFE_US:
            raise UploadGone("This upload was completed, aborted or is older than a day.")
        if not hmac.compare_digest(_digest(secret), upload.secret_digest):
            raise BadAddress("The address of the part is not one that this server gave.")
        if not 1 <= number <= upload.parts:
            raise Invalid(f"The upload has parts 1 to {upload.parts}.", field="part_number")
        return self._blobs.put_part(upload_id, number, content, of=upload.parts, size_bytes=size_bytes)

    def complete(self, who: Principal, folder: str, upload_id: str, parts: Sequence[Part]) -> None:
        """Make the parts a file; doing so again changes nothing. Raises UploadGone, BadParts and BadPath."""
        self.govern.permit(who, "write", "artifacts")
        upload = self._mine(folder, upload_id)
        if upload.blob is not None:
            return
        with self._db.read() as tx:
            store.check_place(tx, path=upload.path)
        blob = self._blobs.join_parts(upload_id, sorted(parts), of=upload.parts)
        self._artifacts.put_blob(who, upload.path, blob)
        with self._db.write() as tx:
            store.finish_upload(tx, upload_id=upload_id, blob=blob)

    def abort(self, who: Principal, folder: str, upload_id: str) -> None:
        """Forget an upload and what came of it; a completed one stays. Raises UploadGone."""
        self.govern.permit(who, "write", "artifacts")
        if self._mine(folder, upload_id).blob is None:
            with self._db.write() as tx:
                store.delete_upload(tx, upload_id=upload_id)
            self._blobs.drop_parts(upload_id)

    def expire(self, who: Principal) -> int:
        """Forget uploads that were begun more than a day ago; a sweep of the blobs removes their parts."""
        self.govern.permit(who, "admin", "artifacts")
        with self._db.write() as tx:
            return store.expire_uploads(tx, before_us=now_us() - LIFE_US)

    def sign(self, path: str, blob: str, *, expires_us: int) -> str:
        """Return what vouches for a file's address until a moment."""
        content = msgspec.json.encode([path, blob, expires_us])
        return hmac.new(self._key, content, hashlib.sha256).hexdigest()

    def open_signed(self, path: str, blob: str, *, expires_us: int, signature: str) -> tuple[BinaryIO, int]:
        """Return a file and its size to whoever holds its address; raises BadAddress and BlobNotFound."""
        good = self.sign(path, blob, expires_us=expires_us)
        if not hmac.compare_digest(good.encode(), signature.encode()) or now_us() > expires_us:
            raise BadAddress("This address has expired or is not one that this server gave.")
        return self._blobs.open(blob), self._blobs.size(blob)

    def _mine(self, folder: str, upload_id: str) -> Upload:
        with self._db.read() as tx:
            upload = store.upload(tx, upload_id=upload_id)
        if upload is None or upload.path.rpartition("/")[0] != folder.strip("/"):
            raise UploadGone(f"There is no upload {upload_id[:100]!r} to this folder.")
        return upload


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
