"""What can go wrong with datasets."""

from trimtab.kernel.errors import Conflict, Invalid, NotFound


class DatasetNotFound(NotFound):
    code = "dataset-not-found"


class VersionNotFound(NotFound):
    code = "data-version-not-found"


class FileNotInVersion(NotFound):
    code = "data-file-not-found"


class SuiteNotFound(NotFound):
    code = "expectations-not-found"


class ProfileNotFound(NotFound):
    code = "profile-not-found"


class BadPath(Invalid):
    code = "bad-path"


class BlobsMissing(Conflict):
    """The manifest names blobs that were not uploaded; ``details`` lists some of them."""

    code = "blobs-missing"


class FolderNotEmpty(Conflict):
    code = "folder-not-empty"
