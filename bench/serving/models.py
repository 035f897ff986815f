"""The models of the serving benchmark, learnt from the real flights, as files that every server can load.

A folder holds for each kind what peers read (`model.joblib`, `model.ubj`, `model.onnx`), the rows that requests are made
of (`rows.npy`) and what the model itself predicts for them (`expected-<kind>.npy`).
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS = (
    "sched_dep_hour",
    "sched_arr_hour",
    "weekday",
    "distance",
    "hour_departures",
    "plane_age",
    "plane_seats",
    "temp",
    "humid",
    "wind_speed",
    "precip",
    "visib",
)
KINDS = ("logistic", "xgboost", "forest", "python")
TITLES = {
    "logistic": "logistic pipeline",
    "xgboost": "XGBoost, 200 trees",
    "forest": "random forest, 100 trees",
    "python": "a native Python model in a process of its own",
}
ROWS = 8000
"""Rows that requests are made of: eight bodies of 1,000, or as many of one row as there are bodies."""
_TRAINED_ON = 60_000


def prepare(folder: Path, kinds: list[str]) -> None:
    """Learn what is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [kind for kind in kinds if not (folder / f"expected-{kind}.npy").exists()]
    if not missing:
        return
    rows, labels = _flights()
    shuffled = np.random.default_rng(0).permutation(len(rows))
    train, asked = shuffled[:_TRAINED_ON], shuffled[_TRAINED_ON : _TRAINED_ON + ROWS]
    np.save(folder / "rows.npy", rows[asked])
    for kind in missing:
        place = folder / kind
        place.mkdir(exist_ok=True)
        expected = _MAKERS[kind](rows[train], labels[train], rows[asked], place)
        np.save(folder / f"expected-{kind}.npy", expected)


def rows(folder: Path) -> np.ndarray:
    """The rows to ask for, float64 of shape (ROWS, 12), none missing."""
    return np.load(folder / "rows.npy")


def expected(folder: Path, kind: str) -> np.ndarray:
    """What the model itself predicts for the rows: the probability that a flight arrives late."""
    return np.load(folder / f"expected-{kind}.npy")


def fitted(folder: Path, kind: str) -> Any:
    """Return the model as it was learnt."""
    import joblib

    return joblib.load(folder / kind / "model.joblib")


def _flights() -> tuple[np.ndarray, np.ndarray]:
    from trimtab.demo import flights

    raw = flights.load_raw()
    kept = {name: flights.validate_rows(name, raw[name])[0] for name in ("flights", "weather", "planes")}
    table = flights.features(flights.join_weather(kept["flights"], kept["weather"]), kept["planes"])
    table = flights.labelled(table)
    values = np.column_stack([table[name].to_numpy() for name in COLUMNS]).astype(np.float64)
    whole = ~np.isnan(values).any(axis=1)  # a missing value has no form that all protocols share
    return values[whole], table[flights.LABEL].to_numpy()[whole].astype(np.int64)


def _logistic(rows: np.ndarray, labels: np.ndarray, asked: np.ndarray, place: Path) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return _kept(make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, labels), asked, place)


def _forest(rows: np.ndarray, labels: np.ndarray, asked: np.ndarray, place: Path) -> np.ndarray:
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(100, max_depth=10, min_samples_leaf=20, n_jobs=2, random_state=0)
    model.fit(rows, labels)
    model.n_jobs = 1
    return _kept(model, asked, place)


def _xgboost(rows: np.ndarray, labels: np.ndarray, asked: np.ndarray, place: Path) -> np.ndarray:
    from xgboost import XGBClassifier

    model = XGBClassifier(n_estimators=200, max_depth=6, learning_rate=0.1, n_jobs=1)
    model.fit(rows, labels)
    model.save_model(place / "model.ubj")
    return _kept(model, asked, place)


def _kept(model: Any, asked: np.ndarray, place: Path) -> np.ndarray:
    import joblib

    joblib.dump(model, place / "model.joblib")
    return model.predict_proba(asked)[:, 1]


def _python(_: np.ndarray, __: np.ndarray, asked: np.ndarray, place: Path) -> np.ndarray:
    from serving.apps.scorecard import chances

    shutil.copy(Path(__file__).parent / "apps" / "scorecard.py", place / "scorecard.py")
    return np.array(chances(asked))


_MAKERS = {"logistic": _logistic, "xgboost": _xgboost, "forest": _forest, "python": _python}
