"""The machine under a run: what it is, and what it does meanwhile, as MLflow's ``system/`` metrics and energy beside them.

GPUs are read through NVML where ``nvidia-ml-py`` is installed and a driver is there; the energy of the processor through
the kernel's powercap files, which many systems let only root read. What cannot be read is left out.
"""

import contextlib
import os
import platform
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_POWERCAP = Path("/sys/class/powercap")
_MB = 1e6

Log = Callable[[dict[str, float]], None]


def inventory() -> dict[str, Any]:
    """Return what the machine has: processors, memory in bytes, GPUs."""
    return {
        "host": platform.node(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "usable_cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "gpus": Gpus().inventory(),
    }


class Sampler:
    """Logs the load of the machine every so many seconds from a thread of its own, and once more at the end."""

    def __init__(self, log: Log, *, every_s: float, prefix: str = "system/") -> None:
        self._log = log
        self._every_s = every_s
        self._prefix = prefix
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="trimtab-system", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(2.0)

    def _work(self) -> None:
        try:
            machine = Machine()
        except ImportError:
            return  # psutil was taken out of this environment
        ending = False
        while not ending:
            ending = self._stop.wait(self._every_s)
            with contextlib.suppress(Exception):  # a sensor that fails is no reason to disturb a training
                self._log({f"{self._prefix}{name}": value for name, value in machine.sample().items()})


class Machine:
    """The counters of this machine. Network and energy count from the making of the object."""

    def __init__(self) -> None:
        import psutil

        self._psutil = psutil
        psutil.cpu_percent()  # the first call only begins to measure
        self._network = psutil.net_io_counters()
        self._gpus = Gpus()
        self._energy = Energy()
        self._process = psutil.Process()
        self._process.cpu_percent()

    def sample(self) -> dict[str, float]:
        """Return the metrics of now, rounded to a tenth where MLflow does so."""
        psutil = self._psutil
        memory, disk = psutil.virtual_memory(), psutil.disk_usage(os.sep)
        found = {
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "system_memory_usage_megabytes": round(memory.used / _MB, 1),
            "system_memory_usage_percentage": round(memory.used / memory.total * 100, 1),
            "disk_usage_percentage": disk.percent,
            "disk_usage_megabytes": round(disk.used / _MB, 1),
            "disk_available_megabytes": round(disk.free / _MB, 1),
            "process_cpu_utilization_percentage": self._process.cpu_percent(),
            "process_memory_usage_megabytes": round(self._process.memory_info().rss / _MB, 1),
        }
        network = psutil.net_io_counters()
        if self._network and network:  # a container may have no interface
            found["network_receive_megabytes"] = (network.bytes_recv - self._network.bytes_recv) / _MB
            found["network_transmit_megabytes"] = (network.bytes_sent - self._network.bytes_sent) / _MB
        found |= self._gpus.sample()
        if (joules := self._energy.joules()) is not None:
            found["cpu_energy_joules"] = round(joules, 3)
        return found


class Energy:
    """The energy that the processor packages have used, from the kernel's powercap counters, which wrap around."""

    def __init__(self, folder: Path = _POWERCAP) -> None:
        self._zones = [zone for zone in sorted(folder.glob("*-rapl:*")) if zone.name.count(":") == 1]
        self._last = {zone: value for zone in self._zones if (value := _read(zone / "energy_uj")) is not None}
        self._used_uj = 0

    def joules(self) -> float | None:
        """Return the joules since the object was made; None where no counter can be read."""
        if not self._last:
            return None
        for zone, last in self._last.items():
            value = _read(zone / "energy_uj")
            if value is None:
                continue
            wraps_at = _read(zone / "max_energy_range_uj") or 0
            self._used_uj += value - last if value >= last else value + wraps_at - last
            self._last[zone] = value
        return self._used_uj / 1e6


class Gpus:
    """The GPUs that NVML knows; none where there is no library, driver or device."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._handles: list[Any] = []
        self._started: dict[int, float] = {}
        try:
            import pynvml  # pyright: ignore[reportMissingImports] - the optional nvidia-ml-py

            pynvml.nvmlInit()
            self._handles = [
                pynvml.nvmlDeviceGetHandleByIndex(at) for at in range(pynvml.nvmlDeviceGetCount())
            ]
            self._nvml = pynvml
        except Exception:  # noqa: BLE001 - its errors are of its own class; without NVML there are no figures
            return
        self._started = dict(self._energies())

    def inventory(self) -> list[dict[str, Any]]:
        """Return the name and memory of each."""
        found: list[dict[str, Any]] = []
        for handle in self._handles:
            with contextlib.suppress(Exception):  # a device that does not tell its name is left out
                name = self._nvml.nvmlDeviceGetName(handle)
                total = self._nvml.nvmlDeviceGetMemoryInfo(handle).total
                found.append(
                    {"name": name if isinstance(name, str) else name.decode(), "memory_bytes": total}
                )
        return found

    def sample(self) -> dict[str, float]:
        nvml = self._nvml
        found: dict[str, float] = {}
        for at, handle in enumerate(self._handles):
            with contextlib.suppress(Exception):  # each figure by itself: many cards lack some
                memory = nvml.nvmlDeviceGetMemoryInfo(handle)
                found[f"gpu_{at}_memory_usage_percentage"] = round(memory.used / memory.total * 100, 1)
                found[f"gpu_{at}_memory_usage_megabytes"] = round(memory.used / _MB, 1)
            with contextlib.suppress(Exception):
                found[f"gpu_{at}_utilization_percentage"] = nvml.nvmlDeviceGetUtilizationRates(handle).gpu
            with contextlib.suppress(Exception):
                watts = nvml.nvmlDeviceGetPowerUsage(handle) / 1000
                found[f"gpu_{at}_power_usage_watts"] = round(watts, 1)
                most = nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000
                found[f"gpu_{at}_power_usage_percentage"] = round(watts / most * 100, 1)
        for at, joules in self._energies():
            found[f"gpu_{at}_energy_joules"] = round(joules - self._started.get(at, joules), 3)
        return found

    def _energies(self) -> Iterator[tuple[int, float]]:
        for at, handle in enumerate(self._handles):
            with contextlib.suppress(Exception):  # only since Volta
                yield at, self._nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000


def _read(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _processor() -> str:
    with contextlib.suppress(OSError), Path("/proc/cpuinfo").open() as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
