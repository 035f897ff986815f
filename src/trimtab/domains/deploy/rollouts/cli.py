"""Commands for rollouts: start one by a strategy, follow it, approve, promote, take it back."""

import re
import time
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
import typer

from trimtab.kernel.errors import Conflict, Invalid, Unavailable
from trimtab.sdk.client import Client, connect
from trimtab.sdk.options import Json, Url
from trimtab.sdk.terminal import show_json, show_table, when

rollouts = typer.Typer(no_args_is_help=True)

Reason = Annotated[str, typer.Option(help="Why; kept with the rollout and in the audit trail.")]
_TIME = re.compile(r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")
_UNITS_S = (86_400, 3600, 60, 1)
_POLL_S = 0.5


@rollouts.command("start")
def start(
    endpoint: str,
    challenger: Annotated[str, typer.Argument(help="A version such as 3, or models:/NAME/3.")],
    strategy: Annotated[
        str, typer.Option(help="canary, linear, blue-green, shadow, ab or bandit.")
    ] = "canary",
    steps: Annotated[
        str | None,
        typer.Option(help="Percent, such as 5,25,50; one number but for a canary; the copies of a shadow."),
    ] = None,
    bake: Annotated[str, typer.Option(help="How long each step lasts at the least: 30s, 10m, 2h.")] = "10m",
    judge: Annotated[
        Path | None, typer.Option(help="A YAML or JSON file with fields of the judge's policy.")
    ] = None,
    alpha: Annotated[float | None, typer.Option(help="Chance of a false alarm at the most.")] = None,
    finish: Annotated[
        str | None, typer.Option(help="What promotes after the last step: judge, time or person.")
    ] = None,
    min_requests: Annotated[int, typer.Option(help="The challenger's requests in each step.")] = 20,
    floor: Annotated[float, typer.Option(help="Least share of either version under a bandit.")] = 5.0,
    reward: Annotated[
        str, typer.Option(help="loss: by labels and predictions; label: labels are the gain.")
    ] = "loss",
    patience: Annotated[str | None, typer.Option(help="Go back when nothing is decided by then.")] = None,
    environment: Annotated[
        str, typer.Option(help="The alias that follows a promotion, by the rules of its environment.")
    ] = "champion",
    require_approval: Annotated[
        bool, typer.Option("--require-approval", help="Somebody else has to agree first.")
    ] = False,
    allow_pickle: Annotated[
        bool, typer.Option(help="Load unsafe formats, which run code from the file.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Return when it is over.")] = False,
    reason: Reason = "",
    url: Url = None,
    json: Json = False,
) -> None:
    """Begin a rollout of a version."""
    plan: dict[str, Any] = {
        "strategy": strategy,
        "steps": _shares(steps),
        "bake_us": time_us(bake, "bake"),
        "min_requests": min_requests,
        "floor": floor,
        "reward": reward,
        "approval": require_approval,
        "environment": environment,
    }
    if finish is not None:
        plan["finish"] = finish
    if patience is not None:
        plan["patience_us"] = time_us(patience, "patience")
    rules = _rules(judge)
    if alpha is not None:
        rules["alpha"] = alpha
    body = {
        "challenger": challenger,
        "plan": plan,
        "judge": rules,
        "allow_pickle": allow_pickle,
        "reason": reason,
    }
    client = connect(url)
    view = client.post(f"/endpoints/{quote(endpoint)}/rollouts", body)
    if wait:
        view = _follow(client, view["id"], quiet=json)
    if json:
        show_json(view)
    elif not wait:
        _print(view)


@rollouts.command("ls")
def list_rollouts(
    endpoint: Annotated[str | None, typer.Option(help="Only of this endpoint.")] = None,
    state: Annotated[
        str | None, typer.Option(help="running, promoted, rolled-back, aborted or passed.")
    ] = None,
    limit: int = 20,
    url: Url = None,
    json: Json = False,
) -> None:
    """List rollouts, newest first."""
    items = connect(url).get("/rollouts", endpoint=endpoint, state=state, limit=limit)["items"]
    if json:
        show_json(items)
        return
    rows = [
        (
            one["id"],
            one["endpoint"],
            one["strategy"],
            f"{one['challenger']} against {one['champion']}",
            _state(one),
            f"{one['weight']:g} %",
            when(one["started_us"]),
            one["reason"],
        )
        for one in items
    ]
    columns = ["id", "endpoint", "strategy", "versions", "state", "share", "started", "why"]
    show_table(columns, rows, empty="No rollouts. 'trimtab rollouts start ENDPOINT VERSION' begins one.")


@rollouts.command("show")
def show(rollout: str, url: Url = None, json: Json = False) -> None:
    """Show a rollout with its steps and the judge's evidence. ROLLOUT is an id, or an endpoint for its newest."""
    client = connect(url)
    view = client.get(f"/rollouts/{_id(client, rollout)}")
    if json:
        show_json(view)
    else:
        _print(view)


@rollouts.command("promote")
def promote(rollout: str, reason: Reason = "", url: Url = None, json: Json = False) -> None:
    """Make the challenger the champion at once."""
    _act(rollout, "promote", reason, url, json)


@rollouts.command("rollback")
def roll_back(rollout: str, reason: Reason = "", url: Url = None, json: Json = False) -> None:
    """Give all requests back to the champion at once."""
    _act(rollout, "rollback", reason, url, json)


@rollouts.command("abort")
def abort(rollout: str, reason: Reason = "", url: Url = None, json: Json = False) -> None:
    """End a rollout without a judgement; the champion answers all requests."""
    _act(rollout, "abort", reason, url, json)


@rollouts.command("approve")
def approve(rollout: str, reason: Reason = "", url: Url = None, json: Json = False) -> None:
    """Agree to a rollout that somebody else started."""
    _act(rollout, "approve", reason, url, json)


@rollouts.command("watch")
def watch(
    rollout: str,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait at the most.")] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Follow a rollout until it is over. Exit code 1 when the challenger was not promoted."""
    client = connect(url)
    view = _follow(client, _id(client, rollout), quiet=json, timeout_s=timeout)
    if json:
        show_json(view)
    if view["state"] not in ("promoted", "passed"):
        raise typer.Exit(1)


def time_us(text: str, field: str) -> int:
    """Return a time such as ``90s``, ``10m`` or ``2h30m`` in microseconds; raises Invalid.

    >>> time_us("1m30s", "bake")
    90000000
    """
    match = _TIME.fullmatch(text)
    if match is None or (not text.strip("0s") and text not in ("0", "0s")):
        raise Invalid(f"{text!r} is no time such as 30s, 10m or 2h.", field=field)
    return round(
        1e6 * sum(float(part) * unit for part, unit in zip(match.groups(), _UNITS_S, strict=True) if part)
    )


def _shares(text: str | None) -> list[float]:
    if text is None:
        return []
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise Invalid(f"{text!r} is no list of percents such as 5,25,50.", field="steps") from None


def _rules(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    import yaml

    try:
        found = yaml.safe_load(file.read_text("utf-8"))
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}.", field="judge") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} is neither YAML nor JSON: {error}", field="judge") from error
    if found is not None and not isinstance(found, dict):
        raise Invalid(f"{file} has no fields of the judge's policy, such as 'alpha: 0.05'.", field="judge")
    return msgspec.convert(found or {}, dict[str, Any])


def _id(client: Client, rollout: str) -> str:
    if rollout.startswith("ro_"):
        return quote(rollout)
    items = client.get("/rollouts", endpoint=rollout, limit=1)["items"]
    if not items:
        client.get(f"/endpoints/{quote(rollout)}")  # tells where there is no such endpoint
        raise Conflict(f"Endpoint {rollout} has had no rollout.")
    return items[0]["id"]


def _act(
    rollout: str,
    act: Literal["promote", "rollback", "abort", "approve"],
    reason: str,
    url: str | None,
    json: bool,
) -> None:
    client = connect(url)
    view = client.post(f"/rollouts/{_id(client, rollout)}/{act}", {"reason": reason})
    if json:
        show_json(view)
    else:
        _print(view)


def _follow(client: Client, rollout: str, *, quiet: bool, timeout_s: float | None = None) -> dict[str, Any]:
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    told = ""
    while True:
        view = client.get(f"/rollouts/{rollout}")
        line = _line(view)
        if line != told and not quiet:
            print(line, flush=True)
            told = line
        if view["state"] != "running":
            return view
        if deadline is not None and time.monotonic() > deadline:
            raise Unavailable(f"Rollout {rollout} is not over after {timeout_s:g} s.")
        time.sleep(_POLL_S)


def _state(view: dict[str, Any]) -> str:
    return view["phase"] if view["state"] == "running" and view["phase"] != "step" else view["state"]


def _line(view: dict[str, Any]) -> str:
    copies = f", {view['copies']:g} % copies" if view["copies"] else ""
    word = view["reason"] if view["state"] != "running" else view["verdict"]["reason"]
    head = f"version {view['challenger']} {_state(view)} at {view['weight']:g} %{copies}"
    return f"{head}: {word}" if word else head


def _print(view: dict[str, Any]) -> None:
    print(f"{view['id']}: {view['strategy']} at {view['endpoint']}, {_line(view)}")
    if view["phase"] == "approval" and view["state"] == "running":
        print(f"Somebody other than {view['actor']} approves it: trimtab rollouts approve {view['id']}")
    if view["requests_needed"] and view["state"] == "running":
        print(
            f"It takes at most about {view['requests_needed']:,} labelled requests to tell a difference of the margin."
        )
    steps = [(f"{one['weight']:g} %", when(one["at_us"]), one["requests"]) for one in view["steps"]]
    if steps:
        show_table(["step", "since", "requests"], steps, empty="")
    evidence = [
        (
            one["name"],
            one["verdict"],
            _number(one["value"]),
            f"{_number(one['low'])} .. {_number(one['high'])}",
            f"{_number(one['e_value'])} of {_number(one['e_needed'])}",
            f"{_number(one.get('safe_e_value'))} of {_number(one.get('safe_e_needed'))}",
            f"{one['n_champion']} / {one['n_challenger']}",
        )
        for one in view["judge"]
    ]
    if evidence:
        columns = ["evidence", "finding", "value", "interval", "e for harm", "e for safe", "requests"]
        show_table(columns, evidence, empty="")


def _number(value: float | None) -> str:
    return "-" if value is None else "never" if value > 1e100 else f"{value:.3g}"
