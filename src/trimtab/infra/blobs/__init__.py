"""Content-addressed bytes: what is stored is named by its BLAKE3 digest and never changes."""

from trimtab.infra.blobs.port import (
    KEEP_LONG_S,
    BadParts,
    BlobCorrupt,
    BlobId,
    BlobMismatch,
    BlobNotFound,
    Blobs,
    Part,
    Swept,
    UploadNotFound,
    check_id,
)

__all__ = [
    "KEEP_LONG_S",
    "BadParts",
    "BlobCorrupt",
    "BlobId",
    "BlobMismatch",
    "BlobNotFound",
    "Blobs",
    "Part",
    "Swept",
    "UploadNotFound",
    "check_id",
    "connect",
]


def connect(url: str) -> Blobs:
    """Open the store of a ``file://FOLDER`` URL; raises Invalid for any other scheme."""
    scheme, _, rest = url.partition("://")
    match scheme:
        case "file":
            from trimtab.infra.blobs.local import LocalBlobs

            return LocalBlobs(rest)
        case _:
            from trimtab.kernel.errors import Invalid, did_you_mean

            raise Invalid(
                f"No blob store for {scheme}:// (file).{did_you_mean(scheme, ['file'])}", field="blobs"
            )
