"""The registry and its webhooks: every route, limit, error, filter and ordering, from lists of requests.

A line of a list is a method, a path below ``/api/2.0/mlflow``, and the JSON of its body or query. ``$u$`` is the unique
word, ``$e$ $r$ $r2$ $m1$ $m2$`` are an experiment, two runs and two logged models, ``<x*300>`` is a letter many times, and
``-> w=webhook.webhook_id`` keeps a value of the answer as ``$w$``.
"""

import json
import re
from pathlib import Path
from typing import Any

from tests.wire.differential.script import Script

_HERE = Path(__file__).parent
_MANY = re.compile(r"<(.)\*(\d+)>")
_FILES = "/api/2.0/mlflow-artifacts/artifacts"


def lives(s: Script) -> None:
    """Models, versions, tags, aliases and stages from their making to their end."""
    _play(s, "model_lives.txt", _tracked(s))


def searches(s: Script) -> None:
    """Both searches, with every operator, quote, ordering and page."""
    _play(s, "model_searches.txt", _tracked(s))


def webhooks(s: Script) -> None:
    """The webhooks, which the oracle must be allowed to send to this machine."""
    _play(s, "webhooks.txt", {})


def _tracked(s: Script) -> dict[str, str]:
    experiment = s.experiment()
    run, other = s.run(experiment), s.run(experiment)
    models = [
        s.post("/logged-models", {"experiment_id": experiment, **more})["model"]["info"]["model_id"]
        for more in ({"name": "lm", "source_run_id": run}, {"name": "lm2"})
    ]
    for folder in (f"{experiment}/{run}/artifacts/model", f"{experiment}/models/{models[0]}/artifacts"):
        s.send("PUT", f"{_FILES}/{folder}/MLmodel", content=b"flavors: {}", headers={})
    return {"e": experiment, "r": run, "r2": other, "m1": models[0], "m2": models[1]}


def _play(s: Script, file: str, known: dict[str, str]) -> None:
    names = {**known, "u": s.unique}
    for line in (_HERE / file).read_text("utf-8").splitlines():
        request, _, kept = line.partition("   -> ")
        for name, value in names.items():
            request = request.replace(f"${name}$", value)
        method, path, *rest = _MANY.sub(lambda found: found[1] * int(found[2]), request).split(" ", 2)
        given: dict[str, Any] = json.loads(rest[0]) if rest else {}
        answer = s.get(path, given) if method == "GET" else s.send(method, f"/api/2.0/mlflow{path}", given)
        for one in kept.split():
            name, _, place = one.partition("=")
            value: Any = answer
            for part in place.split("."):
                value = value[part]
            names[name] = value
