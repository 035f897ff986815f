"""The demonstration's training pipeline: from raw files to a registered candidate with its evaluation data.

trimtab pipelines run src/trimtab/demo/pipeline.py:train_flights -p raw=1 -p until_us=1364774400000000
"""

from typing import Any

import pyarrow as pa

import trimtab
from trimtab.demo import flights, model
from trimtab.demo.broken import metric
from trimtab.kernel.time import iso

MODEL = "flight-delays"
RAW = "flights-raw"
TRAINING = "flights-training"
EVALUATION = "flights-evaluation"


@trimtab.step
def build_features(raw: int) -> pa.Table:
    """Validate the sources, join the weather as it was known, and return one row a flight."""
    sources: dict[str, pa.Table] = {}
    for name in ("flights", "weather", "planes"):
        kept, aside = flights.validate_rows(name, trimtab.data.frame(RAW, raw, path=f"{name}.parquet"))
        print(f"{name}: {kept.num_rows:,} rows kept, {aside.num_rows:,} set aside")
        sources[name] = kept
    joined = flights.join_weather(sources["flights"], sources["weather"])
    return flights.features(joined, sources["planes"])


@trimtab.step
def split(table: pa.Table, until_us: int) -> dict[str, pa.Table]:
    """Return what was known by a moment: rows to learn from, and whole days held out to evaluate on."""
    train, evaluation = flights.split(table, known_by_us=until_us)
    return {"train": train, "evaluation": evaluation}


@trimtab.step
def fit(train: pa.Table) -> Any:
    """Return the fitted pipeline."""
    return model.train(train)


@trimtab.step(cache=False)
def publish(
    fitted: Any, train: pa.Table, evaluation: pa.Table, raw: int, until_us: int, units: str
) -> dict[str, str]:
    """Track the run, keep its data, register the model, and return what the gate needs."""
    parent = f"data:{RAW}@{raw}"
    learnt = trimtab.data.add(TRAINING, train, derived_from=[parent])
    tested = trimtab.data.add(EVALUATION, evaluation, derived_from=[parent])
    outputs = {"evaluation": tested.ref, "champion_evaluation": tested.ref, "reference": learnt.ref}
    if units == "metric":
        converted = trimtab.data.add(EVALUATION, metric(evaluation), derived_from=[parent])
        evaluation, outputs["evaluation"] = metric(evaluation), converted.ref
    scores = model.scores(model.labels(evaluation), model.predict(fitted, evaluation))
    with trimtab.run(experiment="flight delays", name=f"until {iso(until_us)[:10]}") as run:
        run.log_params({**model.PARAMS, "until": iso(until_us)[:10], "rows": train.num_rows, "units": units})
        run.log_metrics(scores)
        run.log_input(learnt.ref, context="training")
        run.log_input(outputs["evaluation"], context="evaluation")
        logged = trimtab.models.log(
            fitted,
            run=run,
            name="model",
            register=MODEL,
            signature=_sample(evaluation),
            input_example=evaluation.select(list(flights.FEATURES)).slice(0, 2),
            predict="predict_proba_1",
        )
    assert logged.version is not None, "it was registered"
    return {"candidate": f"models:/{MODEL}/{logged.version.version}", **outputs}


def _sample(table: pa.Table) -> pa.Table:
    """Return two rows of the features, the second with every number missing: any weather report may fail to come."""
    rows = table.select(list(flights.FEATURES)).slice(0, 2).to_pylist()
    rows[1] |= dict.fromkeys(flights.NUMERIC)
    return pa.Table.from_pylist(rows, schema=table.select(list(flights.FEATURES)).schema)


@trimtab.step
def convert(table: pa.Table, units: str) -> pa.Table:
    """Return the training rows in the units asked for."""
    return metric(table) if units == "metric" else table


@trimtab.pipeline
def train_flights(
    raw: int = 1, until_us: int = 1_364_774_400_000_000, units: str = "source"
) -> dict[str, str]:
    """Train on what was known by a moment of event time and register the candidate.

    ``units``: "source" as the airlines report; "metric" converts temperature, wind, pressure and distance.
    """
    table = build_features(raw=raw)
    parts = split(table=table, until_us=until_us)
    train = convert(table=parts["train"], units=units)
    fitted = fit(train=train)
    made = publish(
        fitted=fitted, train=train, evaluation=parts["evaluation"], raw=raw, until_us=until_us, units=units
    )
    return {name: made[name] for name in ("candidate", "evaluation", "champion_evaluation", "reference")}
