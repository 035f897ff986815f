"""The HTTP face of runtimes."""

import msgspec

from trimtab.domains.registry.runtimes.model import Allowed, Runtime, RuntimeState, Trial
from trimtab.domains.registry.runtimes.service import RuntimeService
from trimtab.infra.http import Request, Route, route


class Prepare(msgspec.Struct, forbid_unknown_fields=True):
    """``allow_sources`` and ``allow_pickle`` run code and need an approver; ``own`` uses the server's packages."""

    allow_sources: bool = False
    allow_pickle: bool = False
    own: bool = False


class RuntimeView(msgspec.Struct):
    """The runtime of a version; ``took`` has the seconds of each step, ``key`` names the environment."""

    state: RuntimeState
    message: str
    asked: list[str]
    python: str
    key: str
    lock: str
    trial: Trial
    took: dict[str, float]
    took_s: float
    size_bytes: int
    allowed: Allowed
    updated_us: int
    updated_by: str


def routes(service: RuntimeService) -> list[Route]:
    def view(runtime: Runtime) -> RuntimeView:
        return RuntimeView(
            state=runtime.state,
            message=runtime.message,
            asked=runtime.asked,
            python=runtime.python,
            key=runtime.key,
            lock=runtime.lock,
            trial=runtime.trial,
            took=runtime.took,
            took_s=runtime.took_s,
            size_bytes=runtime.size_bytes,
            allowed=runtime.allowed,
            updated_us=runtime.updated_us,
            updated_by=runtime.updated_by,
        )

    path = "/api/v1/models/{name}/versions/{version:int}/environment"

    @route("GET", path, returns=RuntimeView, tags=["models"])
    def get_environment(request: Request) -> RuntimeView:
        """Return in which Python and with which packages a version is loaded, or why it cannot be."""
        return view(service.get(request.who, request.path["name"], request.path["version"]))

    @route("POST", path, body=Prepare, returns=RuntimeView, status=202, tags=["models"])
    def prepare_environment(request: Request, body: Prepare) -> RuntimeView:
        """Have a version's environment made and tried, or made again where that failed."""
        made = service.prepare(
            request.who,
            request.path["name"],
            request.path["version"],
            allow_sources=body.allow_sources,
            allow_pickle=body.allow_pickle,
            own=body.own,
        )
        return view(made)

    return [get_environment, prepare_environment]
