"""The tables of monitors, windows, prediction files and running trials."""

from typing import Any

import msgspec

from trimtab.domains.monitor.model import Baseline, Losses, Monitor, Part, Policy, Trial, Window
from trimtab.infra.db import Tx, Where, load

Q = load(__package__ or "")

_JSON = ("features", "policy", "baseline", "sketch", "drift_state", "loss_state")


def insert_monitor(tx: Tx, monitor: Monitor) -> None:
    tx.run(Q.insert_monitor, **_monitor_columns(monitor))


def update_monitor(tx: Tx, monitor: Monitor) -> None:
    columns = _monitor_columns(monitor)
    columns.pop("endpoint")
    columns.pop("created_us")
    tx.run(Q.update_monitor, **columns)


def monitors(tx: Tx, *, where: Where) -> list[Monitor]:
    found: list[Monitor] = []
    for row in tx.all(Q.monitors.with_(where=where.sql), **where.params):
        columns = dict(zip(Monitor.__struct_fields__, row, strict=True))
        columns["features"] = msgspec.json.decode(columns["features"])
        columns["policy"] = msgspec.json.decode(columns["policy"], type=Policy)
        columns["baseline"] = msgspec.json.decode(columns["baseline"], type=Baseline | None)
        for key in ("sketch", "drift_state", "loss_state"):
            columns[key] = msgspec.json.decode(columns[key])
        found.append(Monitor(**columns))
    return found


def delete_monitor(tx: Tx, *, name: str) -> None:
    tx.run(Q.delete_windows, name=name)
    tx.run(Q.delete_losses, name=name)
    tx.run(Q.delete_monitor, name=name)


def put_window(tx: Tx, window: Window) -> None:
    columns = msgspec.structs.asdict(window)
    for key in ("versions", "routes", "counts", "drift", "performance"):
        columns[key] = _json(columns[key])
    columns["closed"] = int(window.closed)
    tx.run(Q.put_window, **columns)


def windows(tx: Tx, *, where: Where, limit: int) -> list[Window]:
    """Return the oldest windows that meet the conditions, oldest first."""
    return _windows(tx, where, order="order by start_us", limit=limit)


def newest_windows(tx: Tx, *, where: Where, limit: int) -> list[Window]:
    """Return the newest windows that meet the conditions, oldest first."""
    return _windows(tx, where, order="order by start_us desc", limit=limit)[::-1]


def _windows(tx: Tx, where: Where, *, order: str, limit: int) -> list[Window]:
    found: list[Window] = []
    for row in tx.all(Q.windows.with_(where=where.sql, order=order), limit=limit, **where.params):
        columns = dict(zip(Window.__struct_fields__, row, strict=True))
        for key in ("versions", "routes", "counts", "drift", "performance"):
            columns[key] = msgspec.json.decode(columns[key])
        columns["closed"] = bool(columns["closed"])
        found.append(Window(**columns))
    return found


def put_losses(tx: Tx, losses: Losses) -> None:
    tx.run(
        Q.put_losses,
        monitor=losses.monitor,
        start_us=losses.start_us,
        rows=losses.rows,
        mass=_json(losses.mass),
        used=int(losses.used),
    )


def losses(tx: Tx, *, where: Where) -> list[Losses]:
    return [
        Losses(monitor, start_us, rows, msgspec.json.decode(mass), bool(used))
        for monitor, start_us, rows, mass, used in tx.all(Q.losses.with_(where=where.sql), **where.params)
    ]


def use_all_losses(tx: Tx, *, monitor: str) -> None:
    """Have no loss known so far count for the tests that begin now."""
    tx.run(Q.use_all_losses, name=monitor)


def close_windows(tx: Tx, *, monitor: str) -> None:
    """Have no window so far count for the tests that begin now: they were counted into other bins."""
    tx.run(Q.close_windows, name=monitor)


def insert_part(tx: Tx, part: Part) -> None:
    tx.run(Q.insert_part, **msgspec.structs.asdict(part))


def parts(tx: Tx, *, where: Where) -> list[Part]:
    return [Part(*row) for row in tx.all(Q.parts.with_(where=where.sql), **where.params)]


def newest_parts(tx: Tx, *, endpoint: str, limit: int) -> list[Part]:
    """Return the newest files of an endpoint's predictions, newest first."""
    rows = tx.all(Q.newest_parts, endpoint=endpoint, kind="predictions", limit=limit)
    return [Part(*row) for row in rows]


def delete_before(tx: Tx, *, before_us: int) -> None:
    tx.run(Q.delete_parts, before_us=before_us)
    tx.run(Q.delete_segments, before_us=before_us)


def has_segment(tx: Tx, *, name: str) -> bool:
    return tx.one(Q.segment, name=name) is not None


def claim_segment(tx: Tx, *, name: str, now_us: int) -> bool:
    """Note that a segment is taken in; False where it was before."""
    return tx.run(Q.insert_segment, name=name, at_us=now_us) == 1


def put_trial(tx: Tx, trial: Trial) -> None:
    columns = msgspec.structs.asdict(trial)
    columns["state"] = _json(trial.state)
    tx.run(Q.put_trial, **columns)


def trials(tx: Tx, *, where: Where) -> list[Trial]:
    return [
        Trial(rollout, endpoint, champion, challenger, msgspec.json.decode(state), action)
        for rollout, endpoint, champion, challenger, state, action in tx.all(
            Q.trials.with_(where=where.sql), **where.params
        )
    ]


def delete_trial(tx: Tx, *, rollout: str) -> None:
    tx.run(Q.delete_trial, rollout=rollout)


def _monitor_columns(monitor: Monitor) -> dict[str, Any]:
    columns = msgspec.structs.asdict(monitor)
    for key in _JSON:
        columns[key] = _json(columns[key])
    return columns


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
