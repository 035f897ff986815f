"""The judge's promise: false-alarm rate, detection rate and delay of its tests in thousands of simulated rollouts.

    python bench/bench_judge.py [--trials 2000] [--report FILE]

Each kind of evidence is tried with no difference, at its limit (the worst case that is still no harm), with a small and
with a large harm: 80 of 100 requests go to the champion, and the judge looks after every 100 requests, 6,000 at the
most. "alone" judges that kind only, at alpha = 0.05; "of five" is its share of alpha where all kinds are judged. Predictions
are tried once more with champions of few distinct scores, and of texts.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from trimtab.domains.deploy.rollouts.plans import Plan
from trimtab.domains.deploy.rollouts.strategies import requests_needed
from trimtab.science.sequential import champions, simulation
from trimtab.science.sequential.judge import Kind

ALPHA = 0.05
SPLIT = simulation.Split(champion=80, challenger=20, batches=60)
SCENARIOS: dict[Kind, dict[str, float]] = {
    "errors": {"none": 0.0, "small": 0.02, "large": 0.10},
    "latency": {"none": 1.0, "limit": 1.5, "small": 2.0, "large": 3.0},
    "predictions": {"none": 0.0, "limit": 0.2, "small": 0.3, "large": 0.45},
    "prediction-mean": {"none": 0.0, "limit": 0.1, "small": 0.15, "large": 0.25},
    "quality": {"none": 0.0, "small": 0.03, "large": 0.10},
}
MARGINS: dict[Kind, float] = {
    "errors": 0.01,
    "latency": 2.0,
    "predictions": 0.25,
    "prediction-mean": 0.15,
    "quality": 0.03,
}
FEW: dict[str, champions.Scores] = {
    "0/1": champions.FLAGS,
    "two scores": champions.TWO_SCORES,
    "ten classes": champions.TEN_CLASSES,
    "texts": champions.TEXTS,
    "forty classes": champions.CLASSES,
}
"""Champions of few distinct scores, or of classes. Of "two scores" and "ten classes", which are numbers, and of "texts" all or
a part goes where the champion has nothing."""
UNITS: dict[Kind, str] = {
    "errors": "error rate 1 % +{:.0%}",
    "latency": "p95 x {:g}",
    "predictions": "distance {:g}",
    "prediction-mean": "rank shift {:g}",
    "quality": "mean loss 0.2 +{:g}",
}


def evidence(trials: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for kind in SCENARIOS:
        rows += trial(kind, trials)
    rows += [row for what in FEW for row in trial("predictions", trials, what)]
    return rows + trial("prediction-mean", trials, "0/1")


def trial(kind: Kind, trials: int, what: str = "") -> list[dict[str, Any]]:
    """Every scenario of one kind of evidence; `what` names a champion of few scores."""
    rows: list[dict[str, Any]] = []
    few = FEW.get(what)
    for number, (name, effect) in enumerate(SCENARIOS[kind].items()):
        found = simulation.simulate(kind, effect, trials=trials, split=SPLIT, scores=few, seed=number)
        row: dict[str, Any] = {"kind": kind, "of": what, "scenario": name, "effect": effect}
        for label, needed in (("alone", 1 / ALPHA), ("of_five", 5 / ALPHA)):
            looks = found.first(needed)
            hit = looks[looks > 0] * SPLIT.requests
            row[f"rate_{label}"] = float((looks > 0).mean())
            row[f"delay_{label}"] = [float(np.quantile(hit, q)) for q in (0.5, 0.9)] if hit.size else None
        rows.append(row)
    margin = MARGINS[kind]
    found = simulation.simulate(kind, margin, trials=trials, split=SPLIT, scores=few, seed=9)
    safe = float((found.first(1 / ALPHA, of="safe") > 0).mean())
    return [*rows, {"kind": kind, "of": what, "scenario": "margin", "effect": margin, "rate_safe": safe}]


def together(trials: int) -> dict[str, float]:
    """The chance that any of the five kinds, each with its fifth of alpha, raises an alarm in a rollout."""
    alarms: dict[str, Any] = {}
    for name in ("none", "limit"):
        hit = np.zeros(trials, bool)
        for number, (kind, scenarios) in enumerate(SCENARIOS.items()):
            effect = scenarios.get(name, scenarios["none"])
            found = simulation.simulate(kind, effect, trials=trials, split=SPLIT, seed=50 + number)
            hit |= found.first(5 / ALPHA) > 0
        alarms[name] = float(hit.mean())
    return alarms


def comparisons(trials: int) -> list[dict[str, Any]]:
    split = simulation.Split(100, 100, 120)
    rows: list[dict[str, Any]] = []
    for effect in (0.0, -0.02, -0.03, -0.05):
        better, worse = simulation.compare(effect, trials=trials, split=split, alpha=ALPHA, seed=5)
        hit = better[better > 0] * split.requests
        rule = {"quality": {"margin": -effect}, "expected_loss": 0.2} if effect else None
        needed = (
            requests_needed(Plan(strategy="ab", steps=(50.0,)), rule, variance=simulation.LOSS_VARIANCE)
            if rule
            else None
        )
        rows.append(
            {
                "effect": effect,
                "better": float((better > 0).mean()),
                "worse": float((worse > 0).mean()),
                "delay": [float(np.quantile(hit, q)) for q in (0.5, 0.8)] if hit.size else None,
                "rule_of_thumb": needed,
            }
        )
    return rows


def bandits(trials: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for champion, challenger in ((0.5, 0.5), (0.5, 0.52), (0.5, 0.55), (0.5, 0.7), (0.6, 0.5)):
        regret, shares = simulation.bandit(champion, challenger, trials=trials)
        even = 5000 * abs(champion - challenger)
        rows.append(
            {
                "rates": [champion, challenger],
                "regret": float(regret.mean()),
                "even": even,
                "share": float(np.median(shares)),
            }
        )
    return rows


def show(report: dict[str, Any]) -> None:
    console = Console(width=max(Console().width, 140))
    half = 1.96 * math.sqrt(ALPHA * (1 - ALPHA) / report["trials"])
    table = Table(
        title=f"Alarms in {report['trials']} rollouts each, promised {ALPHA:g} (+- {half:.3f} by chance)"
    )
    for column in (
        "evidence",
        "difference",
        "alarms alone",
        "requests 50/90 %",
        "of five",
        "requests 50/90 %",
    ):
        table.add_column(column, justify="left" if column in ("evidence", "difference") else "right")
    for row in report["evidence"]:
        kind = f"{row['kind']}, {row['of']}" if row["of"] else row["kind"]
        what = f"{row['scenario']}: {UNITS[row['kind']].format(row['effect'])}"
        if row["scenario"] == "margin":
            table.add_row(kind, f"{what}, called safe", f"{row['rate_safe']:.3f}", "", "", "")
            continue
        table.add_row(
            kind,
            what,
            f"{row['rate_alone']:.3f}",
            _delay(row["delay_alone"]),
            f"{row['rate_of_five']:.3f}",
            _delay(row["delay_of_five"]),
        )
    console.print(table)
    for name, rate in report["together"].items():
        console.print(
            f"any of the five kinds, {name}: {rate:.3f} of the rollouts rolled back (promised {ALPHA:g})"
        )
    table = Table(title="A/B at 50 : 50, mean loss 0.2: called better or worse within 24,000 requests")
    for column in ("difference", "better", "worse", "requests 50/80 %", "rule of thumb"):
        table.add_column(column, justify="right")
    for row in report["ab"]:
        note = f"{row['rule_of_thumb']:,}" if row["rule_of_thumb"] else ""
        table.add_row(
            f"{row['effect']:+g}", f"{row['better']:.3f}", f"{row['worse']:.3f}", _delay(row["delay"]), note
        )
    console.print(table)
    table = Table(title="Bandit, 10,000 requests in batches of 100, floor 5 %")
    for column in ("champion", "challenger", "regret", "of an even split", "challenger's last share"):
        table.add_column(column, justify="right")
    for row in report["bandit"]:
        first, second = row["rates"]
        table.add_row(
            f"{first:g}", f"{second:g}", f"{row['regret']:.0f}", f"{row['even']:.0f}", f"{row['share']:g} %"
        )
    console.print(table)
    console.print(f"{report['seconds']:.0f} s")


def _delay(found: list[float] | None) -> str:
    return "-" if found is None else " / ".join(f"{value:,.0f}" for value in found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    started = time.monotonic()
    trials: int = arguments.trials
    report: dict[str, Any] = {
        "trials": trials,
        "evidence": evidence(trials),
        "together": together(trials),
        "ab": comparisons(trials),
        "bandit": bandits(max(trials // 10, 20)),
    }
    report["seconds"] = time.monotonic() - started
    show(report)
    if arguments.report is not None:
        arguments.report.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
