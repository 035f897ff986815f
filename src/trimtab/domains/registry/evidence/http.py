"""The HTTP face of what is known of versions: comparisons, environments, metrics with intervals, scans."""

import msgspec

from trimtab.domains.registry.evidence.comparison import VersionComparison
from trimtab.domains.registry.evidence.service import EvaluationRows
from trimtab.domains.registry.model import EnvironmentState, MetricEstimate, ModelEnvironment
from trimtab.domains.registry.scan import FileScan
from trimtab.domains.registry.service import RegistryService
from trimtab.infra.http import Request, Route, route
from trimtab.kernel.errors import Invalid
from trimtab.kernel.pages import Page


class RecordMetrics(msgspec.Struct, forbid_unknown_fields=True):
    """Metrics as they were estimated, each with the ends of its interval, how that was made, and on which rows."""

    metrics: list[MetricEstimate]


class SetEnvironments(msgspec.Struct, forbid_unknown_fields=True):
    """The environments in the order in which a version goes through them."""

    environments: list[ModelEnvironment]
    reason: str = ""


class CompareQuery(msgspec.Struct):
    versions: str


class JobStarted(msgspec.Struct):
    """The job that does it; ``GET /api/v1/jobs`` shows how it fares."""

    job: str


def routes(service: RegistryService) -> list[Route]:
    @route(
        "GET",
        "/api/v1/models/{name}/compare",
        query=CompareQuery,
        returns=VersionComparison,
        tags=["models"],
    )
    def compare(request: Request, query: CompareQuery) -> VersionComparison:
        """Set versions beside each other: ``versions=1,2,3``."""
        return service.compare(request.who, request.path["name"], _numbers(query.versions))

    @route("GET", "/api/v1/models/{name}/environments", returns=Page[EnvironmentState], tags=["models"])
    def list_environments(request: Request) -> Page[EnvironmentState]:
        """List a model's environments in order, each with its rules and the version that is in it."""
        return Page(service.environments(request.who, request.path["name"]))

    @route(
        "PUT",
        "/api/v1/models/{name}/environments",
        body=SetEnvironments,
        returns=Page[EnvironmentState],
        tags=["models"],
    )
    def set_environments(request: Request, body: SetEnvironments) -> Page[EnvironmentState]:
        """Replace a model's environments; what is in them stays. Moving a version is setting the alias of that name."""
        return Page(
            service.set_environments(request.who, request.path["name"], body.environments, reason=body.reason)
        )

    @route(
        "GET",
        "/api/v1/models/{name}/versions/{version:int}/metrics",
        returns=Page[MetricEstimate],
        tags=["models"],
    )
    def list_estimates(request: Request) -> Page[MetricEstimate]:
        """List the metrics of a version that were recorded with their intervals."""
        return Page(service.estimates(request.who, request.path["name"], request.path["version"]))

    @route(
        "POST",
        "/api/v1/models/{name}/versions/{version:int}/metrics",
        body=RecordMetrics,
        returns=Page[MetricEstimate],
        tags=["models"],
    )
    def record_estimates(request: Request, body: RecordMetrics) -> Page[MetricEstimate]:
        """Keep metrics of a version with their intervals; the same key on the same data is replaced."""
        return Page(
            service.record_estimates(request.who, request.path["name"], request.path["version"], body.metrics)
        )

    @route(
        "POST",
        "/api/v1/models/{name}/versions/{version:int}/evaluations",
        body=EvaluationRows,
        returns=JobStarted,
        status=202,
        tags=["models"],
    )
    def evaluate(request: Request, body: EvaluationRows) -> JobStarted:
        """Have metrics with intervals computed from what was true and what the model said of each row."""
        return JobStarted(service.evaluate(request.who, request.path["name"], request.path["version"], body))

    @route("GET", "/api/v1/models/{name}/versions/{version:int}/scan", returns=FileScan, tags=["models"])
    def get_scan(request: Request) -> FileScan:
        """Return what the scan of a version's files found."""
        return service.scan(request.who, request.path["name"], request.path["version"])

    @route(
        "POST",
        "/api/v1/models/{name}/versions/{version:int}/scan",
        returns=JobStarted,
        status=202,
        tags=["models"],
    )
    def rescan(request: Request) -> JobStarted:
        """Have a version's files scanned again by the rules of now."""
        return JobStarted(service.rescan(request.who, request.path["name"], request.path["version"]))

    return [
        compare,
        list_environments,
        set_environments,
        list_estimates,
        record_estimates,
        evaluate,
        get_scan,
        rescan,
    ]


def _numbers(text: str) -> list[int]:
    parts = [part.strip().removeprefix("v") for part in text.split(",") if part.strip()]
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise Invalid("versions is a list of numbers such as 1,2,3.", field="versions")
    return [int(part) for part in parts]
