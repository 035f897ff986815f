"""Deploy: endpoints that serve registered models, their traffic, rollouts and rollbacks."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trimtab.domains.deploy.service import DeployService

__all__ = ["DeployService"]


def __getattr__(name: str) -> Any:
    # Its processes are started before anything of the service is imported.
    if name != "DeployService":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from trimtab.domains.deploy.service import DeployService

    return DeployService
