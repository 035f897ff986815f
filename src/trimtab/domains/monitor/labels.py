"""Joins labels that arrive to what was predicted, however late they come, and knows which were told before."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from trimtab.domains.monitor import performance, store
from trimtab.domains.monitor.model import Part
from trimtab.domains.monitor.parts import PartCache, read_part, write_part
from trimtab.domains.monitor.requests import Requests
from trimtab.infra.blobs import Blobs
from trimtab.infra.db import Database, Where
from trimtab.serving.records import Feedback

NOTHING_NEW, NEW_ROW, NEW_REQUEST = 0, 1, 2
"""What a label tells: a row that was told before, another row of a prediction, or the first of its prediction."""

_COLUMNS = (
    "prediction_id",
    "row",
    "version",
    "role",
    "route",
    "at_us",
    "event_us",
    "score",
    "label",
    "label_us",
)


class Labels:
    """The labels of all endpoints, in their files."""

    def __init__(self, db: Database, blobs: Blobs, cache: PartCache) -> None:
        self._db = db
        self._blobs = blobs
        self._cache = cache

    def join(
        self, feedback: Sequence[Feedback], fresh: list[Part], *, copied: set[str]
    ) -> tuple[dict[str, pa.Table], dict[str, pa.Table]]:
        """Return the labels that found their prediction, by endpoint, with its version, score and event time.

        The second tables are those for judges: at the endpoints in ``copied`` they have what shadows predicted, too.
        ``fresh`` are files that are not committed yet; those that the labels go to are added.
        """
        if not feedback:
            return {}, {}
        wanted = sorted({one.prediction_id for one in feedback})
        where = Where().equals(kind="predictions")
        where.add("max_id >= :first", first=wanted[0]).add("min_id <= :last", last=wanted[-1])
        with self._db.read() as tx:
            parts = store.parts(tx, where=where)
        parts += [part for part in fresh if part.kind == "predictions"]
        found: dict[str, list[tuple[Any, ...]]] = {}
        shadowed: dict[str, list[tuple[Any, ...]]] = {}
        for one in feedback:
            answered = False
            for part in parts:
                if not part.min_id <= one.prediction_id <= part.max_id:
                    continue
                requests = self._cache.get(part)
                place = None if answered else requests.find(one.prediction_id, one.row)
                if place is not None:
                    answered = True
                    found.setdefault(part.endpoint, []).append(_labelled(requests, place, one))
                if part.endpoint in copied:
                    shadowed.setdefault(part.endpoint, []).extend(
                        _labelled(requests, place, one)
                        for place in requests.find_copies(one.prediction_id, one.row)
                    )
                elif answered:
                    break
        tables: dict[str, pa.Table] = {}
        judged: dict[str, pa.Table] = {}
        for endpoint in found.keys() | shadowed.keys():
            answers, copies = found.get(endpoint, []), shadowed.get(endpoint, [])
            if not answers and not copies:
                continue
            told = self._told(endpoint, wanted)
            judged[endpoint] = _table([*answers, *copies], told)
            if answers:
                tables[endpoint] = _table(answers, told)
                kept = tables[endpoint].drop_columns(["route", "news"])
                fresh.append(write_part(self._blobs, endpoint, "labels", kept))
        return tables, judged

    def known(self, endpoint: str, starts: list[int], width: int, *, fresh: Sequence[Part]) -> pa.Table:
        """Return every label of predictions in some windows; of two for one row the later counts.

        Nothing is read of the time between: one label that comes a month late must not bring a month's labels along.
        """
        where = Where().equals(endpoint=endpoint, kind="labels")
        where.add("max_event_us >= :from_us", from_us=starts[0])
        where.add("min_event_us < :to_us", to_us=starts[-1] + width)
        with self._db.read() as tx:
            parts = [
                part
                for part in store.parts(tx, where=where)
                if any(part.min_event_us < start + width and part.max_event_us >= start for start in starts)
            ]
        parts += [part for part in fresh if part.endpoint == endpoint and part.kind == "labels"]
        table = pa.concat_tables([read_part(self._blobs, part) for part in parts])
        keys = list(
            zip(table.column("prediction_id").to_pylist(), table.column("row").to_pylist(), strict=True)
        )
        newest = {key: position for position, key in enumerate(keys)}
        return table if len(newest) == len(keys) else table.take(pa.array(sorted(newest.values())))

    def _told(self, endpoint: str, wanted: list[str]) -> set[tuple[str, int]]:
        """Return the rows whose label was told before, of predictions with these ids, which rise."""
        where = Where().equals(endpoint=endpoint, kind="labels")
        where.add("max_id >= :first", first=wanted[0]).add("min_id <= :last", last=wanted[-1])
        told: set[tuple[str, int]] = set()
        among = set(wanted)
        with self._db.read() as tx:
            parts = store.parts(tx, where=where)
        for part in parts:
            at = bisect_left(wanted, part.min_id)
            if wanted[at : at + 1] > [part.max_id]:
                continue  # it lies between two of them
            table = read_part(self._blobs, part, ["prediction_id", "row"])
            keys = zip(
                table.column("prediction_id").to_pylist(), table.column("row").to_pylist(), strict=True
            )
            told.update(key for key in keys if key[0] in among)
        return told


def _labelled(requests: Requests, place: tuple[int, int], label: Feedback) -> tuple[Any, ...]:
    at, row = place
    return (
        label.prediction_id,
        label.row or 0,
        requests.versions[at],
        requests.roles[at],
        requests.routes[at],
        int(requests.at_us[at]),
        int(requests.event_us[at]),
        float(requests.scores[row]),
        performance.label_number(label.label),
        label.event_us,
    )


def _table(values: list[tuple[Any, ...]], told: set[tuple[str, int]]) -> pa.Table:
    """Return labels as a table, each with its ``news``: the tests take every loss for one more observation."""
    columns = list(zip(*values, strict=True))
    table = pa.table({name: list(column) for name, column in zip(_COLUMNS, columns, strict=True)})
    requests = {prediction_id for prediction_id, _ in told}
    seen: set[tuple[str, int, str]] = set()
    news: list[int] = []
    for prediction_id, row, version in zip(*columns[:3], strict=True):
        again = (prediction_id, row) in told or (prediction_id, row, version) in seen
        seen.add((prediction_id, row, version))
        news.append(NOTHING_NEW if again else NEW_ROW if prediction_id in requests else NEW_REQUEST)
    return table.append_column("news", pa.array(news, pa.int8()))
