"""Hand-written cases: one module for each part of the API, one function that asks all of it."""

from collections.abc import Callable

from tests.wire.differential.script import Script
from tests.wire.differential.scripts import (
    artifacts,
    bodies,
    experiments,
    logged_models,
    registry,
    run_search,
    runs,
)

SCRIPTS: dict[str, Callable[[Script], None]] = {
    "experiments": experiments.life,
    "experiment-search": experiments.search,
    "runs": runs.life,
    "run-logging": runs.logging,
    "metric-histories": runs.histories,
    "batches": runs.batches,
    "run-links": runs.links,
    "run-filters": run_search.filters,
    "run-orders": run_search.orders,
    "logged-models": logged_models.life,
    "logged-model-search": logged_models.search,
    "registry": registry.lives,
    "registry-searches": registry.searches,
    "webhooks": registry.webhooks,
    "artifacts": artifacts.files,
    "bodies": bodies.bodies,
    "addresses": bodies.addresses,
}
