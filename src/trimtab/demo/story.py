"""The demonstration: the whole loop on a year of flights, told as it happens."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import trimtab
from trimtab.demo import figures, flights, pipeline
from trimtab.demo.replay import Replay
from trimtab.demo.screen import Screen
from trimtab.demo.server import Server
from trimtab.demo.traffic import Traffic
from trimtab.kernel.errors import Conflict, Unavailable
from trimtab.kernel.time import DAY_US, parse
from trimtab.sdk import submission

ENDPOINT = "flight-delays"
MONITOR = "flight-delays"
BEGIN_US = parse("2013-04-01T00:00:00Z")
END_US = parse("2014-01-01T08:00:00Z")
BROKEN_US = parse("2013-10-07T00:00:00Z")
DAYS_PER_S = 3.0
DAYS_PER_S_IN_EPISODE = 0.6
POLICY: dict[str, Any] = {"arl": 1000.0, "loss_margin": 0.01, "drift_tolerance": 0.05, "min_psi": 0.1}
LOOP: dict[str, Any] = {
    "model": pipeline.MODEL,
    "pipeline": "train_flights",
    "params": {"raw": 1, "until_us": "{event_us}"},
    "on": ["drift", "performance"],
    "cooldown_us": 30 * DAY_US,
    "gate": {
        "label": flights.LABEL,
        "key": flights.KEY,
        "group_by": flights.EVENT,
        "min_auc": 0.6,
        "brier_margin": 0.01,
    },
    # A retrained model predicts otherwise, or it would not be worth having: only what is grotesque is harm by itself,
    # and the labels decide on the rest.
    "canary": {
        "weight": 20.0,
        "judge": {
            "errors": {"harm": 0.0, "margin": 0.03},
            "predictions": {"harm": 0.6, "margin": 0.8, "required": False},
            "prediction_mean": {"harm": 0.35, "margin": 0.5, "required": False},
            "quality": {"harm": 0.0, "margin": 0.03, "required": True},
        },
    },
}
_OVER = ("promoted", "kept", "rolled-back", "failed")
_RUN_S = 180.0


class Story:
    """One run of the demonstration against one server."""

    def __init__(self, server: Server, screen: Screen) -> None:
        self._server = server
        self._client = server.client
        self._screen = screen
        self._told: set[str] = set()

    def run(self) -> dict[str, Any]:
        """Tell the whole story and return its figures."""
        started = time.monotonic()
        phases: dict[str, float] = {}
        table = self._ingest()
        phases["ingest_s"] = time.monotonic() - started
        mark = time.monotonic()
        self._first_model()
        phases["first_model_s"] = time.monotonic() - mark
        mark = time.monotonic()
        live = flights.between(table, from_us=BEGIN_US, to_us=END_US)
        traffic = Traffic(live)
        replay = Replay(traffic, url=self._server.inference_url, endpoint=ENDPOINT, days_per_s=DAYS_PER_S)
        self._live(replay, traffic)
        phases["live_s"] = time.monotonic() - mark
        self._screen.section("Figures")
        found = figures.collect(self._client, replay, live, endpoint=ENDPOINT, model=pipeline.MODEL)
        found["phases"] = {**phases, "start_s": self._server.start_s, "total_s": time.monotonic() - started}
        found["memory_mb"] = self._server.memory_mb()
        return found

    def _ingest(self) -> pa.Table:
        self._screen.section("Data")
        with self._screen.work("Reading 336,776 flights, hourly weather and planes"):
            raw = flights.load_raw()
        with tempfile.TemporaryDirectory(prefix="trimtab-demo-") as folder:
            for name, source in raw.items():
                pq.write_table(source, Path(folder) / f"{name}.parquet")
            with self._screen.work("Adding them as a version"):
                version = trimtab.data.add(pipeline.RAW, folder, message="as published")
        self._screen.note(f"data:{version.name}@{version.version}, {version.size_bytes / 1e6:.1f} MB")
        with self._screen.work("Joining the weather as it was known, for the live requests"):
            return flights.features(flights.join_weather(raw["flights"], raw["weather"]), raw["planes"])

    def _first_model(self) -> None:
        self._screen.section("First model")
        submission.publish(self._client, f"{Path(pipeline.__file__)}:train_flights")
        self._client.put(f"/loops/{ENDPOINT}", LOOP)
        with self._screen.work("Training on January to March"):
            outputs = self._train(until_us=BEGIN_US)
        with self._screen.work("Gate and deployment"):
            episode = trimtab.endpoints.release(
                ENDPOINT,
                outputs["candidate"],
                evaluation=outputs["evaluation"],
                reference=outputs["reference"],
                event_us=BEGIN_US,
                reason="the first version",
            )
            ended = self._wait_episode(episode["id"])
        if ended["state"] != "promoted":
            raise Conflict(
                f"The first version did not pass its gate; the timeline at {self._server.url} says why."
            )
        self._tell()
        trimtab.monitors.create(
            MONITOR,
            endpoint=ENDPOINT,
            reference=outputs["reference"],
            features=[*flights.FEATURES],
            group_by=flights.EVENT,
            policy=POLICY,
            baseline=_baseline(ended["baseline"]),
        )

    def _live(self, replay: Replay, traffic: Traffic) -> None:
        self._screen.section("Live: April to December as real requests, labels days later")
        playing = replay.start()
        broken = False
        with self._screen.replay(replay, BEGIN_US, END_US):
            while playing.is_alive():
                self._tell()
                active = self._active()
                if not broken and active is None and replay.clock.now_us >= BROKEN_US:
                    broken = True
                    self._ship_broken(replay)
                replay.clock.set_pace(DAYS_PER_S if active is None else DAYS_PER_S_IN_EPISODE)
                traffic.by_flight = active is not None and active["state"] == "canary"
                playing.join(0.25)
            self._settle()
        self._tell()

    def _ship_broken(self, replay: Replay) -> None:
        """Someone converts the units of the training data and forgets that live requests keep the old ones."""
        replay.clock.set_pace(DAYS_PER_S_IN_EPISODE)
        outputs = self._train(until_us=replay.clock.now_us, units="metric")
        deadline = time.monotonic() + _RUN_S
        while True:
            try:
                trimtab.endpoints.release(
                    ENDPOINT,
                    outputs["candidate"],
                    evaluation=outputs["evaluation"],
                    champion_evaluation=outputs["champion_evaluation"],
                    reference=outputs["reference"],
                    event_us=replay.clock.now_us,
                    reason="features in metric units",
                )
            except Conflict:  # a retraining has begun meanwhile, and goes first
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    def _train(self, **params: Any) -> dict[str, str]:
        run = self._client.post(
            "/pipeline-runs", {"pipeline": "train_flights", "params": {"raw": 1, **params}}
        )
        deadline = time.monotonic() + _RUN_S
        while time.monotonic() < deadline:
            run = self._client.get(f"/pipeline-runs/{run['id']}")
            if run["state"] == "succeeded":
                return run["outputs"]
            if run["state"] in ("failed", "cancelled"):
                raise Conflict(f"The pipeline run {run['id']} {run['state']}: {run.get('error')}")
            time.sleep(0.1)
        raise Unavailable(f"The pipeline run {run['id']} took longer than {_RUN_S:g} s.")

    def _wait_episode(self, episode_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + _RUN_S
        while time.monotonic() < deadline:
            episode = self._client.get(f"/episodes/{episode_id}")
            if episode["state"] in _OVER:
                return episode
            time.sleep(0.1)
        raise Unavailable(f"Episode {episode_id} did not end within {_RUN_S:g} s.")

    def _active(self) -> dict[str, Any] | None:
        newest = self._client.get("/episodes", endpoint=ENDPOINT, limit=1)["items"]
        moving = newest and newest[0]["state"] not in (*_OVER, "waiting")
        return newest[0] if moving else None

    def _settle(self) -> None:
        """Give what is under way a moment to end: there are no more requests for the judge."""
        deadline = time.monotonic() + 5.0
        while self._active() and time.monotonic() < deadline:
            time.sleep(0.2)

    def _tell(self) -> None:
        for step in self._new_steps():
            self._screen.step(step)

    def _new_steps(self) -> Iterator[dict[str, Any]]:
        newest = self._client.get("/timeline", limit=100)["items"]
        for step in reversed(newest):
            if step["id"] not in self._told:
                self._told.add(step["id"])
                yield step


def _baseline(metrics: dict[str, float]) -> dict[str, Any]:
    """Return what the monitor holds the first version to: what its gate measured."""
    shown = {name: value for name, value in metrics.items() if name != "clustering"}
    return {"brier": metrics["brier"], "metrics": shown, "clustering": metrics["clustering"]}
