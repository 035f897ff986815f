"""What can go wrong when an endpoint is written down for other systems."""

from trimtab.kernel.errors import Conflict, Invalid


class NotExportable(Conflict):
    """The endpoint has nothing that the format could say, or more than it can."""

    code = "not-exportable"


class UnknownFormat(Invalid):
    code = "unknown-export-format"
