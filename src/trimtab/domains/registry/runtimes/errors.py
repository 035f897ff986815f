"""What can go wrong with runtimes."""

from trimtab.kernel.errors import Conflict, Invalid


class RuntimeFailed(Conflict):
    """A version has no environment in which it could be loaded."""

    code = "model-environment-failed"


class BuildingOff(Conflict):
    """The server's settings forbid making environments."""

    code = "model-environments-off"


class BadRequirements(Invalid):
    """A model's requirements cannot be read, or no set of packages fulfils them."""

    code = "bad-requirements"
