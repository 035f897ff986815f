"""The demonstration's figures, every one computed from what happened in this run."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

import trimtab
from trimtab.demo import model as modelling
from trimtab.demo.flights import EVENT, LABEL
from trimtab.demo.replay import Replay
from trimtab.demo.screen import Screen
from trimtab.sdk.client import Client


def collect(client: Client, replay: Replay, table: pa.Table, *, endpoint: str, model: str) -> dict[str, Any]:
    """Return everything worth knowing about a finished replay of ``table``."""
    episodes = list(reversed(client.get("/episodes", endpoint=endpoint, limit=100)["items"]))
    steps = list(reversed([*client.items("/timeline", limit=500)]))
    said = replay.progress
    return {
        "months": months(replay, table, first=_first_version(client, model)),
        "requests": {
            "sent": said.sent,
            "failed": said.failed + said.label_requests_failed,
            "rows": said.rows,
            "labels": said.labels,
            "p50_ms": replay.latency_ms(0.5),
            "p99_ms": replay.latency_ms(0.99),
            "by_version": dict(sorted(said.versions.items(), key=lambda item: int(item[0]))),
            "held_back_s": said.behind_s,
            "problems": said.problems,
        },
        "episodes": [_episode(episode, steps) for episode in episodes],
        "promotions": sum(one["state"] == "promoted" and one["trigger"] == "alarm" for one in episodes),
        "rollbacks": sum(one["state"] == "rolled-back" for one in episodes),
        "rollback_switch_ms": rollback_switch_ms(client, endpoint),
        "audit": client.get("/audit/verify"),
    }


def months(replay: Replay, table: pa.Table, *, first: Any) -> list[dict[str, Any]]:
    """Return, month by month, how good the served predictions were and how good the first model would have been."""
    chances = np.full(table.num_rows, np.nan)
    for one in replay.served:
        chances[one.rows] = one.chances
    truth = table[LABEL].to_numpy(zero_copy_only=False).astype(np.float64)
    stale = modelling.predict(first, table)
    usable = np.isfinite(chances) & np.isfinite(truth)
    named = np.asarray(
        [datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m") for us in table[EVENT].to_pylist()]
    )
    found: list[dict[str, Any]] = []
    for month in sorted(set(named[usable].tolist())):
        inside = usable & (named == month)
        if inside.sum() < 1000:
            continue  # the hours of New Year's Eve in another time zone
        found.append(
            {
                "month": month,
                "rows": int(inside.sum()),
                "served": modelling.scores(truth[inside], chances[inside]),
                "without_retraining": modelling.scores(truth[inside], stale[inside]),
            }
        )
    return found


def rollback_switch_ms(client: Client, endpoint: str) -> float | None:
    """Return the time from the judge's verdict to the changed traffic of the last rollback, None without one."""
    changes = client.get(f"/endpoints/{endpoint}/history", limit=200)["items"]
    back = next((one for one in changes if one["action"] == "rollback"), None)
    judged = [
        one for one in client.get(f"/endpoints/{endpoint}/rollouts")["items"] if one["state"] == "rolled-back"
    ]
    if back is None or not judged or judged[0].get("judged_us") is None:
        return None
    return (back["at_us"] - judged[0]["judged_us"]) / 1000


def show(screen: Screen, found: dict[str, Any]) -> None:
    """Print the figures and the causal chains."""
    rows = [
        (
            one["month"],
            f"{one['rows']:,}",
            f"{one['without_retraining']['roc_auc']:.3f}",
            f"{one['served']['roc_auc']:.3f}",
            f"{one['without_retraining']['brier']:.4f}",
            f"{one['served']['brier']:.4f}",
        )
        for one in found["months"]
    ]
    columns = ("month", "flights", "ROC AUC, first model", "as served", "Brier, first model", "as served")
    screen.table("Performance with and without retraining, on the same flights", columns, rows)
    for episode in found["episodes"]:
        screen.console.print(f"\n  [bold]{episode['title']}[/] -> {episode['state']}", soft_wrap=True)
        screen.console.print(f"  [dim]{' -> '.join(episode['chain'])}[/]", soft_wrap=True)
    said = found["requests"]
    facts = [
        ("requests sent / failed", f"{said['sent']:,} / {said['failed']}"),
        ("predictions, labels", f"{said['rows']:,}, {said['labels']:,}"),
        ("latency p50 / p99", f"{said['p50_ms']:.1f} / {said['p99_ms']:.1f} ms"),
        ("promotions after an alarm, rollbacks", f"{found['promotions']}, {found['rollbacks']}"),
    ]
    promoted = [
        one["alarm_to_end_s"]
        for one in found["episodes"]
        if one["trigger"] == "alarm" and one["state"] == "promoted" and one["alarm_to_end_s"]
    ]
    if promoted:
        facts.append(("alarm to promotion", " ".join(f"{seconds:.0f} s" for seconds in promoted)))
    if found["rollback_switch_ms"] is not None:
        facts.append(("verdict to traffic taken back", f"{found['rollback_switch_ms']:.0f} ms"))
    facts.append(
        ("audit trail", f"holds, {found['audit']['checked']} records" if found["audit"]["ok"] else "BROKEN")
    )
    facts.append(("memory of all processes", f"{found['memory_mb']:.0f} MB"))
    screen.table("Operation", ("", ""), facts)


def verdict(found: dict[str, Any]) -> list[str]:
    """Return what the run should have shown and did not."""
    wanted = {
        "no request failed": found["requests"]["failed"] == 0,
        "an alarm led to a retraining that was promoted or honestly refused": any(
            one["trigger"] == "alarm" and one["state"] in ("promoted", "kept") for one in found["episodes"]
        ),
        "the broken candidate was rolled back": found["rollbacks"] >= 1,
        "the audit trail holds": found["audit"]["ok"],
    }
    return [sentence for sentence, held in wanted.items() if not held]


def _first_version(client: Client, model: str) -> Any:
    return trimtab.models.load(f"models:/{model}/1", client=client)


def _episode(episode: dict[str, Any], steps: list[dict[str, Any]]) -> dict[str, Any]:
    mine = [step for step in steps if step["episode_id"] == episode["id"]]
    lasted = (episode["ended_us"] - episode["started_us"]) / 1e6 if episode["ended_us"] else None
    return {
        "id": episode["id"],
        "trigger": episode["trigger"],
        "title": episode["title"],
        "state": episode["state"],
        "event_us": episode["event_us"],
        "champion": episode["champion"],
        "candidate": episode["candidate"],
        "alarm_to_end_s": lasted,
        "chain": [_link(step) for step in mine],
    }


def _link(step: dict[str, Any]) -> str:
    return (
        f"{step['kind']} {step['state']}"
        if step["state"] in ("passed", "failed", "started")
        else step["kind"]
    )
