"""What can go wrong in tracking."""

from trimtab.kernel.errors import Conflict, Forbidden, Invalid, NotFound


class ExperimentNotFound(NotFound):
    code = "experiment-not-found"


class ExperimentExists(Conflict):
    """Another experiment, perhaps a deleted one, has the name."""

    code = "experiment-exists"


class RunNotFound(NotFound):
    code = "run-not-found"


class NotActive(Invalid):
    """The run or experiment is in the trash and takes no change until it is restored."""

    code = "not-active"


class ParameterChanged(Invalid):
    """A parameter has another value already; parameters are written once."""

    code = "parameter-changed"


class TagNotFound(NotFound):
    code = "tag-not-found"


class LoggedModelNotFound(NotFound):
    code = "logged-model-not-found"


class ArtifactNotFound(NotFound):
    code = "artifact-not-found"


class BadPath(Invalid):
    """A path of an artifact that is absolute, climbs up, or runs through a file."""

    code = "bad-path"


class ViewNotFound(NotFound):
    code = "view-not-found"


class ViewNotYours(Forbidden):
    """A shared view may be changed by its owner and by admins alone."""

    code = "view-not-yours"


class UploadGone(NotFound):
    """An upload in parts that was completed or aborted, is too old, or goes to another folder."""

    code = "upload-gone"


class BadAddress(Forbidden):
    """A signed address that has expired, or was not given by this server."""

    code = "bad-address"


class NotInTrash(NotFound):
    """What was to be restored or purged is not in the trash."""

    code = "not-in-trash"
