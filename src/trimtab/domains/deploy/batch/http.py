"""The HTTP face of batch predictions."""

import msgspec

from trimtab.domains.deploy.batch.model import (
    PART_ROWS,
    ROWS_AT_ONCE,
    BatchPrediction,
    OnError,
    Options,
    State,
)
from trimtab.domains.deploy.batch.service import BatchService
from trimtab.infra.http import Request, Route, route
from trimtab.kernel.pages import Page


class CreateBatchPrediction(msgspec.Struct, forbid_unknown_fields=True):
    """``model`` and ``data`` are such as ``models:/churn@champion`` and ``data:customers@3``."""

    model: str
    data: str
    output: str = ""
    path: str = ""
    columns: list[str] = []
    keep: bool = False
    inputs: list[str] = []
    probabilities: bool = False
    on_error: OnError = "fail"
    rows_at_once: int = ROWS_AT_ONCE
    part_rows: int = PART_ROWS
    workers: int = 0
    allow_pickle: bool = False
    native: bool = False
    reason: str = ""


class BatchPredictionQuery(msgspec.Struct):
    model: str | None = None
    data: str | None = None
    state: State | None = None
    limit: int | None = None
    cursor: str | None = None


def routes(service: BatchService) -> list[Route]:
    @route(
        "POST",
        "/api/v1/batch-predictions",
        body=CreateBatchPrediction,
        returns=BatchPrediction,
        status=201,
        tags=["batch-predictions"],
    )
    def create_batch_prediction(request: Request, body: CreateBatchPrediction) -> BatchPrediction:
        """Have a registered version predict a data version in the background."""
        options = Options(
            columns=body.columns,
            keep=body.keep,
            inputs=body.inputs,
            probabilities=body.probabilities,
            on_error=body.on_error,
            rows_at_once=body.rows_at_once,
            part_rows=body.part_rows,
            workers=body.workers,
            allow_pickle=body.allow_pickle,
            native=body.native,
        )
        return service.create(
            request.who,
            model=body.model,
            data=body.data,
            output=body.output,
            path=body.path,
            options=options,
            reason=body.reason,
        )

    @route(
        "GET",
        "/api/v1/batch-predictions",
        query=BatchPredictionQuery,
        returns=Page[BatchPrediction],
        tags=["batch-predictions"],
    )
    def list_batch_predictions(request: Request, query: BatchPredictionQuery) -> Page[BatchPrediction]:
        """List batch predictions, the newest first."""
        return service.list(
            request.who,
            model=query.model,
            data=query.data,
            state=query.state,
            limit=query.limit,
            cursor=query.cursor,
        )

    @route("GET", "/api/v1/batch-predictions/{id}", returns=BatchPrediction, tags=["batch-predictions"])
    def get_batch_prediction(request: Request) -> BatchPrediction:
        """Return a batch prediction: how far it is, or what came out."""
        return service.get(request.who, request.path["id"])

    @route(
        "POST", "/api/v1/batch-predictions/{id}/cancel", returns=BatchPrediction, tags=["batch-predictions"]
    )
    def cancel_batch_prediction(request: Request) -> BatchPrediction:
        """Take a batch prediction back; nothing of it is kept."""
        return service.cancel(request.who, request.path["id"])

    return [create_batch_prediction, list_batch_predictions, get_batch_prediction, cancel_batch_prediction]
