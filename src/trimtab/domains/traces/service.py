"""The one face of traces: a service for each noun, over one database."""

from collections.abc import Sequence

from trimtab.domains.govern import GovernService
from trimtab.domains.traces.analysis.service import AnalysisService
from trimtab.domains.traces.assessments.service import AssessmentService
from trimtab.domains.traces.datasets import store as datasets_store
from trimtab.domains.traces.datasets.service import EvaluationDatasetService
from trimtab.domains.traces.infos import service as infos
from trimtab.domains.tracking import TrackingService
from trimtab.infra.db import Database, Tx


class TracesService:
    """What applications did for their requests, what is said of it, and what is expected of them."""

    def __init__(self, db: Database, govern: GovernService, tracking: TrackingService) -> None:
        self.traces = infos.TraceService(db, govern, tracking)
        self.assessments = AssessmentService(db, govern)
        self.datasets = EvaluationDatasetService(db, govern, tracking)
        self.analysis = AnalysisService(db, govern)


def purge(tx: Tx, *, before_us: int, held: Sequence[int] = (), limit: int = 1000) -> dict[str, list[str]]:
    """End what went to the trash before a time, at most so many of each kind, and return the ids by kind.

    Traces of the experiments ``held`` stay.

    Runs in the transaction of whoever empties the trash; call again until nothing comes back.
    """
    return {
        "trace": infos.purge(tx, before_us=before_us, held=held, limit=limit),
        "evaluation-dataset": datasets_store.purge(tx, before_us=before_us, limit=limit),
    }


def purge_experiment(tx: Tx, *, experiment_id: str, limit: int = 1000) -> list[str]:
    """End traces of an experiment that is itself being ended; call again until nothing comes back."""
    return infos.purge_experiment(tx, experiment_id=experiment_id, limit=limit)
