"""What can go wrong with models and versions."""

from trimtab.kernel.errors import Conflict, Invalid, NotFound, Unavailable


class ModelNotFound(NotFound):
    code = "model-not-found"


class ModelExists(Conflict):
    code = "model-exists"


class ModelVersionNotFound(NotFound):
    code = "model-version-not-found"


class AliasNotFound(NotFound):
    code = "model-alias-not-found"


class ModelFileNotFound(NotFound):
    code = "model-file-not-found"


class ScanNotFound(NotFound):
    code = "model-scan-not-found"


class BadModelUri(Invalid):
    """A text that should name a model version and does not."""

    code = "bad-model-uri"


class BadSource(Invalid):
    """A place that a model version cannot be made from."""

    code = "bad-model-source"


class ModelCorrupt(Unavailable):
    """Stored files are missing or no longer those that were registered."""

    code = "model-corrupt"


class WebhookNotFound(NotFound):
    code = "webhook-not-found"


class EnvironmentRule(Conflict):
    """A version does not meet what its environment asks for; the message says what is missing."""

    code = "environment-rule"


class NotInTrash(NotFound):
    """What was to be restored or purged is not in the trash."""

    code = "not-in-trash"
