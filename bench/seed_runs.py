"""Fills a running server with a hyper-parameter search of many runs, to look at pages and to time them.

    python bench/seed_runs.py http://127.0.0.1:5000 [--runs 100000] [--curves 40] [--name flight-delay-search]

The runs come in whole, a thousand a request: 12 parameters that differ, 16 metrics that follow from some of them, tags
and nested runs (a search and its trials). The newest ``--curves`` runs have curves of 2,000 points, files and notes.
"""

import argparse
import math
import random
import struct
import time
import zlib
from collections.abc import Iterator
from typing import Any

from rich.progress import track

from trimtab.sdk.client import Client

BATCH = 1000
METRICS = ("val/auc", "val/log_loss", "val/brier", "train/log_loss", "test/auc", "rows_per_s", "fit_seconds")
EXTRA = tuple(f"val/by_carrier/auc_{name}" for name in ("aa", "as", "b6", "dl", "ev", "mq", "ua", "us", "wn"))
WORDS = (("brisk", "calm", "keen", "plain", "steady", "swift"), ("gull", "tern", "heron", "osprey", "petrel"))
STEPS = 2000


def runs(count: int, experiment_id: str, *, curves: int, now_us: int) -> Iterator[dict[str, Any]]:
    """Yield runs, oldest first; every 25th is a search whose trials follow it."""
    source = random.Random(f"experiment {experiment_id}")
    parent = ""
    for number in range(count):
        params = {
            "learning_rate": f"{10 ** source.uniform(-4, -0.7):.3g}",
            "max_depth": str(source.randint(2, 12)),
            "n_estimators": str(50 * source.randint(1, 20)),
            "subsample": f"{source.uniform(0.5, 1):.2f}",
            "colsample": f"{source.uniform(0.4, 1):.2f}",
            "l2": f"{10 ** source.uniform(-3, 1):.3g}",
            "booster": source.choice(("gbtree", "dart", "gblinear")),
            "flavor": source.choice(("xgboost", "lightgbm", "sklearn")),
            "encoder": source.choice(("target", "one-hot", "ordinal", "hash")),
            "window_days": str(source.choice((30, 60, 90, 180, 365))),
            "balanced": source.choice(("true", "false")),
            "seed": str(number),
        }
        auc = _auc(params, source)
        loss = 0.62 - 0.34 * (auc - 0.5) / 0.4
        started_us = now_us - (count - number) * 31_000_000
        failed = source.random() < 0.04
        newest = count - number <= curves
        run_id = f"{source.getrandbits(128):032x}"
        latest = {
            "val/auc": auc,
            "val/log_loss": loss,
            "val/brier": 0.12 + loss / 10,
            "train/log_loss": loss - 0.03 * source.random(),
            "test/auc": auc - 0.004 + 0.006 * source.random(),
            "rows_per_s": source.uniform(20_000, 60_000),
            "fit_seconds": int(params["n_estimators"]) / 9 + source.uniform(0, 20),
        } | {name: auc + source.gauss(0, 0.01) for name in EXTRA}
        is_parent = number % 25 == 0
        tags = {
            "branch": source.choice(("main", "calibration", "weather")),
            "stage": source.choice(("research", "retraining")),
            "mlflow.source.name": "train_delay.py",
            "mlflow.source.type": "LOCAL",
            "mlflow.source.git.commit": f"{number // 400:040x}",
        }
        if is_parent:
            parent = run_id
            params = {"trials": "24", "sampler": "tpe"}
        elif parent:
            tags["mlflow.parentRunId"] = parent
        yield {
            "id": run_id,
            "experiment_id": experiment_id,
            "name": f"search-{number // 25}"
            if is_parent
            else f"{WORDS[0][number % 6]}-{WORDS[1][number % 5]}-{number}",
            "status": "FAILED" if failed else "FINISHED",
            "started_us": started_us,
            "ended_us": started_us + int(source.uniform(60, 900) * 1e6),
            "owner": source.choice(("maria.k", "jan.p", "loop")),
            "params": params,
            "tags": tags,
            "metrics": []
            if failed and not newest
            else [
                _series(name, value, started_us, curved=newest and name in METRICS[:4], source=source)
                for name, value in latest.items()
            ],
            "datasets": [
                {
                    "name": "flights",
                    "digest": f"9f{number // 5000:02d}",
                    "source_type": "local",
                    "source": "flights.parquet",
                    "tags": {"mlflow.data.context": "training"},
                }
            ],
        }


