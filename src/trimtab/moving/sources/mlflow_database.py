"""The tables of MLflow's database store, of any release since 1.0: what a release did not have yet is left out."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from trimtab.kernel.errors import Invalid
from trimtab.moving.model import (
    MODEL_STATUSES,
    MOST_TEXT,
    DatasetUse,
    Experiment,
    Loaded,
    LoggedModelRecord,
    ModelMetric,
    ModelUse,
    Problem,
    RegisteredModel,
    RunRecord,
    Series,
    Status,
    Stub,
    Tell,
    Unreadable,
    check_key,
    micros,
)
from trimtab.moving.sources import mlflow_registry_tables
from trimtab.moving.sources.places import Places
from trimtab.moving.sources.sql import Row, connect

_AT_ONCE = 200
_MOST_POINTS = 500_000
_LARGEST = 1.7976931348623157e308  # how MLflow stores infinities
_STATUSES: tuple[Status, ...] = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
T = TypeVar("T")


class MlflowDatabase:
    """A database that an MLflow server or client wrote. ``artifacts`` are the folders where its files may be."""

    def __init__(self, url: str, *, artifacts: Sequence[Path] = (), workspace: str = "default") -> None:
        self._tables = connect(url)
        self.origin = self._tables.shown
        self._workspace = workspace
        if not self._tables.columns("experiments") or not self._tables.columns("runs"):
            self._tables.close()
            raise Invalid(f"{self.origin} holds no tables of MLflow.", field="source")
        beside: list[Path] = []
        if self.origin.startswith("sqlite:///"):
            folder = Path(self.origin.removeprefix("sqlite:///")).parent
            beside = [folder / name for name in ("mlartifacts", "mlruns") if (folder / name).is_dir()]
        proxied = next(iter(artifacts), None) or next(
            (one for one in beside if one.name == "mlartifacts"), None
        )
        self._places = Places([*artifacts, *beside], proxied=proxied)

    def experiments(self, tell: Tell, *, deleted: bool) -> Iterator[Experiment]:
        has = self._tables.columns("experiments")
        times = "creation_time, last_update_time" if "creation_time" in has else "null, null"
        where, values = ("where workspace = ?", [self._workspace]) if "workspace" in has else ("", [])
        tags: dict[str, dict[str, str]] = defaultdict(dict)
        if self._tables.columns("experiment_tags"):
            for number, key, value in self._tables.rows(
                "select t.experiment_id, t.key, t.value from experiment_tags t"
            ):
                tags[str(number)][key] = value or ""
        statement = (
            f"select experiment_id, name, artifact_location, lifecycle_stage, {times} from experiments {where}"
            " order by experiment_id"
        )
        for number, name, location, stage, created, updated in self._tables.rows(statement, values):
            if stage == "deleted" and not deleted:
                continue
            try:
                yield Experiment(
                    id=str(number),
                    name=str(name),
                    tags=tags[str(number)],
                    created_us=None if created is None else micros(created, "creation_time"),
                    updated_us=None if updated is None else micros(updated, "last_update_time"),
                    artifact_location=self._places.kept(location),
                    deleted=stage == "deleted",
                    place=number,
                )
            except Unreadable as error:
                tell(Problem(f"experiment {number}", str(error)))

    def runs(self, experiment: Experiment, _tell: Tell, *, deleted: bool) -> Iterator[Stub]:
        named = "name" if "name" in self._tables.columns("runs") else "null"
        statement = (
            f"select run_uuid, {named}, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri"
            " from runs where experiment_id = ? order by start_time, run_uuid"
        )
        rows = [
            row
            for row in self._tables.rows(statement, [experiment.place])
            if row[6] != "deleted" or deleted or experiment.deleted
        ]
        for part in _portions(rows):
            ids = [row[0] for row in part]
            texts = {run_id: hashlib.blake2b(digest_size=16) for run_id in ids}
            for table in ("params", "tags"):
                for run_id, key, value in self._of(
                    f"select t.run_uuid, t.key, t.value from {table} t", ids, "t.run_uuid", "t.key"
                ):
                    texts[run_id].update(f"{table}\x00{key}\x00{value}\x01".encode())
            statement = "select run_uuid, count(*), max(timestamp), max(value), min(value) from metrics"
            counts = {row[0]: row[1:] for row in self._of(statement, ids, "run_uuid", group=True)}
            for row in part:
                facts = counts.get(row[0], (0,))
                texts[row[0]].update(repr((*row[1:7], *facts)).encode())
                yield Stub(
                    row[0],
                    f"rows:{texts[row[0]].hexdigest()}",
                    deleted=row[6] == "deleted",
                    points=int(facts[0]),
                    place=row,
                )

    def load(self, experiment: Experiment, stubs: Sequence[Stub], tell: Tell) -> Iterator[Loaded]:
        together: list[Stub] = []
        points = 0
        for stub in stubs:
            together.append(stub)
            points += stub.points
            if points >= _MOST_POINTS or len(together) >= _AT_ONCE:
                yield from self._load(experiment, together, tell)
                together, points = [], 0
        yield from self._load(experiment, together, tell)

    def _load(self, experiment: Experiment, stubs: Sequence[Stub], tell: Tell) -> Iterator[Loaded]:
        ids = [stub.id for stub in stubs]
        if not ids:
            return
        params = self._texts("params", ids, tell)
        tags = self._texts("tags", ids, tell)
        series = self._series(ids, tell)
        datasets = self._datasets(experiment, ids)
        inputs, outputs = self._models_of(ids)
        for stub in stubs:
            _, name, owner, status, started, ended, _, uri = stub.place
            place = self._places.find(uri or "", f"run {stub.id}", tell)
            try:
                record = RunRecord(
                    id=stub.id,
                    name=name or tags[stub.id].get("mlflow.runName") or stub.id[:8],
                    status=status if status in _STATUSES else "RUNNING",
                    started_us=micros(started or 0, "start_time"),
                    ended_us=None if ended is None else micros(ended, "end_time"),
                    owner=(owner or "")[:250],
                    artifact_uri=place.kept_uri,
                    params=params[stub.id],
                    tags=tags[stub.id],
                    metrics=series.get(stub.id, []),
                    datasets=datasets[stub.id],
                    model_inputs=inputs[stub.id],
                    model_outputs=outputs[stub.id],
                )
            except Unreadable as error:
                tell(Problem(f"run {stub.id}", str(error)))
                continue
            yield Loaded(stub, record, place.files)

    def _texts(self, table: str, ids: Sequence[str], tell: Tell) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {run_id: {} for run_id in ids}
        for run_id, key, value in self._of(
            f"select t.run_uuid, t.key, t.value from {table} t", ids, "t.run_uuid"
        ):
            if table == "params" and not check_key(key, f"run {run_id}", tell):
                continue
            if len(value or "") > MOST_TEXT or "\x00" in (value or ""):
                tell(Problem(f"run {run_id}", f"the value of {key!r} is too long or no text"))
                continue
            found[run_id][key] = value or ""
        return found

    def _series(self, ids: Sequence[str], tell: Tell) -> dict[str, list[Series]]:
        has = self._tables.columns("metrics")
        columns = f"{'t.step' if 'step' in has else '0'}, {'t.is_nan' if 'is_nan' in has else '0'}"
        statement = f"select t.run_uuid, t.key, t.timestamp, t.value, {columns} from metrics t"
        found: dict[str, list[Series]] = {}
        bad: set[tuple[str, str]] = set()
        current = ("", "")
        series = Series("")
        for run_id, key, at, value, step, is_nan in self._of(
            statement, ids, "t.run_uuid", "t.run_uuid, t.key, t.timestamp"
        ):
            if (run_id, key) != current:
                current = (run_id, key)
                series = Series(key)
                if check_key(key, f"run {run_id}", tell):
                    found.setdefault(run_id, []).append(series)
            if not isinstance(at, int) or not 0 <= at <= 9_223_372_036_854_775:
                if current not in bad:
                    tell(Problem(f"run {run_id}", f"points of {key!r} have no time that can be kept"))
                bad.add(current)
                continue
            series.at_us.append(at * 1000)
            series.steps.append(int(step))
            series.values.append(_value(value, is_nan))
        return found

    def _datasets(self, experiment: Experiment, ids: Sequence[str]) -> dict[str, list[DatasetUse]]:
        found: dict[str, list[DatasetUse]] = {run_id: [] for run_id in ids}
        if not self._tables.columns("inputs"):
            return found
        uses = list(
            self._of(
                "select destination_id, source_id, input_uuid from inputs where source_type = 'DATASET'"
                " and destination_type = 'RUN'",
                ids,
                "destination_id",
            )
        )
        if not uses:
            return found
        sets = {
            row[0]: row[1:]
            for row in self._tables.rows(
                "select dataset_uuid, name, digest, dataset_source_type, dataset_source, dataset_schema, dataset_profile"
                " from datasets where experiment_id = ?",
                [experiment.place],
            )
        }
        tags: dict[str, dict[str, str]] = defaultdict(dict)
        for part in _portions([use[2] for use in uses]):
            for uuid, name, value in self._of(
                "select input_uuid, name, value from input_tags", part, "input_uuid"
            ):
                tags[uuid][name] = value
        for run_id, source, uuid in uses:
            if source in sets:
                found[run_id].append(DatasetUse(*sets[source], tags=tags[uuid]))
        return found

    def _models_of(self, ids: Sequence[str]) -> tuple[dict[str, list[str]], dict[str, list[ModelUse]]]:
        inputs: dict[str, list[str]] = {run_id: [] for run_id in ids}
        outputs: dict[str, list[ModelUse]] = {run_id: [] for run_id in ids}
        if "step" not in self._tables.columns("inputs"):
            return inputs, outputs
        statement = (
            "select source_type, source_id, destination_id, step from inputs where source_type = 'RUN_OUTPUT'"
        )
        for _, run_id, model_id, step in self._of(statement, ids, "source_id"):
            outputs[run_id].append(ModelUse(model_id, int(step or 0)))
        statement = (
            "select source_type, source_id, destination_id, step from inputs where source_type = 'RUN_INPUT'"
        )
        for _, run_id, model_id, _ in self._of(statement, ids, "source_id"):
            inputs[run_id].append(model_id)
        return inputs, outputs

    def logged_models(self, experiment: Experiment, _tell: Tell, *, deleted: bool) -> Iterator[Stub]:
        if not self._tables.columns("logged_models"):
            return
        statement = (
            "select model_id, name, artifact_location, creation_timestamp_ms, last_updated_timestamp_ms, status,"
            " lifecycle_stage, model_type, source_run_id from logged_models where experiment_id = ? order by model_id"
        )
        for row in self._tables.rows(statement, [experiment.place]):
            if row[6] != "deleted" or deleted:
                extra = list(
                    self._tables.rows(
                        "select count(*), max(metric_timestamp_ms) from logged_model_metrics where model_id = ?",
                        [row[0]],
                    )
                )
                mark = hashlib.blake2b(repr((row, extra)).encode(), digest_size=16).hexdigest()
                yield Stub(row[0], f"rows:{mark}", deleted=row[6] == "deleted", place=row)

    def load_models(self, stubs: Sequence[Stub], tell: Tell) -> Iterator[Loaded]:
        for stub in stubs:
            model_id, name, uri, created, updated, status, _, kind, run_id = stub.place
            place = self._places.find(uri, f"logged model {model_id}", tell)
            params = self._tables.rows(
                "select param_key, param_value from logged_model_params where model_id = ?", [model_id]
            )
            tags = self._tables.rows(
                "select tag_key, tag_value from logged_model_tags where model_id = ?", [model_id]
            )
            metrics = self._tables.rows(
                "select metric_name, metric_value, metric_timestamp_ms, metric_step, run_id, dataset_name, dataset_digest"
                " from logged_model_metrics where model_id = ?",
                [model_id],
            )
            try:
                record = LoggedModelRecord(
                    id=model_id,
                    name=name,
                    status=MODEL_STATUSES.get(status, "PENDING"),
                    created_us=micros(created, "creation_timestamp_ms"),
                    updated_us=micros(updated, "last_updated_timestamp_ms"),
                    model_type=kind or None,
                    source_run_id=run_id or None,
                    artifact_uri=place.kept_uri,
                    params=dict(params),
                    tags=dict(tags),
                    metrics=[
                        ModelMetric(
                            key,
                            _value(value, value is None),
                            micros(at, "time"),
                            int(step),
                            run,
                            set_ or "",
                            digest or "",
                        )
                        for key, value, at, step, run, set_, digest in metrics
                    ],
                )
            except Unreadable as error:
                tell(Problem(f"logged model {model_id}", str(error)))
                continue
            yield Loaded(stub, record, place.files)

    def registered_models(self, tell: Tell) -> Iterator[RegisteredModel]:
        return mlflow_registry_tables.read_models(self._tables, self._workspace, tell)

    def close(self) -> None:
        self._tables.close()

    def _of(
        self, statement: str, ids: Sequence[str], column: str, order: str = "", *, group: bool = False
    ) -> Iterator[Row]:
        """Yield the rows of a query that belong to some of these."""
        for part in _portions(ids):
            marks = ", ".join("?" * len(part))
            joined = "and" if " where " in statement else "where"
            tail = f" group by {column}" if group else f" order by {order}" if order else ""
            yield from self._tables.rows(f"{statement} {joined} {column} in ({marks}){tail}", part)


def _value(value: Any, is_nan: Any) -> float:
    if is_nan or value is None:
        return math.nan
    number = float(value)
    return math.copysign(math.inf, number) if abs(number) >= _LARGEST else number


def _portions(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for first in range(0, len(items), _AT_ONCE):
        yield items[first : first + _AT_ONCE]
