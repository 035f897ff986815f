"""The machine under a run: MLflow's names, energy that wraps around, and random generators that come back."""

import json
import random
from pathlib import Path

import numpy as np
from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

from trimtab.sdk import seeds
from trimtab.sdk.hardware import Energy, Machine, Sampler, inventory


def test_the_names_are_those_of_mlflow() -> None:
    theirs: set[str] = set()
    for monitor in (CPUMonitor(), DiskMonitor(), NetworkMonitor()):
        monitor.collect_metrics()
        theirs |= monitor.aggregate_metrics().keys()
    ours = Machine().sample()
    assert theirs <= ours.keys()
    assert all(value >= 0 for value in ours.values())


def test_energy_is_summed_over_packages_and_wraps(tmp_path: Path) -> None:
    def put(zone: str, value: int) -> None:
        folder = tmp_path / zone
        folder.mkdir(exist_ok=True)
        (folder / "energy_uj").write_text(f"{value}\n")
        (folder / "max_energy_range_uj").write_text("10000000\n")

    assert Energy(tmp_path).joules() is None
    put("intel-rapl:0", 9_000_000)
    put("intel-rapl:1", 0)
    put("intel-rapl:0:0", 5)  # a part of the first package, which is counted there
    energy = Energy(tmp_path)
    put("intel-rapl:0", 1_000_000)
    put("intel-rapl:1", 500_000)
    put("intel-rapl:0:0", 10_000_000)
    assert energy.joules() == 2.5
    assert energy.joules() == 2.5


def test_the_last_sample_comes_at_the_end() -> None:
    found: list[dict[str, float]] = []
    sampler = Sampler(found.append, every_s=60, prefix="system/rank_1/")
    sampler.start()
    sampler.stop()
    assert len(found) == 1
    assert all(name.startswith("system/rank_1/") for name in found[0])


def test_the_inventory_is_json() -> None:
    found = json.loads(json.dumps(inventory()))
    assert found["cpus"] >= 1
    assert found["memory_bytes"] > 1 << 28


def test_generators_come_back() -> None:
    random.gauss(0, 1)  # leaves a second number behind
    np.random.standard_normal()  # noqa: NPY002 - the global state is what is captured
    kept = json.loads(json.dumps(seeds.capture()))

    def draw() -> list[float]:
        return [random.gauss(0, 1), random.random(), np.random.standard_normal(), np.random.rand()]  # noqa: NPY002

    first = draw()
    assert draw() != first
    assert seeds.restore(kept) == ["random", "numpy"]
    assert draw() == first
    assert seeds.summary(kept).keys() == {"PYTHONHASHSEED", "random", "numpy"}
