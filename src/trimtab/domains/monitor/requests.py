"""What became of the requests to one endpoint, as arrays: what windows count, judges weigh and labels are joined to."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trimtab.serving.records import Prediction

SHADOW = "shadow"


class Requests:
    """Some requests in the order of the log, as equally long sequences; and the scores of their answered rows.

    ``counts`` says how many rows of each were answered, ``first`` where these begin among the ``scores``. ``classes`` has
    the code of each row's output (`science.sequential.classes`), below 0 where its score says more; it is null where that
    is so of all rows.
    """

    def __init__(
        self,
        ids: Sequence[str],
        versions: Sequence[str],
        roles: Sequence[str],
        routes: Sequence[str],
        *,
        at_us: NDArray[np.int64],
        event_us: NDArray[np.int64],
        latency_us: NDArray[np.int64],
        status: NDArray[np.int64],
        counts: NDArray[np.int64],
        scores: NDArray[np.float64],
        classes: NDArray[np.int64] | None = None,
    ) -> None:
        self.ids = ids
        self.versions = versions
        self.roles = roles
        self.routes = routes
        self.at_us = at_us
        self.event_us = event_us
        self.latency_us = latency_us
        self.status = status
        self.counts = counts
        self.first = np.cumsum(counts) - counts
        self.scores = scores
        self.classes = classes
        self._answers: dict[str, int] | None = None
        self._copies: dict[str, dict[str, int]] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, places: Sequence[int] | NDArray[np.intp]) -> "Requests":
        """Return some of the requests, in the order of their places."""
        at = np.asarray(places, np.intp)
        chosen: list[int] = at.tolist()
        counts = self.counts[at]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = np.repeat(self.first[at], counts) + within
        return Requests(
            [self.ids[one] for one in chosen],
            [self.versions[one] for one in chosen],
            [self.roles[one] for one in chosen],
            [self.routes[one] for one in chosen],
            at_us=self.at_us[at],
            event_us=self.event_us[at],
            latency_us=self.latency_us[at],
            status=self.status[at],
            counts=counts,
            scores=self.scores[rows],
            classes=None if self.classes is None else self.classes[rows],
        )

    @property
    def rows(self) -> int:
        """How many rows were answered."""
        return len(self.scores)

    def find(self, prediction_id: str, row: int | None) -> tuple[int, int] | None:
        """Return the place of a prediction's request and of its row (None: the first) among the scores, or None."""
        at = self._found().get(prediction_id)
        return None if at is None else self._place(at, row)

    def find_copies(self, prediction_id: str, row: int | None) -> list[tuple[int, int]]:
        """Return the places of a prediction's row as shadows answered it."""
        self._found()
        places = [self._place(at, row) for at in self._copies.get(prediction_id, {}).values()]
        return [place for place in places if place is not None]

    def _place(self, at: int, row: int | None) -> tuple[int, int] | None:
        within = row or 0
        return (at, int(self.first[at]) + within) if 0 <= within < self.counts[at] else None

    def _found(self) -> dict[str, int]:
        if self._answers is None:
            self._answers = {}
            places: list[int] = np.flatnonzero(self.counts).tolist()
            for at in reversed(places):
                if self.roles[at] != SHADOW:
                    self._answers[self.ids[at]] = at
                else:
                    self._copies.setdefault(self.ids[at], {})[self.versions[at]] = at
        return self._answers


def from_log(
    predictions: Sequence[Prediction],
    scores: NDArray[np.float64],
    classes: NDArray[np.int64] | None = None,
) -> Requests:
    """Return the requests of one endpoint's log, with the scores and classes of those that `is_answered`."""
    return Requests(
        [one.id for one in predictions],
        [one.version for one in predictions],
        [one.role for one in predictions],
        [one.route for one in predictions],
        at_us=np.asarray([one.at_us for one in predictions], np.int64),
        event_us=np.asarray([one.event_us for one in predictions], np.int64),
        latency_us=np.asarray([one.latency_us for one in predictions], np.int64),
        status=np.asarray([one.status for one in predictions], np.int64),
        counts=np.asarray([one.rows if is_answered(one) else 0 for one in predictions], np.int64),
        scores=scores,
        classes=classes,
    )


NOTHING = from_log([], np.empty(0))


def from_part(table: pa.Table) -> Requests:
    """Return the requests whose rows a file keeps: those that were answered."""
    rows = table.column("row").to_numpy()
    starts = np.flatnonzero(rows == 0)
    mine = table.take(pa.array(starts))
    return Requests(
        *(mine.column(name).to_pylist() for name in ("prediction_id", "version", "role", "route")),
        at_us=mine.column("at_us").to_numpy(),
        event_us=mine.column("event_us").to_numpy(),
        latency_us=np.zeros(len(starts), np.int64),
        status=np.full(len(starts), 200, np.int64),
        counts=np.diff(starts, append=len(rows)),
        scores=table.column("score").to_numpy(),
        classes=table.column("class").to_numpy() if "class" in table.column_names else None,
    )


def is_answered(prediction: Prediction) -> bool:
    """Whether there are rows to keep of a request."""
    return prediction.status == 200 and prediction.rows > 0
