"""The tables of runs: parameters, tags, data sets and models beside them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from trimtab.domains.tracking.experiments.model import State
from trimtab.domains.tracking.keys import Keys, listed
from trimtab.domains.tracking.metrics import store as metrics_store
from trimtab.domains.tracking.runs.model import (
    Dataset,
    DatasetInput,
    ModelOutput,
    Run,
    RunHead,
    Status,
)
from trimtab.infra.db import Tx, Where, load

Q = load(__package__ or "")

_MOST_AT_ONCE = 1000


def insert(
    tx: Tx,
    *,
    run_id: str,
    experiment_no: int,
    name: str,
    started_us: int,
    owner: str,
    artifact_uri: str,
) -> RunHead:
    row = tx.one(
        Q.insert_run,
        id=run_id,
        experiment_no=experiment_no,
        name=name,
        status="RUNNING",
        started_us=started_us,
        owner=owner,
        artifact_uri=artifact_uri,
    )
    assert row is not None
    return RunHead(
        no=row[0],
        id=run_id,
        experiment_id=str(experiment_no),
        name=name,
        status="RUNNING",
        started_us=started_us,
        ended_us=None,
        owner=owner,
        state="active",
        artifact_uri=artifact_uri,
    )


def head(tx: Tx, *, run_id: str) -> RunHead | None:
    row = tx.one(Q.head, id=run_id)
    return _head(row) if row else None


def load_runs(tx: Tx, run_nos: Sequence[int], *, keys: Keys) -> list[Run]:
    """Return runs with everything that was logged to them, in the order of the numbers."""
    runs: list[Run] = []
    for start in range(0, len(run_nos), _MOST_AT_ONCE):
        runs += _load(tx, run_nos[start : start + _MOST_AT_ONCE], keys)
    return runs


def _load(tx: Tx, run_nos: Sequence[int], keys: Keys) -> list[Run]:
    wanted = listed(tx, run_nos)
    heads = {row[0]: _head(row) for row in tx.all(Q.heads, runs=wanted)}
    latest = metrics_store.latest(tx, run_nos, keys=keys)
    params = _texts(tx, run_nos, tx.all(Q.params, runs=wanted), keys)
    tags = _texts(tx, run_nos, tx.all(Q.tags, runs=wanted), keys)
    datasets: dict[int, list[DatasetInput]] = {no: [] for no in run_nos}
    for no, *columns, its_tags in tx.all(Q.inputs, runs=wanted):
        datasets[no].append(DatasetInput(Dataset(*columns), msgspec.json.decode(its_tags)))
    went_in: dict[int, list[str]] = {no: [] for no in run_nos}
    came_out: dict[int, list[ModelOutput]] = {no: [] for no in run_nos}
    for no, role, model_id, step in tx.all(Q.models, runs=wanted):
        if role == "input":
            went_in[no].append(model_id)
        else:
            came_out[no].append(ModelOutput(model_id, step))
    return [
        Run(heads[no], latest[no], params[no], tags[no], datasets[no], went_in[no], came_out[no])
        for no in run_nos
        if no in heads
    ]


def _texts(
    tx: Tx, run_nos: Sequence[int], rows: Sequence[tuple[Any, ...]], keys: Keys
) -> dict[int, dict[str, str]]:
    """Return the parameters or tags of each run in the order of their names."""
    names = keys.names(tx, {key_no for _, key_no, _ in rows})
    found: dict[int, dict[str, str]] = {no: {} for no in run_nos}
    for no, name, value in sorted((no, names[key_no], value) for no, key_no, value in rows):
        found[no][name] = value
    return found


def search(
    tx: Tx,
    *,
    columns: Sequence[str],
    tables: str,
    where: str,
    order: str,
    limit: int,
    params: Mapping[str, Any],
) -> list[tuple[Any, ...]]:
    """Return (number, *sort values) of the runs that conditions match."""
    query = Q.search.with_(
        columns="".join(f", {one}" for one in columns), tables=tables, where=where, order=order
    )
    used = {name: value for name, value in params.items() if f":{name}" in query.sqlite}
    return tx.all(query, limit=limit, **used)


def all_experiments(tx: Tx) -> list[int]:
    """Return the number of every experiment."""
    return [row[0] for row in tx.all(Q.experiments)]


def edge(
    tx: Tx,
    table: str,
    column: str,
    experiment: int,
    key_no: int | None,
    *,
    ascending: bool,
    bound: Any,
    offset: int,
    nan: bool,
) -> Any:
    """Return the value so many rows after a bound along an index, in its order; None where it ends before."""
    where = Where().add("r.experiment_no = :experiment", experiment=experiment)
    if key_no is not None:
        where.add("r.key_no = :key_no", key_no=key_no)
    if nan:
        where.add("r.nan = 0")
    if bound is not None:
        where.add(f"{column} {'>=' if ascending else '<='} :bound", bound=bound)
    order = f"{column} {'asc' if ascending else 'desc'}"
    query = Q.edge.with_(table=table, column=column, where=where.sql, order=order)
    row = tx.one(query, offset=offset, **where.params)
    return row[0] if row else None


def count_rows(
    tx: Tx,
    table: str,
    condition: str,
    here: tuple[str, dict[str, Any]],
    params: Mapping[str, Any],
    *,
    most: int,
) -> int:
    """Return how many rows of an index fulfil a condition, up to ``most``."""
    query = Q.count_some_rows.with_(table=table, condition=condition, here=here[0])
    row = tx.one(query, most=most, **here[1], **params)
    assert row is not None
    return row[0]


def update(tx: Tx, *, run_no: int, name: str, status: Status, ended_us: int | None) -> None:
    tx.run(Q.update_run, no=run_no, name=name, status=status, ended_us=ended_us)


def set_state(tx: Tx, *, run_no: int, state: State, now_us: int) -> None:
    tx.run(Q.set_state, no=run_no, state=state, deleted_us=now_us if state == "deleted" else None)


def set_state_of_all(tx: Tx, *, experiment_no: int, state: State, now_us: int) -> None:
    deleted_us = now_us if state == "deleted" else None
    tx.run(Q.set_state_of_all, experiment_no=experiment_no, state=state, deleted_us=deleted_us)


def add_params(
    tx: Tx, head: RunHead, params: Mapping[str, str], numbers: Mapping[str, int]
) -> dict[str, str]:
    """Add the parameters that are not there yet and return those that are, as they stand now."""
    tx.many(Q.insert_param, _rows(head, params, numbers))
    by_number = {numbers[key]: key for key in params}
    stored = tx.all(Q.params_among, run_no=head.no, keys=listed(tx, list(by_number)))
    return {by_number[number]: value for number, value in stored}


def put_tags(tx: Tx, head: RunHead, tags: Mapping[str, str], numbers: Mapping[str, int]) -> None:
    tx.many(Q.put_tag, _rows(head, tags, numbers))


def _rows(head: RunHead, texts: Mapping[str, str], numbers: Mapping[str, int]) -> list[dict[str, Any]]:
    by_number = {numbers[key]: value for key, value in texts.items()}
    return [
        {"run_no": head.no, "experiment_no": int(head.experiment_id), "key_no": no, "value": by_number[no]}
        for no in sorted(by_number)
    ]


def delete_tag(tx: Tx, *, run_no: int, key_no: int) -> bool:
    return tx.run(Q.delete_tag, run_no=run_no, key_no=key_no) == 1


def tag(tx: Tx, *, run_no: int, key_no: int) -> str | None:
    row = tx.one(Q.tag, run_no=run_no, key_no=key_no)
    return row[0] if row else None


def add_inputs(tx: Tx, *, run_no: int, experiment_no: int, inputs: Sequence[DatasetInput]) -> None:
    """Add data sets that the experiment does not know yet, and what the run used; known inputs stay as they are."""
    for one in sorted(inputs, key=lambda one: (one.dataset.name, one.dataset.digest)):
        tx.run(Q.insert_dataset, experiment_no=experiment_no, **msgspec.structs.asdict(one.dataset))
        tx.run(
            Q.insert_input,
            run_no=run_no,
            experiment_no=experiment_no,
            name=one.dataset.name,
            digest=one.dataset.digest,
            context=one.context,
            tags=msgspec.json.encode(one.tags).decode(),
        )


def dataset_summaries(
    tx: Tx, experiment_nos: Sequence[int], *, limit: int
) -> list[tuple[int, str, str, str | None]]:
    """Return (experiment, name, digest, context) of the data sets that runs of experiments used."""
    rows = tx.all(Q.dataset_summaries, experiments=listed(tx, experiment_nos), limit=limit)
    return [(number, name, digest, context) for number, name, digest, context in rows]


def counts(tx: Tx, experiment_nos: Sequence[int]) -> dict[int, int]:
    """Return how many active runs each experiment has; those without are left out."""
    return dict(tx.all(Q.counts, experiments=listed(tx, experiment_nos)))


def put_models(
    tx: Tx, *, run_no: int, role: Literal["input", "output"], models: Sequence[ModelOutput]
) -> None:
    steps = {one.model_id: one.step for one in models}
    rows = [{"run_no": run_no, "role": role, "model_id": key, "step": steps[key]} for key in sorted(steps)]
    tx.many(Q.put_model, rows)


def heads_of_experiment(tx: Tx, *, experiment_no: int, limit: int) -> list[RunHead]:
    """Return the oldest runs of an experiment, deleted or not."""
    return [_head(row) for row in tx.all(Q.heads_of_experiment, experiment_no=experiment_no, limit=limit)]


def experiments_of(tx: Tx, run_ids: Sequence[str]) -> dict[str, int]:
    """Return the number of the experiment of each run that there is."""
    return dict(tx.all(Q.experiments_of, ids=listed(tx, run_ids)))


def count_of_experiment(tx: Tx, *, experiment_no: int) -> int:
    """Return how many an experiment has, deleted or not."""
    row = tx.one(Q.count_of_experiment, experiment_no=experiment_no)
    return row[0] if row else 0


def purge(tx: Tx, run_nos: Sequence[int]) -> None:
    """Remove runs for good, with their parameters, tags and links; their metrics are purged apart."""
    wanted = listed(tx, run_nos)
    for query in (Q.purge_params, Q.purge_tags, Q.purge_inputs, Q.purge_models, Q.purge_runs):
        tx.run(query, runs=wanted)


def _head(row: tuple[Any, ...]) -> RunHead:
    number, run_id, experiment_no, *rest = row
    return RunHead(number, run_id, str(experiment_no), *rest)
