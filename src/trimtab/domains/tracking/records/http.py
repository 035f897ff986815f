"""The HTTP face of moving runs in and out whole."""

import msgspec

from trimtab.domains.tracking.records.model import (
    ExperimentRecord,
    LoggedModelRecord,
    PlacedRecord,
    RunRecord,
    Series,
    told,
)
from trimtab.domains.tracking.service import TrackingService
from trimtab.infra.http import Request, Route, route
from trimtab.kernel.pages import Page


class ImportRuns(msgspec.Struct, forbid_unknown_fields=True):
    origin: str
    runs: list[RunRecord]


class ImportModels(msgspec.Struct, forbid_unknown_fields=True):
    origin: str
    models: list[LoggedModelRecord]


class ImportExperiment(msgspec.Struct, forbid_unknown_fields=True):
    origin: str
    experiment: ExperimentRecord


class ImportedExperiment(msgspec.Struct):
    id: str
    name: str
    artifact_location: str
    created: bool


class PlaceFiles(msgspec.Struct, forbid_unknown_fields=True):
    """The blob of each path among the artifacts."""

    files: dict[str, str]


class Mark(msgspec.Struct, forbid_unknown_fields=True):
    """The fingerprint of each reference, such as ``run:...``."""

    origin: str
    marks: dict[str, str]


class Marks(msgspec.Struct, forbid_unknown_fields=True):
    marks: dict[str, str]


class WantedMarks(msgspec.Struct, forbid_unknown_fields=True):
    refs: list[str]


class HistoryQuery(msgspec.Struct):
    limit: int | None = None
    cursor: str | None = None


class SeriesPage(msgspec.Struct):
    series: Series
    next_cursor: str | None


def routes(service: TrackingService) -> list[Route]:
    records, models = service.records, service.model_records

    @route(
        "POST",
        "/api/v1/import/experiments",
        body=ImportExperiment,
        returns=ImportedExperiment,
        tags=["moving"],
    )
    def import_experiment(request: Request, body: ImportExperiment) -> ImportedExperiment:
        """Make the experiment of a name with its times and tags, where there is none."""
        found, created = records.put_experiment(request.who, body.experiment, origin=body.origin)
        return ImportedExperiment(found.id, found.name, found.artifact_location, created)

    @route("POST", "/api/v1/import/runs", body=ImportRuns, returns=Page[PlacedRecord], tags=["moving"])
    def import_runs(request: Request, body: ImportRuns) -> Page[PlacedRecord]:
        """Bring runs in with their ids, times and all that was logged to them; again, and nothing changes."""
        return Page(records.put_runs(request.who, body.runs, origin=body.origin))

    @route(
        "POST", "/api/v1/import/logged-models", body=ImportModels, returns=Page[PlacedRecord], tags=["moving"]
    )
    def import_logged_models(request: Request, body: ImportModels) -> Page[PlacedRecord]:
        """Bring logged models in with their ids and times."""
        return Page(models.put_models(request.who, body.models, origin=body.origin))

    @route("POST", "/api/v1/import/files", body=PlaceFiles, tags=["moving"])
    def place_files(request: Request, body: PlaceFiles) -> None:
        """Give blobs that were uploaded before their paths among the artifacts."""
        records.put_files(request.who, body.files)

    @route("POST", "/api/v1/import/missing", body=Marks, returns=Page[str], tags=["moving"])
    def missing(request: Request, body: Marks) -> Page[str]:
        """Say which of these were not brought in yet as they look now."""
        return Page(records.missing(request.who, body.marks))

    @route("POST", "/api/v1/import/marks/read", body=WantedMarks, returns=Marks, tags=["moving"])
    def read_marks(request: Request, body: WantedMarks) -> Marks:
        """Return how each of these looked when it was brought in."""
        return Marks(records.marks(request.who, body.refs))

    @route("POST", "/api/v1/import/marks", body=Mark, tags=["moving"])
    def mark(request: Request, body: Mark) -> None:
        """Note that these are complete here as they look now."""
        records.mark(request.who, body.marks, origin=body.origin)

    @route("GET", "/api/v1/runs/{run_id}/record", returns=RunRecord, tags=["moving"])
    def run_record(request: Request) -> RunRecord:
        """Return a run whole but for its points, as it can be brought in elsewhere."""
        return records.run(request.who, request.path["run_id"])

    @route(
        "GET",
        "/api/v1/runs/{run_id}/history/{key:path}",
        query=HistoryQuery,
        returns=SeriesPage,
        tags=["moving"],
    )
    def history(request: Request, query: HistoryQuery) -> SeriesPage:
        """Return every point of a metric, exactly and in the order of time."""
        key: str = request.path["key"]
        page = service.metrics.history(
            request.who, request.path["run_id"], key, limit=query.limit, cursor=query.cursor
        )
        points = page.columns
        series = Series(key, list(points.steps), list(points.at_us), told(points.values))
        return SeriesPage(series, page.next_cursor)

    @route("GET", "/api/v1/logged-models/{model_id}/record", returns=LoggedModelRecord, tags=["moving"])
    def model_record(request: Request) -> LoggedModelRecord:
        """Return a logged model whole, as it can be brought in elsewhere."""
        return models.model(request.who, request.path["model_id"])

    return [
        import_experiment,
        import_runs,
        import_logged_models,
        place_files,
        missing,
        read_marks,
        mark,
        run_record,
        history,
        model_record,
    ]
