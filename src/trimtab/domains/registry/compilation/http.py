"""The HTTP face of compilations."""

import msgspec

from trimtab.domains.registry.compilation.model import Compilation
from trimtab.domains.registry.service import RegistryService
from trimtab.infra.http import Request, Route, route


class CompilationStarted(msgspec.Struct):
    """The job that does it; ``GET /api/v1/jobs`` shows how it fares."""

    job: str


def routes(service: RegistryService) -> list[Route]:
    @route(
        "GET",
        "/api/v1/models/{name}/versions/{version:int}/compilation",
        returns=Compilation,
        tags=["models"],
    )
    def get_compilation(request: Request) -> Compilation:
        """Return whether a version was compiled: how far it answers otherwise than the native model, and how fast."""
        return service.compilation(request.who, request.path["name"], request.path["version"])

    @route(
        "POST",
        "/api/v1/models/{name}/versions/{version:int}/compilation",
        returns=CompilationStarted,
        status=202,
        tags=["models"],
    )
    def recompile(request: Request) -> CompilationStarted:
        """Have a version compiled again; what was compiled before serves until there is a new verdict."""
        return CompilationStarted(
            service.recompile(request.who, request.path["name"], request.path["version"])
        )

    return [get_compilation, recompile]
