"""What can go wrong with bundles for devices."""

from trimtab.kernel.errors import Conflict, Invalid, NotFound, Unavailable


class EdgeBundleNotFound(NotFound):
    code = "edge-bundle-not-found"


class EdgeBundleNotReady(Conflict):
    """No bundle was made yet, or none could be."""

    code = "edge-bundle-not-ready"


class NotForTheEdge(Invalid):
    """The model has no form that a device runs, or nothing to check it by."""

    code = "not-for-the-edge"


class NotCompiledYet(Unavailable):
    """The compiled form that a device runs is still being made."""

    code = "not-compiled-yet"


class BadDelivery(Invalid):
    """What a device sent is not what its bundle predicts."""

    code = "bad-edge-delivery"
