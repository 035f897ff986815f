"""Which version is to challenge, whether it is served, and whether it runs as it will run for good."""

from typing import TYPE_CHECKING

from trimtab.domains.deploy.errors import VersionNotServed
from trimtab.domains.deploy.model import Endpoint
from trimtab.domains.registry import RegistryService
from trimtab.kernel.errors import Invalid, NotFound
from trimtab.kernel.who import Principal

if TYPE_CHECKING:
    from trimtab.domains.deploy.service import DeployService


class Candidates:
    """What a rollout asks about its challenger before the first request."""

    def __init__(self, registry: RegistryService, endpoints: "DeployService") -> None:
        self._registry = registry
        self._endpoints = endpoints

    def version(self, who: Principal, endpoint: Endpoint, challenger: str) -> str:
        """Return the number of a version that is given as it is served or as a registered model; raises Invalid."""
        if not challenger.startswith("models:/"):
            if not challenger.isdigit():
                raise Invalid("The challenger is a version such as 3, or models:/NAME/3.", field="challenger")
            challenger = f"models:/{endpoint.model}/{challenger}"
        found = self._registry.resolve(who, challenger)
        if found.name != endpoint.model:
            raise Invalid(
                f"Endpoint {endpoint.name} serves {endpoint.model}, not {found.name}.", field="challenger"
            )
        return str(found.version)

    def load(
        self, who: Principal, endpoint: Endpoint, version: str, *, allow_pickle: bool, reason: str
    ) -> None:
        """Have a version loaded that is not served, or that failed when it was tried last."""
        try:
            if endpoint.find(version).state != "failed":
                return
        except VersionNotServed:
            pass
        uri = f"models:/{endpoint.model}/{version}"
        self._endpoints.deploy(who, endpoint.name, uri, weight=None, allow_pickle=allow_pickle, reason=reason)

    def is_compiling(self, who: Principal, endpoint: Endpoint, version: str) -> bool:
        """Whether a version is still compiled while the champion answers in its compiled form.

        Its process would be compared with a model that needs none, and be called slow for what passes.
        """
        if endpoint.champion is None:
            return False
        try:
            champion = self._registry.compilation(who, endpoint.model, int(endpoint.champion)).state
            return (
                champion == "compiled"
                and self._registry.compilation(who, endpoint.model, int(version)).state == "pending"
            )
        except NotFound:
            return False