def _auc(params: dict[str, str], source: random.Random) -> float:
    rate = math.log10(float(params["learning_rate"]))
    depth = int(params["max_depth"])
    bonus = {"gbtree": 0.01, "dart": 0.006, "gblinear": -0.05}[params["booster"]]
    return 0.86 - 0.03 * (rate + 1.6) ** 2 - 0.0012 * (depth - 7) ** 2 + bonus + source.gauss(0, 0.006)


def _series(key: str, last: float, started_us: int, *, curved: bool, source: random.Random) -> dict[str, Any]:
    if not curved:
        return {"key": key, "steps": [STEPS - 1], "at_us": [started_us + 60_000_000], "values": [last]}
    start = 0.5 if "auc" in key else 0.693
    steps = list(range(STEPS))
    values = [last + (start - last) * math.exp(-step / 300) + source.gauss(0, 0.003) for step in steps[:-1]]
    return {
        "key": key,
        "steps": steps,
        "at_us": [started_us + step * 120_000 for step in steps],
        "values": [*values, last],
    }


def files(source: random.Random) -> dict[str, bytes]:
    """Return a file of each kind that the page of a run shows."""
    rows = "\n".join(
        f"{i},{source.choice(('AA', 'DL', 'UA'))},{source.gauss(8, 20):.1f},{source.random():.4f}"
        for i in range(400)
    )
    return {
        "report.html": b"<h1>Report</h1><p>Calibrated on March.</p><script>document.body.append('scripts ran')</script>",
        "predictions.csv": f"row,carrier,delay,score\n{rows}\n".encode(),
        "table.json": b'{"columns": ["carrier", "auc"], "data": [["AA", 0.81], ["DL", 0.84], ["UA", 0.79]]}',
        "config.json": b'{"model": {"name": "xgboost", "depth": 6, "rates": [0.1, 0.05]}, "seed": 7, "weather": true}',
        "train_delay.py": b'"""Trains."""\nimport mlflow\n\n\ndef main(depth: int = 6) -> float:\n    # fit\n    return 0.41\n',
        "plots/calibration.png": _png(source),
        "plots/roc.png": _png(source),
        "notes.md": b"# Calibration\n\n- isotonic on March\n- **better** above 0.7\n",
    }


def _png(source: random.Random) -> bytes:
    width, height = 240, 160
    shade = [source.randint(40, 200) for _ in range(3)]
    lines = b"".join(
        b"\0"
        + bytes(
            value
            for x in range(width)
            for value in (shade if abs(height - y - x * height / width) < 4 else (244, 246, 247))
        )
        for y in range(height)
    )

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


def main() -> None:
    """Fill the server and say how long that took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--curves", type=int, default=40)
    parser.add_argument("--name", default="flight-delay-search")
    given = parser.parse_args()
    started = time.perf_counter()
    with Client(given.url) as client:
        experiment = client.post("/experiments", {"name": given.name})["id"]
        batch: list[dict[str, Any]] = []
        made = runs(given.runs, experiment, curves=given.curves, now_us=int(time.time() * 1e6))
        last: list[str] = []
        for number, run in enumerate(track(made, "seeding", total=given.runs), 1):
            batch.append(run)
            last = [*last[-4:], run["id"]]
            if len(batch) == BATCH or number == given.runs or number > given.runs - given.curves:
                client.post("/import/runs", {"origin": "seed", "runs": batch})
                batch.clear()
        source = random.Random(5)
        for run_id in last:
            for path, content in files(source).items():
                client.upload(f"/runs/{run_id}/artifacts/{path}", content)
            note = "## Calibrated\n\nIsotonic on **March**; see `plots/`.\n\n| part | auc |\n|---|---|\n| AA | 0.81 |\n"
            client.put(f"/runs/{run_id}/tags/mlflow.note.content", {"value": note})
    print(
        f"{given.runs} runs in experiment {experiment} within {time.perf_counter() - started:.0f} s; last: {last[-1]}"
    )


if __name__ == "__main__":
    main()
