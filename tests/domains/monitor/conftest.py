"""A watched endpoint, and a gateway's log written by hand."""

import asyncio
import io
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.background import work_off
from tests.domains.deploy.conftest import PLANE, Models, models
from trimtab.app import App
from trimtab.domains.data.model import DataFile
from trimtab.domains.monitor.model import Baseline, Policy
from trimtab.kernel.ids import new_id
from trimtab.kernel.time import DAY_US
from trimtab.kernel.who import Principal
from trimtab.serving.records import Feedback, Prediction, Record
from trimtab.serving.segments import SegmentWriter

__all__ = ["DAY", "Watched", "models"]

DAY = DAY_US
POLICY = Policy(arl=100, min_rows=20, drift_tolerance=0.01, loss_margin=0.01)


class Watched:
    """An endpoint ``churn`` with champion 1, watched by the monitor ``churn``; days count from 1970."""

    def __init__(self, app: App, owner: Principal) -> None:
        self.app = app
        self.owner = owner
        self.rng = np.random.default_rng(0)
        self.made: list[Prediction] = []

    def predictions(
        self,
        day: int,
        count: int,
        *,
        shift: float = 0.0,
        version: str = "1",
        rows: int = 1,
        role: str = "champion",
    ) -> list[Prediction]:
        """Return requests of one day whose column a moved by a shift; the score follows a."""
        made: list[Prediction] = []
        for number in range(count):
            a = (self.rng.normal(size=rows) + shift).tolist()
            made.append(
                Prediction(
                    id=new_id(),
                    endpoint="churn",
                    version=version,
                    role=role,  # type: ignore[arg-type]
                    at_us=number,
                    event_us=day * DAY + number,
                    latency_us=1000 + number,
                    rows=rows,
                    columns={"a": a, "b": [0.0] * rows},
                    outputs=[float(1 / (1 + np.exp(-value))) for value in a],
                    status=200,
                    route="split",
                )
            )
        self.made += made
        return made

    def labels(self, predictions: Iterable[Prediction], *, day: int, wrong: bool = False) -> list[Feedback]:
        """Return the truth of some predictions, known on a day; ``wrong`` turns it round."""
        found: list[Feedback] = []
        for one in predictions:
            for row, chance in enumerate(one.outputs):
                truth = bool(self.rng.random() < chance) != wrong
                found.append(Feedback(one.id, row, int(truth), at_us=0, event_us=day * DAY, endpoint="churn"))
        return found

    def log(self, *records: Iterable[Record]) -> None:
        """Write records as a gateway does, in one segment."""

        async def write() -> None:
            writer = SegmentWriter(self.app.serving_folder / "log")
            for batch in records:
                for record in batch:
                    writer.append(record)
            writer.close()

        asyncio.run(write())

    def take_in(self, *records: Iterable[Record]) -> int:
        """Log the records and take them in."""
        if records:
            self.log(*records)
        return self.app.monitors.take_in(self.owner)

    def events(self, kind: str) -> list[dict[str, object]]:
        return [event.data for event in self.app.bus.after(0, most=1000) if event.kind == kind]


@pytest.fixture
def watched(app: App, owner: Principal, models: Models) -> Watched:
    models.version()
    app.deploy.deploy(owner, "churn", "models:/churn/1")
    app.deploy.replica_ready(PLANE, "churn", "1", pid=1)
    rng = np.random.default_rng(1)
    table = pa.table(
        {"a": rng.normal(size=4000), "b": np.zeros(4000), "event_us": np.arange(4000) * DAY // 200}
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    blob = app.blobs.put(buffer.getvalue())
    app.data.add(
        owner, "reference", [DataFile(path="r.parquet", size_bytes=len(buffer.getvalue()), blob=blob)]
    )
    app.monitors.create(
        owner,
        name="churn",
        endpoint="churn",
        reference="data:reference@1",
        features=["a", "b"],
        policy=POLICY,
        baseline=Baseline(brier=0.21),
    )
    work_off(app, "stream")
    assert app.monitors.monitor(owner, "churn").problem is None
    return Watched(app, owner)
